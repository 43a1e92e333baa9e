"""The HTML documents of the chat page, made from a bot.

Takes a bot and the address of the assets, gives the document and the headers it is served with.
Everything that comes from configuration is escaped. The documents hold no inline script and no
inline style, so that their Content-Security-Policy can forbid both.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from gateway.api.talk.assets import Assets
from gateway.domain.bots import Bot

_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

PAGE_HEADERS: Final = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every document of this page (Content Security Policy Level 3, Trusted Types)."""

_SHORT_GREETING_CHARS: Final = 48
"""Up to here a greeting is set as a headline; a longer one reads better in a smaller size."""

_PROMPT: Final = Template(
    '<li><button type="button" class="prompt" data-text="$text"><span>$text</span>'
    '<svg class="icon" aria-hidden="true"><use href="#icon-arrow"/></svg></button></li>'
)


class Pages:
    """Renders the documents; reads their templates once."""

    def __init__(self, assets: Assets) -> None:
        folder = files(__package__) / "pages"
        self._chat = Template((folder / "chat.html").read_text("utf-8"))
        self._notice = Template((folder / "notice.html").read_text("utf-8"))
        self._assets = assets

    def chat(self, bot: Bot) -> str:
        """The chat page of a bot, before its first message."""
        address = f"assets/{self._assets.version}"
        preloads = "\n".join(
            f'<link rel="modulepreload" href="{address}/{name}">' for name in self._assets.modules
        )
        prompts = "".join(_PROMPT.substitute(text=escape(text)) for text in bot.suggestions)
        return self._chat.substitute(
            assets=address,
            preloads=preloads,
            slug=escape(bot.slug),
            name=escape(bot.name),
            mark=escape(initials(bot.name)),
            start_agent=escape(bot.start_agent),
            description=escape(bot.description),
            summary=escape(bot.description or f"Chat with {bot.name}"),
            greeting=escape(bot.greeting),
            greeting_size="is-long" if len(bot.greeting) > _SHORT_GREETING_CHARS else "is-short",
            prompts=prompts,
        )

    def notice(self, *, status: int, title: str, text: str) -> str:
        """A page that says one thing, for instance that nobody lives at this address."""
        return self._notice.substitute(
            assets=f"assets/{self._assets.version}",
            status=status,
            title=escape(title),
            text=escape(text),
        )


def initials(name: str) -> str:
    """One or two capital letters that stand for a name.

    >>> initials("Credit Card Hub"), initials("support")
    ('CC', 'S')
    """
    return "".join(word[0] for word in name.split()[:2]).upper()
