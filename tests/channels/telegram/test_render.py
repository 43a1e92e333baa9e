"""Markdown as Telegram gets it: formatted, whole, and never over the limit."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.telegram import markdown
from channels.telegram.markdown import formatted
from channels.telegram.render import TEXT_UNITS, parts
from gateway.contract import Address, OutboundMessage, ReplyTo
from gateway.contract.cut import units
from gateway.testing.telegram.rules import broken_limit

MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("**bold**", "*i*", "`code`", "~~old~~", "# Heading", "> quote", "- item", "1. one"),
            *("[link](https://x.example)", "![](https://x.example/i.png)", "<b>", "</b>", "<br/>"),
            *(
                "```python\n",
                "```",
                "\n",
                "\n\n",
                " ",
                "|",
                "||",
                "| a | b |\n|---|---|\n| 1 | 2 |",
            ),
            *("$5", "\\$", "\\frac{1}{2}", "[1]: https://x.example", "&amp;", "👩‍👩‍👧", "🇳🇴🇸🇪"),
            *("e\u0301", "\u0000", "\ud83d", "\ufdd0", "a" * 1500, "word " * 300, "好" * 1200),
        ]
    )
    | st.text(max_size=20),
    max_size=25,
).map("".join)


def message(text: str, *, chat: str = "7", reply_to: str | None = None) -> OutboundMessage:
    reply = ReplyTo(message_ref=reply_to, sender_id="7") if reply_to else None
    return OutboundMessage(address=Address("tg", chat), text=text, reply_to=reply)


def texts(markdown: str) -> list[str]:
    return [part["text"] for part in parts(message(markdown))]


def kinds(markdown: str) -> list[tuple[str, str]]:
    """Each entity's type and the text it covers."""
    [part] = parts(message(markdown))
    raw = part["text"].encode("utf-16-le")
    return [
        (e["type"], raw[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le"))
        for e in part["entities"]
    ]


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("hello", "hello", []),
        ("**b** and *i*", "b and i", [("bold", "b"), ("italic", "i")]),
        ("# Title\n\nText", "Title\n\nText", [("bold", "Title"), ("underline", "Title")]),
        ("😀 **b**", "😀 b", [("bold", "b")]),
        ("`a_b*c`", "a_b*c", [("code", "a_b*c")]),
        ("[x](https://y.example)", "x", [("text_link", "x")]),
        ("~~old~~", "old", [("strikethrough", "old")]),
        ("> said", "said", [("blockquote", "said")]),
        ("- a\n- b", "• a\n• b", []),
        ("- [ ] a\n- [x] b", "☐ a\n☑ b", []),
        ("2. two\n3. three", "2. two\n3. three", []),
        ("```py\nx = 1\n```", "x = 1", [("pre", "x = 1")]),
        ("|a|b|\n|-|-|\n|1|2|", "a | b\n--+--\n1 | 2", [("pre", "a | b\n--+--\n1 | 2")]),
    ],
)
def test_markdown_becomes_text_and_entities(markdown, text, entities):
    assert texts(markdown) == [text]
    assert sorted(kinds(markdown)) == sorted(entities)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("use the <b> tag", "use the <b> tag"),
        ("<div>all of it</div>", "<div>all of it</div>"),
        ("<!-- note -->", "<!-- note -->"),
        ("a < b > c", "a < b > c"),
        ("`<b>`", "<b>"),
        ("from $10 to 20$ each", "from $10 to 20$ each"),
        ("**$1,234.50** and $5", "$1,234.50 and $5"),
        ("a \\$5 note", "a $5 note"),
        ("in C:\\Users from $10 to 20$ each", "in C:\\Users from $10 to 20$ each"),
        ("x || y || z", "x || y || z"),
        ("[1]: https://x.example", "[1]: https://x.example"),
        ("mail <ada@x.example>", "mail ada@x.example"),
        ("see <https://x.example/a>", "see https://x.example/a"),
        ("snake_case_name 2*3*4", "snake_case_name 234"),
        ("no \ufdd0 characters", "no \ufffd characters"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("nul \0byte", "nul byte"),
    ],
)
def test_what_markdown_would_swallow_is_kept(markdown, text):
    assert texts(markdown) == [text]


def test_a_link_target_that_is_used_is_a_link():
    assert kinds("see [docs]\n\n[docs]: https://x.example") == [("text_link", "docs")]


def test_a_formula_is_written_out():
    assert texts(r"so $\alpha \leq \beta$ holds") == ["so α ≤ β holds"]


