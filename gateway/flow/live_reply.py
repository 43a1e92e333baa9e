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
MIN_PAUSE_S = 0.1
"""Between two calls at least, whatever an adapter asks for."""


class LiveReply:
    """The live output of one turn; a context manager around the thinking.

    `has_shown` says whether any text of the turn was on the platform.
    """

    def __init__(
        self, channel: Channel, address: Address, *, patience_s: float = CALL_TIMEOUT_S
    ) -> None:
        self._channel = channel
        self._address = address
        self._patience_s = patience_s
        self._text: list[str] = []
        self._label: str | None = None
        self._last: tuple[str | None, float] = (None, 0.0)
        self._task: asyncio.Task[None] | None = None
        self.has_shown = False

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
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait((self._task,), timeout=self._patience_s)
        if not self._task.done():
            log.warning("live_output_stuck", channel=self._channel.name)

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
                    is_growing = output.kind == "preview"
                    pause_s = output.min_interval_s if is_growing else output.refresh_s
                    await asyncio.sleep(max(pause_s, MIN_PAUSE_S))
        except Exception as error:  # noqa: BLE001 - a courtesy may fail in any way
            log.warning(
                "live_output_stopped", channel=self._channel.name, error=type(error).__name__
            )

    async def _show_once(self, output: LiveOutput) -> None:
        """Show what is new, or the same again before it vanishes."""
        text = "".join(self._text) if output.kind == "preview" else ""
        now = asyncio.get_running_loop().time()
        if text == self._last[0] and now - self._last[1] < output.refresh_s:
            return
        async with asyncio.timeout(self._patience_s):
            if text:
                await output.show(text)
                self.has_shown = True
            else:
                await output.working(self._label)
        self._last = (text, now)
