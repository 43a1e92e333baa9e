"""Shows a running turn on its channel: typing signals, a preview of the text, or a growing message.

A courtesy that promises nothing: each call has 5 s, the first failure ends it for this turn and is
counted, deliveries go first, and it is over before the turn is committed. Speaks only the channel
contract.
"""

from __future__ import annotations

import asyncio
from collections import Counter
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
from gateway.flow.pace import Pacer, Pacers

log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 5.0
MIN_PAUSE_S = 0.1
"""Between two calls at least, whatever an adapter asks for."""
CUT_OFF_S = 1.0
"""How long a call that is cut off may take to notice it."""


class LiveOutputs:
    """The live output of one process: its pace, and how often it broke on each channel."""

    def __init__(self, pacers: Pacers | None = None) -> None:
        self.pacers = pacers or Pacers()
        self.failures: Counter[str] = Counter()


class LiveReply:
    """The live output of one turn; a context manager around the thinking.

    `growing` is where a channel shows real messages; without it they are only signalled, and with
    `signals_only` so is everything. Nothing is shown while `is_ours` is False. `has_shown` says
    whether any text of the turn was on the platform.
    """

    def __init__(
        self,
        channel: Channel,
        address: Address,
        *,
        reply_to: ReplyTo | None = None,
        growing: GrowingMessage | None = None,
        is_ours: Callable[[], bool] | None = None,
        signals_only: bool = False,
        outputs: LiveOutputs | None = None,
        patience_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._channel = channel
        self._address = address
        self._reply_to = reply_to
        self._growing = None if signals_only else growing
        self._is_ours = is_ours or _always
        self._signals_only = signals_only
        self._outputs = outputs or LiveOutputs()
        self._patience_s = patience_s
        self._text: list[str] = []
        self._first_message: str | None = None
        self._full_at: int | None = None
        self._label: str | None = None
        self._last: tuple[str | None, str | None, float] = (None, None, 0.0)
        self._task: asyncio.Task[None] | None = None
        self._is_open = False
        self._is_opening = False
        self._is_stopped = False
        self.has_shown = False

    @property
    def wants_text(self) -> bool:
        """Whether text pieces are of use, or only the fact that something happens."""
        is_textual = self._channel.capabilities.live in ("preview", "message")
        return is_textual and not self._signals_only

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
            await asyncio.wait((self._task,), timeout=CUT_OFF_S)

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
            self._outputs.failures[self._channel.name] += 1
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
        while not self._text or self._growing is None or not self._may_call(output):
            await self._show_once(output)
            await asyncio.sleep(_pause_s(output))
        self._is_opening = True
        try:
            async with asyncio.timeout(self._patience_s):
                place = await self._growing.place() if self._is_ours() else None
                if place is None:
                    return None
                if self._is_stopped or not self._is_ours():
                    await self._growing.leave(place)
                    return None
                if place.delivery.open_ref is not None:
                    return place.delivery.open_ref
                self._is_open = await self._growing.open(output, place)
        finally:
            self._is_opening = False
        return None

    async def _show_once(self, output: LiveOutput) -> None:
        """Show what is new, or the same again before it vanishes; a signal where there is none."""
        text, label = self._text_for(output), self._label
        now = asyncio.get_running_loop().time()
        shown, told, at = self._last
        is_due = now - at >= output.refresh_s
        is_new = text != shown or (label != told and not text)
        if not self._is_ours() or not (is_new or is_due):
            return
        is_text = bool(text) and (text != shown or output.kind == "preview")
        async with asyncio.timeout(self._patience_s):
            if is_text and self._may_call(output):
                await output.show(text)
                self._last = (text, label, now)
                self.has_shown = True
            elif is_due or not is_text:
                await output.working(label)
                self._last = (shown if is_text else text, label, now)

    def _may_call(self, output: LiveOutput) -> bool:
        """Whether the pace has room for more than a signal now, which is then taken."""
        now = asyncio.get_running_loop().time()
        pacer: Pacer = self._outputs.pacers.of(self._channel, now=now)
        return pacer.spare(self._address, is_message=output.kind == "message", now=now)

    def _text_for(self, output: LiveOutput) -> str:
        """What that output shows now; a growing message is the first of the turn and no other."""
        if self._signals_only:
            return ""
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
    return max(output.min_interval_s, MIN_PAUSE_S)


def _always() -> bool:
    return True
