"""What replies look like as SMS and on WhatsApp, and where they are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.twilio.render import MAX_CHARS, MORE, sms_parts, whatsapp_parts
from channels.twilio.segments import is_gsm7, segment_count, transliterated
from channels.twilio.settings import SmsSettings
from channels.twilio.text import PLAIN, formatted
from gateway.contract import Address, Attachment, OutboundMessage
from gateway.contract.cut import units
from gateway.testing.conformance.texts import AWKWARD, words_of
from gateway.testing.twilio.endpoint import FAKE_ACCOUNT, NUMBER
from gateway.testing.twilio.segments import segment_count as twilios_count

PICTURE = Attachment("image", "file_1", "cat.jpg", "image/jpeg")


def options(**changed) -> SmsSettings:
    values = {"account_sid": FAKE_ACCOUNT, "auth_token": "t", "from": NUMBER, **changed}
    return SmsSettings.model_validate(values)


def said(text: str, *files: Attachment) -> OutboundMessage:
    return OutboundMessage(address=Address("sms", "+15557654321"), text=text, attachments=files)


def sms(text: str, *files: Attachment, **changed) -> list[str]:
    return [part["text"] for part in sms_parts(said(text, *files), options(**changed))]


def whatsapp(text: str) -> list[str]:
    return [part["text"] for part in whatsapp_parts(said(text))]


@pytest.mark.proves("TW-31")
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("[" * 153, 3),
        ("ł" * 70, 1),
        ("ł" * 71, 2),
        ("ł" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 69 + "😀", 2),
    ],
    ids=lambda value: f"{len(value)} of {value[:1]}" if isinstance(value, str) else str(value),
)
def test_tw_31_segments_are_counted_as_the_network_counts(text, count) -> None:
    assert segment_count(text) == count


@pytest.mark.proves("TW-31")
@given(st.text(alphabet="ab€[^|łéÇç😀\n ", max_size=400))
def test_tw_31_the_count_is_that_of_the_platform(text) -> None:
    assert segment_count(text) == twilios_count(text)


@pytest.mark.proves("TW-31")
def test_tw_31_an_sms_is_plain_text_with_its_links_written_out() -> None:
    text = "# Hi\n\nSee **our** [page](https://x.example/a_b) or `go`.\n\n- one\n- two\n\n1. _x_\n"

    assert sms(text) == [
        "Hi\n\nSee our page (https://x.example/a_b) or go.\n\n- one\n- two\n\n1. x"
    ]


@pytest.mark.proves("TW-31")
def test_tw_31_typography_becomes_gsm_7_unless_it_shall_not() -> None:
    text = "“Yes” – it’s 5\u00a0€… • ok"

    assert sms(text) == ['"Yes" - it\'s 5 €... - ok']
    assert is_gsm7(sms(text)[0])
    assert sms(text, transliterate=False) == [text]


@pytest.mark.proves("TW-31")
def test_tw_31_letters_keep_their_accents() -> None:
    assert transliterated("Łódź, ça va? Ñandú") == "Łódź, ça va? Ñandú"


@pytest.mark.proves("TW-31")
def test_tw_31_a_long_reply_is_cut_and_tells_that_there_is_more() -> None:
    parts = sms_parts(said(AWKWARD["ten thousand characters"]), options())

    assert len(parts) == 3
    assert all(units(part["text"]) <= 480 for part in parts)
    assert parts[-1]["text"].endswith(MORE)
    assert [part["segments"] for part in parts] == [segment_count(p["text"]) for p in parts]
    kept = words_of(part["text"] for part in parts)
    assert kept == [f"word{number}" for number in range(len(kept))]


@pytest.mark.proves("TW-31")
def test_tw_31_a_reply_that_just_fits_has_no_notice() -> None:
    parts = sms("\n\n".join("a" * 478 for _ in range(3)))

    assert [len(part) for part in parts] == [478, 478, 478]


def test_an_address_is_not_cut_and_its_underscores_stay() -> None:
    link = "https://x.example/_a_/" + "b" * 60
    parts = sms("word " * 20 + link, part_chars=90)

    assert parts[-1] == link


def test_whatsapp_has_marks_of_its_own() -> None:
    text = (
        "# Hi **you**\n\n**b** _i_ ~~s~~ `c`\n\n```python\nx = 1\n```\n> q\n\n"
        "| a | b |\n|-|-|\n| 1 | 2 |"
    )

    assert whatsapp(text) == ["*Hi you*\n\n*b* _i_ ~s~ `c`\n\n```x = 1```\n\n> q\n\na | b\n1 | 2"]


@pytest.mark.proves("C-11", "TW-30")
def test_c_11_code_that_is_cut_is_code_in_both_parts() -> None:
    parts = whatsapp(AWKWARD["a code fence"])

    assert len(parts) > 2
    assert all(part.count("```") == 2 for part in parts)
    assert all(units(part) <= MAX_CHARS for part in parts)
    assert words_of(parts) == words_of([AWKWARD["a code fence"]])


@pytest.mark.proves("C-11")
def test_c_11_a_family_is_not_cut_in_two() -> None:
    family = "👩‍👩‍👧‍👦"
    parts = sms(family * 100, part_chars=70, max_parts=100)

    assert "".join(parts) == family * 100
    assert all(part.startswith("👩") and part.endswith("👦") for part in parts)


@pytest.mark.proves("C-12")
@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
def test_c_12_no_text_is_lost_to_its_formatting(text) -> None:
    assert words_of(["".join(sms(text, max_parts=100, part_chars=1600))]) == words_of([text])
    assert words_of(["".join(whatsapp(text))]) == words_of([text])


@pytest.mark.parametrize("text", ["> " * 200 + "word0", "[" * 5000 + "word0", "- " * 300 + "word0"])
def test_what_is_nested_too_deep_stays_as_it_is(text) -> None:
    assert words_of(whatsapp(text)) == ["word0"]


def test_control_characters_do_not_reach_a_telephone() -> None:
    assert sms("a\x07b\x1b[31mc\u202ed\x00e\r\nf\ud800") == ["ab[31mcde\nf\ufffd"]


def test_files_go_with_the_last_part_of_an_sms_and_alone_on_whatsapp() -> None:
    medium = {"ref": "file_1", "name": "cat.jpg", "mime": "image/jpeg"}

    assert [part.get("media") for part in sms_parts(said("a", PICTURE), options())] == [[medium]]
    assert sms_parts(said("", PICTURE), options())[0]["media"] == [medium]
    assert [len(p["media"]) for p in sms_parts(said("", *[PICTURE] * 12), options())] == [10, 2]
    assert [part.get("media") for part in whatsapp_parts(said("a", PICTURE))] == [None, [medium]]


PIECES = st.sampled_from(
    [
        "**{}**",
        "_{}_",
        "~~{}~~",
        "`{}`",
        "# {}\n",
        "- {}\n",
        "> {}\n",
        "{}\n\n",
        "```python\n{}\n```\n",
        "| {} | x |\n|---|---|\n| y | z |\n\n",
        "[{}](https://example.com/a_(b)?c=d)",
        "<b onclick=x>{}</b>",
        "{} \U0001f469\u200d\U0001f469\u200d\U0001f467 ",
        "{} שלום عليكم ",
        "*{} **",
        "[{}](javascript:alert(1))",
        "\\*{}\\_",
        "{}é\u0323\u0308",
        "<!channel> {} &amp; ",
        "{}\n",
        "1. {}\n",
        "~~~\n{}\n",
        "\u202e{}\u202c",
        "![{}](http://x/y.png)",
    ]
)


@pytest.mark.proves("C-11", "C-12", "TW-30", "TW-31")
@settings(max_examples=40, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=60), st.integers(1, 40))
def test_tw_31_long_markdown_stays_whole_in_order_and_within_limits(pieces, repeats) -> None:
    many = (pieces * repeats)[:900]
    text = " ".join(piece.format(f"word{number}") for number, piece in enumerate(many))[:10_000]
    wanted = list(words_of([text]))[:-1]

    cut = whatsapp(text)
    assert words_of(cut)[: len(wanted)] == wanted
    assert all(0 < units(part) <= MAX_CHARS for part in cut)
    messages = sms(text)
    assert all(0 < units(part) <= 480 for part in messages)
    assert len(messages) <= 3
    kept = [word for word in words_of(messages) if not messages[-1].endswith(MORE + word)]
    assert kept[: len(wanted)] == wanted[: len(kept)]
    if not messages[-1].endswith(MORE):
        assert kept[: len(wanted)] == wanted


def test_a_plain_text_is_not_changed_by_being_read() -> None:
    text = "Dear Ada,\nyour code is 123-456 (valid 5 min).\n\nBye"

    assert formatted(text, style=PLAIN).text == text
