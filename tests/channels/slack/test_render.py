"""What a reply becomes on Slack: within its limits, in order, nothing lost, nothing rung."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.slack.markdown import cut, harmless, settled
from channels.slack.render import (
    PART_CHARACTERS,
    SMALL_CHARACTERS,
    beginning,
    content,
    parts,
    smaller,
)
from gateway.contract import Address, Attachment, Button, Json, OutboundMessage
from gateway.testing.slack.rules import check, remarks
from gateway.testing.wire import JsonObject

CHANNEL = Address("slack", "T1:C1", "1.000001")


def rendered(text: str, *buttons: Button, attachments: tuple[Attachment, ...] = ()) -> list[Json]:
    """The parts of a message."""
    return parts(
        OutboundMessage(address=CHANNEL, text=text, buttons=buttons, attachments=attachments)
    )


def texts(text: str) -> list[str]:
    """The Markdown of each part."""
    return [part["markdown"] for part in rendered(text)]


def call_of(part: Json) -> JsonObject:
    """What chat.postMessage would be called with."""
    return {"channel": "C1", **content(part)}


# ---------------------------------------------------------------- SL-24: nothing is a mark


@pytest.mark.proves("SL-24")
@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("<!channel> <!here|here> <!everyone>", "&lt;!channel> &lt;!here|here> &lt;!everyone>"),
        ("<@U123> and <#C1|general>", "&lt;@U123> and &lt;#C1|general>"),
        ("<!subteam^S1> <!date^1^{date}|x>", "&lt;!subteam^S1> &lt;!date^1^{date}|x>"),
        ("<https://evil.example|your bank>", "&lt;https://evil.example|your bank>"),
        ("<https://good.example/a?b=c&d>", "<https://good.example/a?b=c&d>"),
        ("[https://bank.com](https://evil.example/)", "https://bank.com (https://evil.example/)"),
        ("[go to bank.com](http://evil.example)", "go to bank.com (http://evil.example)"),
        ("[bank.com](https://www.bank.com/in)", "[bank.com](https://www.bank.com/in)"),
        ("[the docs](https://a.example/b_(c)?d&e)", "[the docs](https://a.example/b_(c)?d&e)"),
        ("[README.md](https://a.example/README.md)", "[README.md](https://a.example/README.md)"),
        ("1 < 2 <b>bold</b>", "1 &lt; 2 &lt;b>bold&lt;/b>"),
        ("`a < b` and `<!channel>`", "`a < b` and `&lt;!channel>`"),
        ("```\nList<String> <@U1>\n```\n<@U1>", "```\nList<String> &lt;@U1>\n```\n&lt;@U1>"),
        ("```\nvector<int> never closed", "```\nvector<int> never closed"),
        ("> a quote & more", "> a quote & more"),
        ("a `b <!here> c", "a `b &lt;!here> c"),
    ],
    ids=lambda text: repr(text)[:40],
)
def test_sl_24_what_slack_would_read_as_a_mark_is_shown_as_text(written: str, sent: str) -> None:
    assert harmless(written) == sent
    assert harmless(sent) == sent


@pytest.mark.proves("SL-24")
def test_sl_24_the_fallback_for_notifications_holds_no_marks_either() -> None:
    [part] = rendered("<!channel> `<!here>` a & b", Button("Yes", "y"))

    assert content(part)["text"] == "&lt;!channel&gt; `&lt;!here&gt;` a &amp; b"


# ---------------------------------------------------------------- SL-41: limits


@pytest.mark.proves("SL-41")
def test_sl_41_a_long_text_is_cut_at_paragraphs_below_the_limit() -> None:
    paragraph = "word " * 1000
    made = texts("\n\n".join([paragraph.strip()] * 5))

    assert [text.count("word") for text in made] == [2000, 2000, 1000]
    assert all(len(text) <= PART_CHARACTERS for text in made)
    assert all(text.startswith("word") and text.endswith("word") for text in made)


@pytest.mark.proves("SL-41", "C-11")
def test_c_11_code_that_is_cut_is_code_in_both_parts() -> None:
    lines = "\n".join(f"    line{number} = {number}" for number in range(900))
    made = texts(f"Before\n\n```python\n{lines}\n```\n\nAfter")

    assert len(made) > 1
    for text in made:
        assert text.count("```") % 2 == 0
    assert all("\n```python\n    line" in f"\n{text}" for text in made)
    assert re.findall(r"    line(\d+) ", "\n".join(made)) == [str(n) for n in range(900)]
    assert made[-1].endswith("After")


@pytest.mark.proves("C-11")
def test_c_11_a_link_and_a_short_table_are_not_cut() -> None:
    link = f"[here](https://a.example/{'x' * 200})"
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {n} | {n} |" for n in range(50))
    filler = "word " * 2160
    for text in (f"{filler}{link} and more", f"{filler}\n{table}\n\nmore"):
        made = texts(text)
        assert len(made) == 2
        assert any(link in each or table in each for each in made)


def test_a_fence_in_another_fence_is_not_taken_for_its_end() -> None:
    inner = "\n".join(["```", "code", "```"] * 600)
    made = texts(f"````markdown\n{inner}\n````")

    assert len(made) > 1 or len(inner) < PART_CHARACTERS
    for text in made:
        assert text.startswith("````markdown\n")
        assert text.endswith("\n````")


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200b", "\u2060\ufeff"], ids=repr)
def test_a_text_that_shows_nothing_has_no_part(text: str) -> None:
    assert rendered(text) == []


def test_characters_that_no_document_can_hold_are_replaced() -> None:
    assert texts("a\0b \ud83d c\r\nd") == ["ab \ufffd c\nd"]


ALPHABET = st.one_of(
    st.sampled_from(
        [
            *("<!channel> ", "<@U123> ", "<https://a.b|c> ", "<b>", "&lt;", "&amp;", "< > & "),
            *("```python\n", "```\n", "\n```\n", "~~~\n", "`", "``", "`a < b` ", "````\n"),
            *("| a | b |\n|---|---|\n| 1 | 2 |\n", "- item\n", "> quote\n", "# heading\n"),
            *(
                "[label](https://example.com/a_(b)) ",
                "[bank.com](https://evil.example) ",
                "**bold** ",
            ),
            *("👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "שלום ", "مرحبا ", "e\u0301\u0323", "\u202e", "한국어"),
            *("\n", "\n\n", " ", "long" * 50, "**bold** ", "x" * 700, "。", "sentence. "),
        ]
    ),
    st.text(max_size=20),
)
MARKDOWN = st.lists(ALPHABET, min_size=1, max_size=60).map("".join)
SIZES = st.sampled_from([10_000, 40_000])
WORD = re.compile(r"w\d+w")


@pytest.mark.proves("SL-41", "SL-42", "C-11")
@settings(max_examples=60, deadline=None)
@given(seed=MARKDOWN, size=SIZES, has_buttons=st.booleans())
def test_sl_41_any_markdown_is_in_order_whole_and_never_refused(
    seed: str, size: int, has_buttons: bool
) -> None:
    numbered, length, number = [], 0, 0
    while length < size:
        numbered.append(f"{seed}\nw{number}w ")
        length, number = length + len(numbered[-1]), number + 1
    buttons = (Button("Yes", "y"),) if has_buttons else ()

    made = rendered("".join(numbered), *buttons)

    said = WORD.findall("\n".join(part["markdown"] for part in made))
    fenced = "```" in seed or "~~~" in seed
    assert said == [f"w{n}w" for n in range(number)] or (fenced and not _lost(said, number))
    for part in made:
        call = call_of(part)
        check("chat.postMessage", call)
        assert list(remarks("chat.postMessage", call)) == []
        assert len(part["markdown"]) <= 12_000
        assert not re.search(r"<(?:!|@|#|[a-z]+:[^>\s]*\|)", part["markdown"])


def _lost(said: list[str], number: int) -> set[str]:
    """Words that are nowhere; in a long opening line of code some may stand twice."""
    return {f"w{n}w" for n in range(number)} - set(said)


@settings(max_examples=100, deadline=None)
@given(text=MARKDOWN, limit=st.sampled_from([30, 100, 1000]))
def test_pieces_hold_every_visible_character_outside_of_code_marks(text: str, limit: int) -> None:
    safe = harmless(text)
    pieces = list(cut(safe, limit))

    def bare(piece: str) -> str:
        # The word is taken out last: a cut, or marks of code, may stand in the middle of it.
        seen = re.sub(r"[\s`~\u200b-\u200f\u2060\ufeff\u00ad]", "", piece)
        return seen.replace("python", "")

    assert bare("".join(pieces)) == bare(safe)


@settings(max_examples=100, deadline=None)
@given(text=MARKDOWN, step=st.integers(1, 30))
def test_a_text_that_only_grows_never_shows_a_mark_on_its_way(text: str, step: int) -> None:
    shown = ""
    for length in range(0, len(text) + step, step):
        whole = settled(beginning(text[:length]))
        shown = whole if whole.startswith(shown) else shown
        assert not re.search(r"<(?:!channel|@U123|https://a.b\|c)>", shown)


@pytest.mark.parametrize(
    ("growing", "sure"),
    [
        ("Look at [the do", "Look at"),
        ("Look at [the docs](https://a.ex", "Look at"),
        ("Look at [the docs](https://a.example) now", "Look at [the docs](https://a.example) now"),
        ("Use `a", "Use"),
        ("Use `a` and", "Use `a` and"),
        ("See &lt;@U1", "See &lt;@U1"),
        ("See <https://a.ex", "See"),
        ("Code:\n```python\na = b[0", "Code:\n```python\na = b[0"),
        ("Code:\n```python\na\n``", "Code:\n```python\na"),
    ],
)
def test_unfinished_markup_is_held_back_while_a_text_grows(growing: str, sure: str) -> None:
    assert settled(growing) == sure


# ---------------------------------------------------------------- SL-42: buttons


@pytest.mark.proves("SL-42")
def test_sl_42_buttons_stand_under_the_last_part_with_a_text_beside_them() -> None:
    made = rendered("word " * 4000, Button("Yes", "y"), Button("No", "n"))

    assert [bool(part.get("buttons")) for part in made] == [False, True]
    call = content(made[-1])
    assert call["text"].startswith("word")
    assert [block["type"] for block in call["blocks"]] == ["markdown", "actions"]
    assert [element["value"] for element in call["blocks"][1]["elements"]] == ["y", "n"]


def test_buttons_without_a_text_have_one() -> None:
    [part] = rendered("", Button("Yes", "y"))

    check("chat.postMessage", call_of(part))


def test_many_buttons_stand_in_rows_and_long_labels_are_shortened() -> None:
    [part] = rendered("Choose", *(Button("x" * 100, str(n)) for n in range(30)))
    call = call_of(part)

    check("chat.postMessage", call)
    assert [len(block["elements"]) for block in call["blocks"][1:]] == [25, 5]


def test_a_value_that_could_not_come_back_whole_is_no_button() -> None:
    [part] = rendered("Choose", Button("A", "x" * 2001), Button("", "b"))

    assert part["buttons"] == [{"label": "b", "value": "b"}]


# ---------------------------------------------------------------- C-12: smaller, plainer


@pytest.mark.proves("C-12")
def test_c_12_a_part_can_be_said_smaller_and_then_without_formatting() -> None:
    [part] = rendered("**word** " * 900, Button("Yes", "y"))
    small = smaller(part)

    assert len(small) == 3
    assert all(len(piece["markdown"]) <= SMALL_CHARACTERS for piece in small)
    assert small[-1]["buttons"] == part["buttons"]
    [plain] = smaller(small[-1])
    assert plain["plain"].endswith("• Yes")
    assert smaller(plain) == []


@pytest.mark.proves("C-12", "SL-24")
def test_c_12_without_formatting_every_character_stands_for_itself() -> None:
    [part] = rendered("<!channel> & `<!here>`")
    [plain] = smaller(part)

    assert content(plain) == {"text": "&lt;!channel&gt; &amp; `&lt;!here&gt;`"}


def test_files_follow_the_text() -> None:
    files = (
        Attachment("image", "f1", name="a.png", size_bytes=3),
        Attachment("document", "f2", mime="application/pdf"),
    )
    made = rendered("Here", attachments=files)

    assert [list(part) for part in made] == [["markdown"], ["file"], ["file"]]
    assert made[1]["file"] == {"ref": "f1", "name": "a.png", "size_bytes": 3}
    assert made[2]["file"]["name"] == "document.pdf"
