"""The chat page as a visitor uses it: by roles and labels, never by the page's own class names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from playwright.async_api import Locator, Page, expect


@dataclass(frozen=True, slots=True)
class ChatPage:
    """An open chat page. Waiting is built in: each look at it waits until it shows."""

    page: Page

    @classmethod
    async def open(cls, page: Page, address: str) -> Self:
        """Go there and wait until the page has loaded the conversation."""
        await page.goto(address)
        opened = cls(page)
        await opened.is_ready()
        return opened

    async def is_ready(self) -> None:
        await expect(self.page.get_by_role("button", name="New conversation")).to_be_enabled()

    @property
    def text(self) -> Locator:
        return self.page.get_by_role("textbox")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def messages(self) -> Locator:
        return self.log.get_by_role("article")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    async def say(self, text: str) -> None:
        """Write and press Enter."""
        await self.text.fill(text)
        await self.text.press("Enter")

    async def shows(self, text: str) -> None:
        """Wait until the conversation shows this."""
        await expect(self.log).to_contain_text(text)

    async def shows_not(self, text: str) -> None:
        """Wait until the conversation does not show this."""
        await expect(self.log).not_to_contain_text(text)

    async def is_idle(self) -> None:
        """Wait until no reply is being written."""
        await expect(self.button("Stop the reply")).to_be_hidden()
        await expect(self.log).to_have_attribute("aria-busy", "false")

    async def reload(self) -> None:
        await self.page.reload()
        await self.is_ready()
