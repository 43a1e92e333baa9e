"""The one door: what arrives becomes turns in the store, and only then is anything acknowledged.

Takes `Inbound` batches of channels and `NewTurn` entries of the services. Gives `Accepted` after
the commit, hands claimed turns to the worker and wakes whoever has work. Answers nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import assert_never

import structlog

from gateway.contract import (
    ActionPressed,
    Address,
    AddressMoved,
    Arrival,
    ConsentChanged,
    DeliveryReport,
    Inbound,
    InboundMessage,
    Json,
    MessageEdited,
    OutboundMessage,
    Reachability,
    Sender,
    StopPressed,
    Unreadable,
)
from gateway.domain.conversation import ContentPart, FilePart, Message, TextPart
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import new_delivery_id, new_message_id, new_turn_id
from gateway.domain.people import IdentityKey
from gateway.domain.policy import QueueLimits
from gateway.errors import Unavailable
from gateway.flow import gate
from gateway.flow.accept_times import AcceptTimes
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.crash_points import crash_point
from gateway.flow.replies import render_replies, reply_message
from gateway.flow.worker import Worker
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import (
    Accepted,
    Cursor,
    EditMessage,
    Entry,
    Event,
    KeepUnreadable,
    MoveAddress,
    NewTurn,
    ReportDelivery,
    SetReachability,
    TerminalTurn,
)

log = structlog.get_logger(__name__)

MAX_BUSY_NOTES = 1000
"""Chats for which the busy note is kept rendered."""


@dataclass(slots=True)
class Admission:
    """Whether anything may be accepted now; the janitor closes it when the disk is nearly full."""

    refusal: str | None = None

    def check(self) -> None:
        """Raise Unavailable while closed."""
        if self.refusal is not None:
            raise Unavailable(self.refusal, retry_after_s=5, code="not_ready")


class Intake:
    """Accepts for one process; `times` tells how long that has taken."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        worker: Worker,
        wake_outbox: Callable[[], None],
        limits: QueueLimits,
        admission: Admission,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._worker = worker
        self._wake_outbox = wake_outbox
        self._limits = limits
        self._admission = admission
        self._busy_parts: dict[Address, list[Json]] = {}
        self.times = AcceptTimes()

    async def accept(
        self, entries: Sequence[Entry], *, cursor: Cursor | None = None
    ) -> list[Accepted]:
        """Commit entries, start what may run here, and say what became of each.

        Goes on when the caller is cut off meanwhile: a turn that was claimed must be started.
        Raises what `InboxStore.accept` raises, and Unavailable while nothing is admitted.
        """
        crash_point("after_receive")
        self._admission.check()
        accepting = asyncio.create_task(self._accept(entries, cursor=cursor))
        accepted = await asyncio.shield(accepting)
        crash_point("before_ack")
        return accepted

    async def _accept(self, entries: Sequence[Entry], *, cursor: Cursor | None) -> list[Accepted]:
        terms, began = self._worker.reserve(len(entries)), perf_counter()
        try:
            crash_point("before_t1")
            accepted = await self._store.accept(
                entries, limits=self._limits, claim=terms, cursor=cursor
            )
            crash_point("after_t1")
            for entry, result in zip(entries, accepted, strict=True):
                self._follow_up(entry, result)
        finally:
            self.times.note(perf_counter() - began)
            self._worker.release(terms)
        return accepted

    async def accept_inbound(
        self, channel: str, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        """Commit what a channel heard, together with its cursor (name, value)."""
        binding = self._catalogue().channels[channel]
        entries = [await self._entry(inbound, binding) for inbound in batch]
        position = Cursor(channel, *cursor) if cursor else None
        if entries or position:
            await self.accept(entries, cursor=position)

    def suggestions(self, channel: str) -> Sequence[str]:
        """What the bot of that channel offers to ask first."""
        catalogue = self._catalogue()
        binding = catalogue.channels[channel]
        bot = catalogue.bot(binding.project_id, binding.bot)
        return bot.suggestions if bot is not None else ()

    async def heard_at(self, channel: str, account: str, address: Address) -> datetime | None:
        """When a person last wrote at that address of a channel, or None."""
        project_id = self._catalogue().channels[channel].project_id
        return await self._store.heard_at(project_id, account=account, address=address)

    def _follow_up(self, entry: Entry, result: Accepted) -> None:
        if result.digest_differs:
            log.warning("inbox_digest_mismatch", turn_id=result.turn_id)
        if not isinstance(entry, NewTurn) or not result.is_new:
            return
        if result.claimed is not None:
            self._worker.start(result.claimed)
        elif result.state == "queued":
            self._worker.wake()
        if entry.terminal is not None and entry.terminal.cancels and result.session_id:
            self._worker.cancel_session(result.session_id)
        if result.state not in ("queued", "running"):
            self._wake_outbox()
        log.debug(
            "inbound_accepted",
            turn_id=result.turn_id,
            session_id=result.session_id,
            text=entry.message.text if entry.message else None,
            name=entry.identity.name if entry.identity else None,
        )

    async def _entry(self, inbound: Inbound, binding: ChannelBinding) -> Entry:
        project, event, account = binding.project_id, _event(inbound), inbound.account
        match inbound:
            case InboundMessage() | ActionPressed():
                return await self._turn(inbound, binding)
            case MessageEdited():
                return EditMessage(
                    project_id=project,
                    event=event,
                    account=account,
                    address=inbound.address,
                    message_ref=inbound.message_ref,
                    text=inbound.text,
                )
            case StopPressed():
                return _stop(inbound, binding)
            case ConsentChanged():
                return SetReachability(
                    project_id=project,
                    event=event,
                    account=account,
                    address=inbound.address,
                    is_reachable=not inbound.is_opted_out,
                )
            case AddressMoved():
                return MoveAddress(
                    project_id=project,
                    event=event,
                    account=account,
                    old=inbound.old,
                    new=inbound.new,
                )
            case Reachability():
                return SetReachability(
                    project_id=project,
                    event=event,
                    account=account,
                    address=inbound.address,
                    is_reachable=inbound.is_reachable,
                )
            case DeliveryReport():
                return ReportDelivery(
                    project_id=project,
                    event=event,
                    account=account,
                    status=inbound.status,
                    delivery_id=inbound.delivery_id,
                    provider_id=inbound.provider_id,
                    error=inbound.error,
                )
            case Unreadable():
                log.warning("inbound_unreadable", channel=binding.name, reason=inbound.reason)
                return KeepUnreadable(
                    project_id=project, event=event, raw=inbound.raw, reason=inbound.reason
                )
        assert_never(inbound)

    async def _turn(
        self, inbound: InboundMessage | ActionPressed, binding: ChannelBinding
    ) -> NewTurn:
        bot = self._catalogue().bot(binding.project_id, binding.bot)
        answer = gate.answer(inbound, binding=binding, bot=bot)
        terminal = await self._terminal(answer, inbound, binding) if answer else None
        message = inbound if isinstance(inbound, InboundMessage) else None
        return NewTurn(
            project_id=binding.project_id,
            channel=binding.name,
            account=inbound.account,
            bot=binding.bot,
            turn_id=new_turn_id(),
            kind="command" if terminal else "message",
            message=_user_message(inbound),
            event=_event(inbound),
            identity=_identity(inbound.sender),
            address=inbound.address,
            session_idle_s=bot.session_idle_s if bot else 0,
            reopens=True,
            when_full="join",
            busy_reply=self._busy_reply(binding, inbound.address),
            delay_s=binding.debounce_s,
            group_id=message.group_id if message else None,
            source_order=message.source_order if message else None,
            terminal=terminal,
        )

    async def _terminal(
        self, answer: gate.Answer, inbound: InboundMessage | ActionPressed, binding: ChannelBinding
    ) -> TerminalTurn:
        text = answer.text
        if answer.is_status:
            pending = await self._store.pending_turns(
                binding.project_id, account=inbound.account, address=inbound.address
            )
            text = gate.status_text(pending)
        reply = reply_message(text)
        channel = binding.channel
        is_sent = channel.capabilities.delivers
        return TerminalTurn(
            state="done",
            messages=(reply,),
            deliveries=render_replies([reply], channel=channel, address=inbound.address)
            if is_sent
            else (),
            ends_session="new" if answer.ends_session else None,
            cancels=answer.cancels,
        )

    def _busy_reply(self, binding: ChannelBinding, address: Address) -> tuple[NewDelivery, ...]:
        """The busy note, rendered once a chat: it is prepared for every message."""
        if not binding.channel.capabilities.delivers:
            return ()
        parts = self._busy_parts.get(address)
        if parts is None:
            if len(self._busy_parts) >= MAX_BUSY_NOTES:
                self._busy_parts.clear()
            parts = binding.channel.render(OutboundMessage(address=address, text=gate.BUSY))
            self._busy_parts[address] = parts
        return tuple(
            NewDelivery(id=new_delivery_id(), part_no=number, part=part)
            for number, part in enumerate(parts)
        )


def _stop(pressed: StopPressed, binding: ChannelBinding) -> NewTurn:
    """A command without words: it cancels what runs and waits, and is not answered."""
    return NewTurn(
        project_id=binding.project_id,
        channel=binding.name,
        account=pressed.account,
        bot=binding.bot,
        turn_id=new_turn_id(),
        kind="command",
        event=_event(pressed),
        identity=_identity(pressed.sender),
        address=pressed.address,
        reopens=True,
        terminal=TerminalTurn(state="done", cancels=True),
    )


def _identity(sender: Sender) -> IdentityKey:
    return IdentityKey(platform=sender.platform, external_id=sender.external_id, name=sender.name)


def _user_message(inbound: InboundMessage | ActionPressed) -> Message:
    """What a person said: text, and files by reference; a pressed button says its value."""
    content: tuple[ContentPart, ...]
    if isinstance(inbound, ActionPressed):
        content = (TextPart(inbound.value),)
    else:
        files = [FilePart(a.ref, a.name, a.mime, a.size_bytes) for a in inbound.attachments]
        content = (TextPart(inbound.text), *files) if inbound.text or not files else tuple(files)
    return Message(
        id=new_message_id(), role="user", content=content, message_ref=inbound.message_ref
    )


def _event(arrival: Arrival) -> Event:
    return Event(
        account=arrival.account,
        event_id=arrival.external_id,
        digest=arrival.digest,
        second_id=arrival.second_id,
        received_at=arrival.received_at,
    )
