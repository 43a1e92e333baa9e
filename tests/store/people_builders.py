"""What the tests about people put in: strangers' words, link codes, consent."""

from dataclasses import replace
from typing import Any

from gateway.domain.ids import ParticipantId
from gateway.domain.people import IdentityKey, hash_code
from gateway.store.protocol import Store
from gateway.store.protocol.doorway import AccessRule, LinkAttempt, Words
from gateway.store.protocol.inbox import NewTurn, TerminalTurn
from tests.store.builders import PROJECT, chat_turn, event, message, part

CODE = "BCDF-2345"


def heard(event_id: str, text: str = "hi", **fields: Any) -> NewTurn:
    """A person's message with its event."""
    return chat_turn(text, event=event(event_id), **fields)


def words(text: str) -> Words:
    """A prepared answer in one part."""
    answer = message(text, "assistant")
    return Words(answer, (part(text, message_id=answer.id),))


def rule(admits: Any = "linked") -> AccessRule:
    """A rule that tells strangers so."""
    return AccessRule(admits=admits, refusal=words("private"))


def link(event_id: str, code: str = CODE, **fields: Any) -> NewTurn:
    """A person sends a link code."""
    attempt = LinkAttempt(
        code_hash=hash_code(PROJECT, code),
        linked=words("linked"),
        wrong=words("wrong"),
        too_many=words("too many"),
    )
    return heard(event_id, "link ****", link=attempt, **fields)


def consent(event_id: str, *, is_opted_out: bool | None = True, text: str = "STOP") -> NewTurn:
    """A person says whether they want messages."""
    end = TerminalTurn(state="done", opts_out=is_opted_out)
    return heard(event_id, text, kind="command", terminal=end)


def by(new: NewTurn, external_id: str) -> NewTurn:
    """The same, by somebody else."""
    return replace(new, identity=IdentityKey(platform="telegram", external_id=external_id))


async def ann(store: Store, **known: Any) -> ParticipantId:
    """A participant known by an API, with a link code that works."""
    key = IdentityKey(platform="api", external_id="ann")
    made, _ = await store.put_participant(PROJECT, key, **known)
    await store.add_link_code(PROJECT, made.id, code_hash=hash_code(PROJECT, CODE), life_s=600)
    return made.id
