"""What the tests of the store put in: turns, messages, outcomes and parts with few words."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from gateway.contract import Address
from gateway.domain.conversation import Message, Role, TextPart
from gateway.domain.delivery import Delivery, NewDelivery
from gateway.domain.files import StoredFile
from gateway.domain.ids import (
    DeliveryId,
    ProjectId,
    SessionId,
    TurnId,
    new_delivery_id,
    new_file_id,
    new_message_id,
    new_turn_id,
)
from gateway.domain.people import IdentityKey
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import ClaimedTurn, TurnOutcome
from gateway.store.protocol import Store
from gateway.store.protocol.files import NewFile
from gateway.store.protocol.history import Page
from gateway.store.protocol.inbox import (
    Accepted,
    ClaimTerms,
    Entry,
    Event,
    IdempotencyKey,
    NewTurn,
    TerminalTurn,
)
from gateway.store.protocol.outbox import DeliveryFilter, SendResult
from gateway.store.protocol.turns import Committed

PROJECT = ProjectId("p1")
OTHER_PROJECT = ProjectId("p2")
CHAT = Address("tg", "100")
ACCOUNT = "bot1"
LIMITS = QueueLimits()


def message(text: str, role: Role = "user", **fields: Any) -> Message:
    """A message of one text."""
    content = (TextPart(text),) if text else ()
    return Message(id=new_message_id(), role=role, content=content, **fields)


def event(event_id: str, *, body: str = "body", second_id: str | None = None) -> Event:
    """An event of the test account; `body` stands for its digest."""
    return Event(
        account=ACCOUNT,
        event_id=event_id,
        digest=body.encode(),
        second_id=second_id,
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def chat_turn(text: str = "hi", *, address: Address = CHAT, **fields: Any) -> NewTurn:
    """A message that came in on a chat platform."""
    values: dict[str, Any] = {
        "project_id": PROJECT,
        "channel": address.channel,
        "account": ACCOUNT,
        "bot": "support",
        "turn_id": new_turn_id(),
        "message": message(text),
        "identity": IdentityKey(platform="telegram", external_id=address.chat, name="Ann"),
        "address": address,
        "when_full": "join",
    }
    return NewTurn(**{**values, **fields})


def api_turn(text: str = "hi", **fields: Any) -> NewTurn:
    """A message that came in by a call."""
    values: dict[str, Any] = {
        "project_id": PROJECT,
        "channel": "api",
        "account": "api",
        "bot": "support",
        "turn_id": new_turn_id(),
        "message": message(text),
    }
    return NewTurn(**{**values, **fields})


def command(text: str, **terminal: Any) -> NewTurn:
    """A person's command with its answer."""
    answer = TerminalTurn(state="done", **terminal)
    return chat_turn(text, kind="command", terminal=answer)


def repeat_key(key: str, *, body: str = "body") -> IdempotencyKey:
    """A caller's repeat key; `body` stands for its fingerprint."""
    return IdempotencyKey(
        principal_id="key_1", route="POST /v1/chat", key=key, fingerprint=body.encode()
    )


def terms(owner: str = "me", *, limit: int = 10, **fields: Any) -> ClaimTerms:
    """Terms of a claim."""
    return ClaimTerms(owner=owner, limit=limit, **fields)


def part(text: str = "reply", *, number: int = 0, message_id: str | None = None) -> NewDelivery:
    """A rendered part."""
    return NewDelivery(
        id=new_delivery_id(), part_no=number, part={"text": text}, message_id=message_id
    )


def reply(
    text: str = "hello", *, parts: int = 0, state: str = "done", **fields: Any
) -> TurnOutcome:
    """A finished turn with one assistant message, and so many parts of it."""
    answer = message(text, "assistant", agent="Desk")
    values: dict[str, Any] = {
        "state": state,
        "messages": (answer,),
        "deliveries": tuple(
            part(f"{text} {number}", number=number, message_id=answer.id) for number in range(parts)
        ),
    }
    return TurnOutcome(**{**values, **fields})


