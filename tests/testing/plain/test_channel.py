"""The plain channel in a real gateway that found it by its entry point."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.contract import Unreadable
from gateway.testing import Drop
from gateway.testing.plain.channel import parse
from gateway.testing.plain.installed import installed, on_plain
from gateway.testing.plain.server import PlainServer
from gateway.testing.scene import DESK, SCRIPTED, serving

LONG_S = 20.0


@asynccontextmanager
async def talking(folder: Path, *, shows: str = "none") -> AsyncIterator[PlainServer]:
    """A platform and a gateway that is connected to it."""
    async with PlainServer() as plain:
        config = SCRIPTED + DESK + on_plain(plain, shows=shows)
        async with serving(folder, config, environment=installed(folder)):
            yield plain


async def test_a_message_is_answered_once_however_often_it_comes(tmp_path: Path) -> None:
    async with talking(tmp_path) as plain:
        event = plain.post_text("7", "Hello")
        await plain.wait_for_sent(1, chat="7", timeout_s=LONG_S)
        plain.redeliver(event, 2)
        plain.post_text("7", "Bye")

        sent = await plain.wait_for_sent(2, chat="7", timeout_s=LONG_S)

        assert [message.text for message in sent] == ["Heard: Hello", "Heard: Bye"]
        assert plain.problems == []


async def test_a_reply_whose_answer_was_lost_is_asked_for_and_not_sent_again(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path) as plain:
        plain.fail("send", Drop(accepted=True))
        plain.post_text("7", "Hello")
        await plain.wait_for_calls("find", timeout_s=LONG_S)
        plain.post_text("7", "Bye")

        sent = await plain.wait_for_sent(2, chat="7", timeout_s=LONG_S)

        assert [message.text for message in sent] == ["Heard: Hello", "Heard: Bye"]
        assert plain.duplicates == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": "e1"}'])
def test_what_is_no_event_is_kept_for_the_operator(body: bytes) -> None:
    assert isinstance(parse(body, channel="plain", received_at=datetime.now(UTC)), Unreadable)
