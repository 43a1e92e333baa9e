"""Long answers of every kind: within the limits, in order, nothing lost, never refused."""

import json
from itertools import count
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.telegram.outgoing import call_of, outgoing
from channels.telegram.render import CAPTION_UNITS, TEXT_UNITS, parts
from gateway.contract import Address, Attachment, Button, Json, OutboundMessage, ReplyTo
from gateway.contract.cut import units
from gateway.testing.telegram.rules import broken_limit
from gateway.testing.telegram.spec import Spec
from tests.channels.telegram.running import connected
from tests.testing.telegram.client import spec_file_if_any

CHARS: Final = 10_000
SPEC: Final = Spec.load(path) if (path := spec_file_if_any()) else None

BLOCKS = st.sampled_from(
    [
        "{} {} {} {} {} {} {} {}. {} {} {}!",
        "# {} {}",
        "**{} {}** and *{}*, `{}` ~~{}~~ ||{}|| [{} {}](https://x.example/{}?a=1&b=2)",
        "```python\n{} = {}('{}')  # <{}>\n\n    {} += 1\n```",
        "~~~\n{}\n```\n{}\n~~~",
        "| {} | {} |\n|---|:-:|\n| {} | **{}** |\n| `{}` | {} |",
        "- {}\n  - {}\n    1. {}\n- [x] {}\n- [ ] {}",
        "> {} {}\n> > {}\n\n{}",
        "{} 👩‍👩‍👧‍👦🇳🇴🏽 {} e\u0301\u0301 {} 好{}好 {}",
        "مرحبا {} بالعالم {} \u202eשלום {}\u202c {} עולם",
        "<b>{}</b> <script>{}</script> <!-- {} --> <a href='x'>{}</a> & {} &lt;{}",
        "*{} _{} **{} `{} [{}]( {} ]( ** __ {}",
        "$ {} costs $5, {} {} costs 10$ {} \\* {} \\_ {}",
        "![{}](https://x.example/i.png) {} @{} #{} /{} https://{}.example",
        "---\n{}\n===\n\n    {} {}\n\n***",
        "_*[]()~`>#+-=|{{}}.! {} \\{} *{}*{}*",
        "{}\u0000{}\ud83d{}\ufdd0{}",
        "{}" + "好" * 900 + "{}",
        "{} " + "A" * 3000 + " {}",
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A Markdown text of at least `CHARS` characters, and its words as they stand in it."""
    chosen = draw(st.lists(BLOCKS, min_size=4, max_size=12))
    gap = draw(st.sampled_from(["\n\n", "\n\n\n"]))
    number = count()
    made: list[str] = []
    words: list[str] = []
    while sum(map(len, made)) < CHARS:
        for block in chosen:
            fresh = [f"word{next(number)}x" for _ in range(block.replace("{{}}", "").count("{}"))]
            made.append(block.format(*fresh))
            words += fresh
    return gap.join(made), words


def found_in_order(words: list[str], text: str) -> list[str]:
    """The words that do not stand in the text after those before them."""
    missing, at = [], 0
    for word in words:
        place = text.find(word, at)
        if place < 0:
            missing.append(word)
        else:
            at = place + len(word)
    return missing


@pytest.mark.proves("C-11", "TG-40", "TG-43")
@settings(max_examples=40, deadline=None)
@given(answers())
def test_c_11_tg_40_tg_43_a_long_answer_arrives_whole_in_order_and_is_never_refused(answer):
    text, words = answer
    group = Address("tg", "-5", "12")
    message = OutboundMessage(
        address=group,
        text=text,
        buttons=(Button("Yes", "yes"), Button("Why?", "w" * 100)),
        attachments=(Attachment("image", "f", "a.png", "image/png"),),
        reply_to=ReplyTo("11", "7"),
    )

    made = parts(message)

    for part in made:
        assert json.loads(json.dumps(part, ensure_ascii=False).encode()) == part
        assert units(part["text"]) <= (CAPTION_UNITS if "media" in part else TEXT_UNITS)
        refuse_nothing(*call_of(outgoing(group, part), link_previews=False))
    seen = "\n".join(part["text"] for part in made)
    links = links_of(made)
    lost = [word for word in words if word not in seen and word not in links]
    assert lost == []
    shown = [word for word in words if word in seen]
    assert found_in_order(shown, seen) == []


@pytest.mark.proves("TG-45")
@settings(max_examples=15, deadline=None)
@given(answers())
def test_tg_45_a_long_rich_answer_holds_every_word_and_is_valid(answer):
    text, words = answer
    here = Address("tg", "7")

    [*made] = parts(OutboundMessage(address=here, text=text), rich=True)

    seen = " ".join(part.get("rich", part["text"]) for part in made) + links_of(made)
    assert [word for word in words if word not in seen] == []
    for part in made:
        refuse_nothing(*call_of(outgoing(here, part), link_previews=False))


@pytest.mark.proves("C-11")
async def test_c_11_a_long_answer_passes_the_strict_platform_as_it_was_cut():
    text = "\n\n".join(f"**{n}.** `code` and [link](https://x.example) " * 8 for n in range(40))
    async with connected() as running:
        for part in running.parts(text):
            await running.channel.deliver(Address("tg", "7"), part, delivery_id="dlv_1")

        assert len(running.telegram.sent(7)) >= 2
        assert running.telegram.problems == []


def links_of(made: list[Json]) -> str:
    """What the entities hold that the text does not show."""
    return " ".join(entity.get("url", "") for part in made for entity in part["entities"])


def refuse_nothing(method: str, parameters: dict[str, object]) -> None:
    """Judge a call as the strict fake does, by limits and by the specification."""
    plain = json.loads(json.dumps(parameters))
    assert broken_limit(method, plain) is None
    if SPEC is not None:
        file = (
            [] if method in ("sendMessage", "sendRichMessage") else ["sendPhoto: photo is missing"]
        )
        assert SPEC.call_problems(method, plain) == file
