"""Debian's Chromium for the tests, driven by Playwright: no browser of its own, no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_LAPTOP: ViewportSize = {"width": 1280, "height": 800}
_PHONE: ViewportSize = {"width": 390, "height": 844}
_LIMIT_MS = 10_000


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless browser; skips the test where none is installed, but never in CI."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: CI must run the browser tests")
        pytest.skip("chromium is not installed")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def watched_page(browser: Browser, *, is_phone: bool = False) -> AsyncIterator[Page]:
    """A page in a fresh profile; the test fails when the page logs an error or throws."""
    context = await browser.new_context(
        viewport=_PHONE if is_phone else _LAPTOP, is_mobile=is_phone, has_touch=is_phone
    )
    context.set_default_timeout(_LIMIT_MS)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    yield page
    await context.close()
    expected = ("Failed to load resource", "net::ERR_")
    assert [line for line in errors if not line.startswith(expected)] == []
