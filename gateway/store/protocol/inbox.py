"""Accepting: the one transaction before any acknowledgement (T1), and what it answers.

A batch is committed whole, together with the platform's cursor. Each entry is written at most once:
a second copy of an event changes nothing and gets the receipt of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.contract import Address
from gateway.domain.channels import WhenBusy
from gateway.domain.conversation import Message, Session
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import MessageId, ParticipantId, ProjectId, SessionId, TurnId
from gateway.domain.people import IdentityKey
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import ClaimedTurn, Turn, TurnError, TurnKind, TurnOptions, TurnState
from gateway.store.protocol.doorway import AccessRule, LinkAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The event behind an entry, for dedupe: (account, event_id), or (account, second_id)."""

    account: str
    event_id: str
    digest: bytes
    second_id: str | None = None
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A caller's own repeat key: who, on which method and path, which key, of which body."""

    principal_id: str
    route: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalTurn:
    """A turn that is over when it is written: a command's answer, a refusal, a busy note.

    `ends_session` closes the current session with that reason, so that the next message of the
    address starts a new one. `cancels` cancels everything queued and running in the session.
    `opts_out` notes that the sender wants no more messages (False: wants them again); nothing is
    sent to them from then on, and what waits for them is cancelled wherever they are.
    """

    state: TurnState
    messages: tuple[Message, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()
    error: TurnError | None = None
    ends_session: str | None = None
    cancels: bool = False
    opts_out: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """Something that adds a turn to a session.

    The session is `session_id` if given (and must exist, be of this project and not be ended
    unless `reopens`), else the current one of `address`, else a new one. `fresh_session` always
    makes a new one, with `session_id` as its id if given. `participant_id` wins over
    `identity`; an unknown identity makes a participant. `message` is the user's own (None for
    prompts). `when_full` says what a full session does: refuse (raises Conflict
    `session_busy`), or join the newest queued turn as a further message; a full project or
    gateway raises TooMany or Unavailable for `refuse`, and stores a failed turn for `join`.
    `delay_s` waits for more (debounce). `group_id` joins the messages of an album, which is over
    when nothing of it came for `ALBUM_SILENCE_S`, or when it has `ALBUM_ITEMS`. `when_busy`:
    `collect` joins the newest turn that is queued and was never tried; `interrupt` does so too, and
    asks the message that is being answered to stop. `needs_session`: where nobody talks at
    `address`, nothing is written, not even the event. `is_direct`: the address is the sender's
    alone. `access` and `link` are decided by what is stored of the sender. Who is blocked or has
    opted out is not answered at all; a blocked caller of a service gets Forbidden
    (`participant_blocked`).
    """

    project_id: ProjectId
    channel: str
    account: str
    bot: str
    turn_id: TurnId
    kind: TurnKind = "message"
    message: Message | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    event: Event | None = None
    idempotency: IdempotencyKey | None = None
    identity: IdentityKey | None = None
    participant_id: ParticipantId | None = None
    session_id: SessionId | None = None
    fresh_session: bool = False
    reopens: bool = False
    start_agent: str | None = None
    session_idle_s: float = 0
    session_metadata: Mapping[str, Any] = field(default_factory=dict)
    address: Address | None = None
    when_full: Literal["refuse", "join"] = "refuse"
    busy_reply: tuple[NewDelivery, ...] = ()
    delay_s: float = 0
    group_id: str | None = None
    when_busy: WhenBusy = "queue"
    needs_session: bool = False
    source_order: int | None = None
    is_direct: bool = True
    access: AccessRule | None = None
    link: LinkAttempt | None = None
    terminal: TerminalTurn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditMessage:
    """Replace the text of a stored user message, found by its platform reference in that chat.

    The same text changes nothing. An empty one removes the message with all that was in it.
    """

    project_id: ProjectId
    event: Event
    account: str
    address: Address
    message_ref: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveAddress:
    """Re-key an address, its session and its outbox rows."""

    project_id: ProjectId
    event: Event
    account: str
    old: Address
    new: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReachability:
    """Mark an address; unreachable also cancels its pending and held deliveries."""

    project_id: ProjectId
    event: Event
    account: str
    address: Address
    is_reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDelivery:
    """A platform's later word on a delivery; only ever moves it forward.

    A failure ends it, unless it has `again_in_s` and is the first of that delivery: then it is sent
    again after that time, in its old place of the lane.
    """

    project_id: ProjectId
    event: Event
    account: str
    status: Literal["sent", "delivered", "read", "failed"]
    delivery_id: str | None = None
    provider_id: str | None = None
    error: str | None = None
    again_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepUnreadable:
    """Keep the raw bytes of an event that could not be read."""

    project_id: ProjectId
    event: Event
    raw: bytes
    reason: str


Entry = NewTurn | EditMessage | MoveAddress | SetReachability | ReportDelivery | KeepUnreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTerms:
    """Who claims, how many sessions at most, how many newest messages come with each turn."""

    owner: str
    limit: int
    history_messages: int = 100
    lease_s: float = 30.0
    limits: QueueLimits = field(default_factory=QueueLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of one entry.

    `is_new` False: a copy of an event or of an idempotency key seen before (`turn_id` is the
    first one's), or a message that needed a session where there is none (it has no turn).
    `digest_differs`: the copy had another body; nothing was run. `claimed` is set when the turn may
    run at once here. `interrupts` is the running turn that was asked to stop for this one, `stops`
    are sessions in which everything was.
    """

    is_new: bool
    turn_id: TurnId | None = None
    session_id: SessionId | None = None
    participant_id: ParticipantId | None = None
    message_id: MessageId | None = None
    state: TurnState = "queued"
    digest_differs: bool = False
    was_joined: bool = False
    interrupts: TurnId | None = None
    stops: tuple[SessionId, ...] = ()
    claimed: ClaimedTurn | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a platform has been read: `name` is unique within the channel account."""

    account: str
    name: str
    value: str


class InboxStore(Protocol):
    """T1."""

    async def accept(
        self,
        entries: Sequence[Entry],
        *,
        limits: QueueLimits,
        claim: ClaimTerms | None = None,
        cursor: Cursor | None = None,
    ) -> list[Accepted]:
        """Write a batch durably, in order; one `Accepted` an entry.

        With `claim`, up to `claim.limit` of the new turns whose session is idle are claimed in
        the same commit. Raises NotFound (unknown session or participant), Conflict, TooMany,
        Unavailable, Unprocessable (`idempotency_key_reused`) before anything of the batch is
        written, and StoreError.
        """
        ...

    async def cursor(self, account: str, name: str) -> str | None:
        """The last committed cursor of that name, or None."""
        ...

    async def heard_at(
        self, project_id: ProjectId, *, account: str, address: Address
    ) -> datetime | None:
        """When a person last wrote at that address, or None."""
        ...

    async def session_at(
        self, project_id: ProjectId, *, account: str, address: Address
    ) -> Session | None:
        """The session that is current at that address, or was the last one; None = none."""
        ...
