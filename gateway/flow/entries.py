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
    AddressMoved,
    Arrival,
    ConsentChanged,
    DeliveryReport,
    Inbound,
    InboundMessage,
    MessageEdited,
    Reachability,
    ReplyTo,
    Sender,
    StopPressed,
    Unreadable,
)
from gateway.domain.bots import Bot
from gateway.domain.conversation import ContentPart, FilePart, Message, TextPart
from gateway.domain.ids import new_message_id, new_turn_id
from gateway.domain.people import IdentityKey
from gateway.domain.turns import TurnError
from gateway.flow import gate
from gateway.flow.answers import Answers
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.loop_guard import LoopGuard
from gateway.store.protocol import Store
from gateway.store.protocol.doorway import AccessRule
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

LOOPING = TurnError("loop_guard", "Too many messages that no person would write; not answered.")


class Translator:
    """From what channels hear to what the store is told."""

    def __init__(self, store: Store, catalogue: Callable[[], Catalogue]) -> None:
        self._store = store
        self._catalogue = catalogue
        self._answers = Answers()
        self._guard = LoopGuard()

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
                return self._stop(inbound, binding)
            case ConsentChanged():
                return _consent(inbound, binding)
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
                    again_in_s=inbound.again_in_s,
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
        text, address = gate.said(inbound), inbound.address
        code = gate.link_code(text)
        answer = None if code else gate.answer(text, bot)
        terminal = None if code or answer else self._guarded(inbound)
        if answer is not None:
            terminal = await self._terminal(answer, inbound, binding=binding, bot=bot)
        reply_to = _written(inbound)
        message = inbound if isinstance(inbound, InboundMessage) else None
        return NewTurn(
            project_id=binding.project_id,
            channel=binding.name,
            account=inbound.account,
            bot=binding.bot,
            turn_id=new_turn_id(),
            kind="command" if answer else "message",
            message=_user_message(inbound, text=gate.HIDDEN_CODE if code else None),
            event=_event(inbound),
            identity=_identity(inbound.sender),
            address=inbound.address,
            session_idle_s=bot.session_idle_s if bot else 0,
            reopens=True,
            when_full="join",
            busy_reply=self._answers.note(gate.BUSY, binding=binding, address=address).deliveries,
            delay_s=binding.debounce_s,
            when_busy=binding.when_busy,
            group_id=message.group_id if message else None,
            needs_session=message is not None and message.needs_session,
            source_order=message.source_order if message else None,
            is_direct=message is not None and message.is_direct,
            access=self._access(inbound, binding),
            link=self._answers.link(code, binding=binding, address=address, reply_to=reply_to)
            if code
            else None,
            terminal=terminal,
        )

    async def _terminal(
        self,
        answer: gate.Answer,
        inbound: InboundMessage | ActionPressed,
        *,
        binding: ChannelBinding,
        bot: Bot | None,
    ) -> TerminalTurn:
        text = answer.text
        if answer.is_status:
            session = await self._store.session_at(
                binding.project_id, account=inbound.account, address=inbound.address
            )
            text = gate.status_text(session, bot)
        words = self._answers.words(
            text,
            binding=binding,
            address=inbound.address,
            reply_to=_written(inbound),
            suggestions=bot.suggestions if bot is not None and answer.suggests else (),
        )
        return TerminalTurn(
            state="done",
            messages=(words.message,),
            deliveries=words.deliveries,
            ends_session="new" if answer.ends_session else None,
            cancels=answer.cancels,
        )

    def _guarded(self, inbound: InboundMessage | ActionPressed) -> TerminalTurn | None:
        """The end of a message that stands in a loop; None = it may be answered."""
        if isinstance(inbound, InboundMessage) and self._guard.stops(inbound):
            return TerminalTurn(state="cancelled", error=LOOPING)
        return None

    def _access(
        self, inbound: InboundMessage | ActionPressed | StopPressed, binding: ChannelBinding
    ) -> AccessRule | None:
        admits = gate.admits(inbound.sender, binding)
        if admits == "everybody":
            return None
        if isinstance(inbound, StopPressed):
            return AccessRule(admits=admits)
        text = gate.refusal(binding)
        note = self._answers.note(text, binding=binding, address=inbound.address)
        return AccessRule(admits=admits, refusal=note)

    def _stop(self, pressed: StopPressed, binding: ChannelBinding) -> NewTurn:
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
            is_direct=False,
            access=self._access(pressed, binding),
            terminal=TerminalTurn(state="done", cancels=True),
        )


def _consent(changed: ConsentChanged, binding: ChannelBinding) -> NewTurn:
    """What a person told the platform about our messages: kept, heeded, never answered."""
    return NewTurn(
        project_id=binding.project_id,
        channel=binding.name,
        account=changed.account,
        bot=binding.bot,
        turn_id=new_turn_id(),
        kind="command",
        message=_message(changed, (TextPart(changed.text),)) if changed.text else None,
        event=_event(changed),
        identity=_identity(changed.sender),
        address=changed.address,
        reopens=True,
        terminal=TerminalTurn(state="done", opts_out=changed.is_opted_out),
    )


def _identity(sender: Sender) -> IdentityKey:
    return IdentityKey(platform=sender.platform, external_id=sender.external_id, name=sender.name)


def _written(inbound: InboundMessage | ActionPressed) -> ReplyTo | None:
    """The message that an answer points to."""
    if inbound.message_ref is None:
        return None
    return ReplyTo(inbound.message_ref, inbound.sender.external_id)


def _user_message(inbound: InboundMessage | ActionPressed, *, text: str | None) -> Message:
    """What a person said (or `text` instead), with files by reference."""
    content: tuple[ContentPart, ...]
    if isinstance(inbound, ActionPressed) or text is not None:
        content = (TextPart(text or gate.said(inbound)),)
    else:
        files = [FilePart(a.ref, a.name, a.mime, a.size_bytes, a.kind) for a in inbound.attachments]
        content = (TextPart(inbound.text), *files) if inbound.text or not files else tuple(files)
    return _message(inbound, content)


def _message(
    inbound: InboundMessage | ActionPressed | ConsentChanged, content: tuple[ContentPart, ...]
) -> Message:
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
