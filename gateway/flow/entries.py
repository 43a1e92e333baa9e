"""What arrives, as the entries that the store takes: new turns, edits, reports and the rest.

Takes `Inbound` values of one channel, gives `Entry` values; what is answered without a model is
rendered into them. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
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
    ReplyTo,
    Sender,
    StopPressed,
    Unreadable,
)
from gateway.domain.conversation import ContentPart, FilePart, Message, TextPart
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import new_delivery_id, new_message_id, new_turn_id
from gateway.domain.people import IdentityKey
from gateway.flow import gate
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.replies import render_replies, reply_message
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import (
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


class Translator:
    """From what channels hear to what the store is told."""

    def __init__(self, store: Store, catalogue: Callable[[], Catalogue]) -> None:
        self._store = store
        self._catalogue = catalogue
        self._busy_parts: dict[Address, list[Json]] = {}

    async def entry(self, inbound: Inbound, binding: ChannelBinding) -> Entry:
        """What that arrival is to the store."""
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
            when_busy=binding.when_busy,
            group_id=message.group_id if message else None,
            needs_session=message is not None and message.needs_session,
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
            deliveries=render_replies(
                [reply], channel=channel, address=inbound.address, reply_to=_written(inbound)
            )
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


def _written(inbound: InboundMessage | ActionPressed) -> ReplyTo | None:
    """The message that an answer points to."""
    if inbound.message_ref is None:
        return None
    return ReplyTo(inbound.message_ref, inbound.sender.external_id)


def _user_message(inbound: InboundMessage | ActionPressed) -> Message:
    """What a person said: text, and files by reference; a pressed button says its value."""
    content: tuple[ContentPart, ...]
    if isinstance(inbound, ActionPressed):
        content = (TextPart(inbound.value),)
    else:
        files = [FilePart(a.ref, a.name, a.mime, a.size_bytes, a.kind) for a in inbound.attachments]
        content = (TextPart(inbound.text), *files) if inbound.text or not files else tuple(files)
    return Message(
        id=new_message_id(),
        role="user",
        content=content,
        message_ref=inbound.message_ref,
        sender_id=inbound.sender.external_id,
        sender_name=inbound.sender.name,
    )


def _event(arrival: Arrival) -> Event:
    return Event(
        account=arrival.account,
        event_id=arrival.external_id,
        digest=arrival.digest,
        second_id=arrival.second_id,
        received_at=arrival.received_at,
    )