async def accept(store: Store, *entries: Entry, **options: Any) -> list[Accepted]:
    """Accept entries within the default limits."""
    return await store.accept(list(entries), **{"limits": LIMITS, **options})


async def accept_one(store: Store, entry: Entry, **options: Any) -> Accepted:
    """Accept one entry."""
    return (await accept(store, entry, **options))[0]


async def claim_one(store: Store, owner: str = "me", **fields: Any) -> ClaimedTurn:
    """Claim exactly one turn."""
    claimed = await store.claim(terms(owner, limit=1, **fields))
    assert len(claimed) == 1
    return claimed[0]


async def claimed_turn(store: Store, new: NewTurn | None = None) -> ClaimedTurn:
    """A new turn, claimed in the commit that accepted it."""
    accepted = await accept_one(store, new or chat_turn(), claim=terms())
    assert accepted.claimed is not None
    return accepted.claimed


async def commit(
    store: Store, claimed: ClaimedTurn, outcome: TurnOutcome | None = None
) -> Committed:
    """Commit what a turn leaves."""
    return await store.commit_turn(claimed.lease, claimed.turn.id, outcome or reply())


async def talk(
    store: Store, text: str = "hi", *, parts: int = 0, new: NewTurn | None = None
) -> ClaimedTurn:
    """A whole turn: accepted, claimed, answered."""
    claimed = await claimed_turn(store, new or chat_turn(text))
    asked = claimed.history[-1].text
    committed = await commit(store, claimed, reply(f"re: {asked}", parts=parts))
    assert committed.is_committed
    return claimed


async def begin_sends(
    store: Store, *, owner: str = "me", channels: tuple[str, ...] = ("tg",), limit: int = 100
) -> list[Delivery]:
    """Begin what is due."""
    return await store.begin_sends(owner=owner, limit=limit, channels=channels)


async def end_send(
    store: Store, delivery: Delivery, state: str = "sent", *, owner: str = "me", **fields: Any
) -> list[Delivery]:
    """End one send."""
    result = SendResult(delivery_id=delivery.id, **{"state": state, **fields})
    return await store.end_sends([result], owner=owner)


async def texts(store: Store, session_id: SessionId) -> list[str]:
    """The texts of a session, oldest first."""

    page = Page(limit=1000, order="asc")
    found = await store.messages(PROJECT, session_id, page=page, with_internal=True)
    return [stored.text for stored in found]


async def state_of(store: Store, turn_id: TurnId | None) -> str:
    """The stored state of a turn."""
    assert turn_id is not None
    turn = await store.turn(PROJECT, turn_id)
    assert turn is not None
    return turn.state


async def delivery_of(store: Store, delivery_id: DeliveryId) -> Delivery:
    """A delivery as it is stored."""

    found = await store.deliveries(DeliveryFilter(limit=1000))
    return next(delivery for delivery in found if delivery.id == delivery_id)


def said(delivery: Delivery) -> Any:
    """The text of a part."""
    return delivery.part["text"]


async def write(store: Store, *pieces: bytes, **fields: Any) -> NewFile:
    """Write pieces; what would make a file of them."""
    file_id = fields.pop("id", None) or new_file_id()
    project_id = fields.get("project_id", PROJECT)
    for number, data in enumerate(pieces):
        await store.add_piece(project_id, file_id, number=number, data=data)
    whole = b"".join(pieces)
    values: dict[str, Any] = {
        "id": file_id,
        "project_id": project_id,
        "name": "cat.png",
        "mime": "image/png",
        "kind": "image",
        "size_bytes": len(whole),
        "sha256": hashlib.sha256(whole).digest(),
    }
    return NewFile(**values | fields)


async def kept(store: Store, *pieces: bytes, **fields: Any) -> StoredFile:
    """A file of these pieces."""
    return await store.keep_file(await write(store, *(pieces or (b"abc", b"def")), **fields))
