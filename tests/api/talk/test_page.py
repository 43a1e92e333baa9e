"""The page's documents: what they say, what they escape, what their headers forbid."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gateway.api.talk.assets import Assets
from gateway.api.talk.page import PAGE_HEADERS, Pages
from gateway.domain.bots import Bot

HOSTILE = '"><script>alert(1)</script>'
AA_TEXT = 4.5


class Outline(HTMLParser):
    """Collects what a policy without 'unsafe-inline' would forbid, and every address."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.addresses: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.inline += [name for name in names if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.inline.append(tag)
        if tag in {"link", "script"}:
            self.addresses.append(names.get("src") or names.get("href") or "")


def documents(bot: Bot) -> list[str]:
    pages = Pages(Assets.load())
    return [pages.chat(bot), pages.notice(status=404, title=bot.name, text=bot.description)]


def test_the_page_introduces_the_bot(bot: Bot) -> None:
    page, _ = documents(bot)

    assert "<title>Card Support</title>" in page
    assert '<h2 class="is-short">What can we do for you?</h2>' in page
    assert "<p>Balances and disputes</p>" in page
    assert '<html lang="en">' in page


def test_the_page_tells_that_it_needs_scripts(bot: Bot) -> None:
    page, _ = documents(bot)

    assert "This chat needs JavaScript" in page.split("<noscript>")[1].split("</noscript>")[0]


def test_names_and_texts_of_a_bot_are_escaped(bot: Bot) -> None:
    hostile = replace(bot, slug=HOSTILE, name=HOSTILE, description=HOSTILE, greeting=HOSTILE)

    for document in documents(hostile):
        assert "<script>" not in document
        assert "&lt;script&gt;" in document


def test_no_document_needs_inline_script_or_style(bot: Bot) -> None:
    assert [Outline(document).inline for document in documents(bot)] == [[], []]
    assert "unsafe" not in PAGE_HEADERS["Content-Security-Policy"]


def test_every_asset_a_document_names_is_served(bot: Bot) -> None:
    assets = Assets.load()
    prefix = f"assets/{assets.version}/"

    named = [address for document in documents(bot) for address in Outline(document).addresses]

    assert all(address.startswith(prefix) for address in named)
    assert {address.removeprefix(prefix) for address in named} <= set(assets.by_name)


def test_the_page_offers_what_a_person_could_ask_first(bot: Bot) -> None:
    page, _ = documents(bot)

    assert re.findall(r'data-text="(.*?)"', page) == ["What do I owe?", "Where is my card?"]


def colours(scheme: str) -> dict[str, str]:
    """Name -> hexadecimal colour of a scheme in the style sheet."""
    sheet = Assets.load().by_name["theme.css"].body.decode()
    light, dark = sheet.split("@media (prefers-color-scheme: dark)")
    values = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", light))
    return (
        values if scheme == "light" else values | dict(re.findall(r"--([\w-]+):\s*(#\w{6})", dark))
    )


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "page"),
        ("ink", "surface"),
        ("ink", "sunken"),
        ("muted", "page"),
        ("muted", "surface"),
        ("muted", "sunken"),
        ("accent-strong", "surface"),
        ("on-accent", "accent"),
        ("on-mine", "mine"),
        ("danger", "danger-wash"),
        ("warn-ink", "warn-wash"),
        *((f"tint-{number}-ink", f"tint-{number}-wash") for number in range(6)),
    ],
)
def test_text_stands_out_from_its_ground(scheme: str, text: str, ground: str) -> None:
    palette = colours(scheme)

    assert contrast(palette[text], palette[ground]) >= AA_TEXT