@pytest.mark.parametrize("markdown", ["", " ", "\n\n", "\0", "\t \n"])
def test_nothing_visible_makes_no_part(markdown):
    assert parts(message(markdown)) == []


def test_markup_alone_is_shown_as_it_is():
    assert texts("---\n***\n") == ["————————\n————————"]
    assert texts("[]()") == ["[]()"]


def test_a_converter_that_fails_costs_the_formatting_and_nothing_else(monkeypatch):
    def failing(*_, **__):
        raise IndexError("a bug in the converter")

    monkeypatch.setattr(markdown, "convert", failing)

    assert parts(message("**hello**")) == [{"text": "**hello**", "entities": []}]


def test_a_text_of_exactly_the_limit_is_one_part():
    assert [len(text) for text in texts("a" * TEXT_UNITS)] == [TEXT_UNITS]


@pytest.mark.proves("TG-40")
def test_tg_40_the_limit_counts_utf16_units():
    assert [units(text) for text in texts("😀" * 2049)] == [4096, 2]


@pytest.mark.proves("C-11")
def test_c_11_long_replies_are_cut_between_paragraphs():
    paragraphs = [f"{n} " + "word " * 300 for n in range(5)]

    found = texts("\n\n".join(paragraphs))

    assert [text.split()[0] for text in found] == ["0", "2", "4"]


@pytest.mark.proves("C-11")
def test_c_11_a_code_block_cut_in_two_is_one_in_both_parts():
    lines = [f"    line_{n} = {n}" for n in range(400)]

    made = parts(message("```python\n" + "\n".join(lines) + "\n```"))

    assert len(made) > 1
    assert "\n".join(part["text"] for part in made).split("\n") == lines
    for part in made:
        length = units(part["text"])
        assert part["entities"] == [
            {"type": "pre", "offset": 0, "length": length, "language": "python"}
        ]


def test_a_long_quote_is_not_folded_away():
    assert kinds("> " + "said " * 100) == [("blockquote", ("said " * 100).strip())]


@pytest.mark.proves("C-11")
def test_c_11_a_link_is_never_cut():
    long_link = "[" + "linked words " * 100 + "](https://x.example)"

    made = parts(message("a " * 1700 + long_link))

    assert [len(part["entities"]) for part in made] == [0, 1]


def test_only_the_first_part_points_to_the_question_and_only_in_groups():
    long = "word " * 2000

    in_group = parts(message(long, chat="-5", reply_to="11"))
    in_private = parts(message(long, chat="7", reply_to="11"))

    assert ["reply_to" in part for part in in_group] == [True, False, False]
    assert in_group[0]["reply_to"] == "11"
    assert not any("reply_to" in part for part in in_private)


def test_no_part_holds_more_entities_than_telegram_keeps():
    [part] = parts(message("**b** " * 150))

    assert len(part["entities"]) == 100


def test_every_link_keeps_its_address_however_many_there_are():
    links = [f"[l{number}](https://x.example/{number})" for number in range(350)]

    made = parts(message("**b** " * 150 + " ".join(links)))

    addresses = [entity["url"] for part in made for entity in part["entities"] if "url" in entity]
    assert addresses == [f"https://x.example/{number}" for number in range(350)]
    assert max(len(part["entities"]) for part in made) == 100


@settings(deadline=None)
@given(MARKDOWN)
@example("> > deep\n> quote\n\n- **a\n- b**")
def test_every_part_keeps_telegrams_limits(markdown):
    for part in parts(message(markdown)):
        entities = [dict(entity) for entity in part["entities"]]
        assert broken_limit("sendMessage", {"text": part["text"], "entities": entities}) is None


@settings(deadline=None)
@given(MARKDOWN)
def test_cutting_loses_only_white_space(markdown):
    whole, _ = formatted(markdown)

    assert "".join("".join(texts(markdown)).split()) == "".join(whole.split())


@settings(deadline=None)
@given(MARKDOWN)
def test_visible_text_is_never_left_unsent(markdown):
    visible = markdown.replace("\0", "").strip()

    assert bool(parts(message(markdown))) == bool(visible)


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-zA-Z0-9]{1,12}", fullmatch=True), max_size=2000))
def test_plain_words_arrive_all_and_in_order(words):
    found = " ".join(texts(" ".join(words))).split()

    assert found == words


@settings(deadline=None)
@given(st.text(max_size=300))
def test_whatever_a_model_writes_can_be_rendered_and_stored(text):
    for part in parts(message(text)):
        assert json.loads(json.dumps(part, ensure_ascii=False).encode()) == part
