"""Shows a running turn on its channel: typing signals, a preview of the text, or a growing message.

A courtesy that promises nothing: each call has 5 s, the first failure ends it for this turn, and it
is over before the turn is committed. Speaks only the channel contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

import structlog

from gateway.contract import Address, Channel, LiveOutput, OutboundMessage, ReplyTo
from gateway.domain.turns import (
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolCalled,
    TurnEvent,
)
from gateway.flow.growing import GrowingMessage

log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 5.0
MIN_PAUSE_S = 0.1
"""Between two calls at least, whatever an adapter asks for."""


class LiveReply:
    """The live output of one turn; a context manager around the thinking.

    `growing` is where a channel shows real messages; without it they are only signalled. Nothing is
    shown while `is_ours` is False. `has_shown` says whether any text of the turn was on the
    platform.
    """

    def __init__(
        self,
        channel: Channel,
        address: Address,
        *,
        reply_to: ReplyTo | None = None,
        growing: GrowingMessage | None = None,
        is_ours: Callable[[], bool] | None = None,
        patience_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._channel = channel
        self._address = address
        self._reply_to = reply_to
        self._growing = growing
        self._is_ours = is_ours or _always
        self._patience_s = patience_s
        self._text: list[str] = []
        self._first_message: str | None = None
        self._full_at: int | None = None
        self._label: str | None = None
        self._last: tuple[str | None, float] = (None, 0.0)
        self._task: asyncio.Task[None] | None = None
        self._is_open = False
        self._is_opening = False
        self._is_stopped = False
        self.has_shown = False

    @property
    def wants_text(self) -> bool:
        """Whether text pieces are of use, or only the fact that something happens."""
        return self._channel.capabilities.live in ("preview", "message")

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
        self._is_stopped = True
        if not self._is_opening:
            self._task.cancel()
        # A message that is being opened is waited for: only its reference lets it be finished.
        await asyncio.wait((self._task,), timeout=self._patience_s)
        if not self._task.done():
            self._task.cancel()
            log.warning("live_output_stuck", channel=self._channel.name)

    def notice(self, event: TurnEvent) -> None:
        """Take what is worth showing from an event."""
        match event:
            case TextDelta():
                self._text.append(event.text)
            case MessageStarted() | TextRestarted():
                self._text.clear()
                self._full_at = None
            case MessageCompleted(message):
                is_said = message.role == "assistant" and message.visibility == "external"
                if is_said and message.text and self._first_message is None:
                    self._first_message = message.text
            case ToolCalled():
                self._label = event.call.name
            case _:
                pass

    async def _show_all(self) -> None:
        """Show until cancelled; any error ends it quietly, as the turn must not depend on it."""
        try:
            open_ref = await self._show(None)
            if open_ref is not None:
                await self._show(open_ref)
        except Exception as error:  # noqa: BLE001 - a courtesy may fail in any way
            log.warning(
                "live_output_stopped", channel=self._channel.name, error=type(error).__name__
            )

    async def _show(self, open_ref: str | None) -> str | None:
        """Show until stopped; at once the reference of a message that is to be gone on with."""
        async with self._channel.live(self._address, self._reply_to, open_ref=open_ref) as output:
            if output is None:
                return None
            self._is_open = open_ref is not None
            if output.kind == "message" and not self._is_open:
                found_ref = await self._open(output)
                if found_ref is not None:
                    return found_ref
            while not self._is_stopped:
                await self._show_once(output)
                await asyncio.sleep(_pause_s(output))
        return None

    async def _open(self, output: LiveOutput) -> str | None:
        """Open the message with the first text; the reference instead if it was opened before."""
        while not self._text or self._growing is None:
            await self._show_once(output)
            await asyncio.sleep(_pause_s(output))
        self._is_opening = True
        try:
            async with asyncio.timeout(self._patience_s):
                delivery = await self._growing.place() if self._is_ours() else None
                if delivery is None or self._is_stopped:
                    return None
                if delivery.open_ref is not None:
                    return delivery.open_ref
                if self._is_ours():
                    self._is_open = await self._growing.open(output, delivery)
        finally:
            self._is_opening = False
        return None

    async def _show_once(self, output: LiveOutput) -> None:
        """Show what is new, or the same again before it vanishes; a signal where there is none."""
        text = self._text_for(output)
        now = asyncio.get_running_loop().time()
        is_new = text != self._last[0]
        if not self._is_ours() or (not is_new and now - self._last[1] < output.refresh_s):
            return
        async with asyncio.timeout(self._patience_s):
            if text and (is_new or output.kind == "preview"):
                await output.show(text)
                self.has_shown = True
            else:
                await output.working(self._label)
        self._last = (text, now)

    def _text_for(self, output: LiveOutput) -> str:
        """What that output shows now; a growing message is the first of the turn and no other."""
        if output.kind == "preview":
            return "".join(self._text)
        if output.kind != "message" or not self._is_open:
            return ""
        text = self._first_message or "".join(self._text)
        last = self._last[0] or ""
        return text if text in ("", last) or self._fits(text) else last

    def _fits(self, text: str) -> bool:
        """Whether a text is one part still: what comes after the first part is not shown."""
        if self._full_at is not None and len(text) >= self._full_at:
            return False
        parts = self._channel.render(OutboundMessage(address=self._address, text=text))
        if len(parts) > 1:
            self._full_at = len(text)
        return len(parts) <= 1


def _pause_s(output: LiveOutput) -> float:
    """How long to wait before the next look at what there is to show."""
    pause_s = output.refresh_s if output.kind == "signal" else output.min_interval_s
    return max(pause_s, MIN_PAUSE_S)


def _always() -> bool:
    return True
