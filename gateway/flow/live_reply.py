"""Shows a running turn on its channel: typing signals, and a preview of the growing text.

A courtesy that promises nothing: each call has 5 s, the first failure ends it for this turn, and it
is over before the turn is committed. Speaks only the channel contract.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

import structlog

from gateway.contract import Address, Channel, LiveOutput
from gateway.domain.turns import MessageStarted, TextDelta, TextRestarted, ToolCalled, TurnEvent

log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 5.0


class LiveReply:
    """The live output of one turn; a context manager around the thinking."""

    def __init__(self, channel: Channel, address: Address) -> None:
        self._channel = channel
        self._address = address
        self._text: list[str] = []
        self._label: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def wants_text(self) -> bool:
        """Whether text pieces are of use, or only the fact that something happens."""
        return self._channel.capabilities.live == "preview"

    async def __aenter__(self) -> LiveReply:
        if self._channel.capabilities.live != "none":
            self._task = asyncio.create_task(self._show_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def notice(self, event: TurnEvent) -> None:
        """Take what is worth showing from an event."""
        match event:
            case TextDelta():
                self._text.append(event.text)
            case MessageStarted() | TextRestarted():
                self._text.clear()
            case ToolCalled():
                self._label = event.call.name
            case _:
                pass

    async def _show_all(self) -> None:
        """Show until cancelled; any error ends it quietly, as the turn must not depend on it."""
        try:
            async with self._channel.live(self._address, None) as output:
                while output is not None:
                    await self._show_once(output)
        except Exception as error:  # noqa: BLE001 - a courtesy may fail in any way
            log.warning(
                "live_output_stopped", channel=self._channel.name, error=type(error).__name__
            )

    async def _show_once(self, output: LiveOutput) -> None:
        text = "".join(self._text)
        async with asyncio.timeout(CALL_TIMEOUT_S):
            if output.kind == "preview" and text:
                await output.show(text)
            else:
                await output.working(self._label)
        await asyncio.sleep(output.min_interval_s if text else output.refresh_s)
