"""Why a turn does not go on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.ids import ProjectId, SessionId, TurnId
from gateway.service.stuck import LingeringTurn, StuckTurns, Surroundings, why
from gateway.store.protocol import Store
from tests.store.builders import accept_one, api_turn, chat_turn, claimed_turn

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AROUND = Surroundings(
    now=NOON, bots=frozenset({"support"}), channels=frozenset({"tg"}), is_served=True
)
QUEUED = LingeringTurn(
    id=TurnId("turn_2"),
    project_id=ProjectId("p1"),
    session_id=SessionId("ses_1"),
    state="queued",
    kind="message",
    bot="support",
    channel="tg",
    attempts=0,
    is_cancelled=False,
    not_before=NOON - timedelta(minutes=10),
    since=NOON - timedelta(minutes=10),
    calls=(),
    owner=None,
    lease_until=None,
    owner_seen_at=None,
    behind=None,
    behind_state=None,
)
RUNNING = replace(
    QUEUED,
    state="running",
    attempts=1,
    owner="ins_1",
    lease_until=NOON + timedelta(seconds=20),
    owner_seen_at=NOON - timedelta(seconds=3),
)


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (QUEUED, "waits for a free worker"),
        (
            replace(QUEUED, behind=TurnId("turn_1"), behind_state="waiting"),
            "behind turn_1, which is wai",
        ),
        (replace(QUEUED, not_before=NOON + timedelta(seconds=9)), "is tried again in 9 s"),
        (replace(QUEUED, bot="gone"), "its bot gone is not configured"),
        (replace(QUEUED, channel="slack"), "its channel slack is not configured"),
        (replace(QUEUED, channel="api"), "waits for a free worker"),
        (RUNNING, "attempt 1 is at work in ins_1"),
        (replace(RUNNING, is_cancelled=True), "was asked to stop"),
        (replace(RUNNING, owner=None), "nobody works on it"),
        (replace(RUNNING, owner_seen_at=None), "ins_1 is gone, its lease ends in 20 s"),
        (
            replace(RUNNING, owner_seen_at=NOON - timedelta(minutes=1), lease_until=NOON),
            "ins_1 is gone, its lease is over: the running one takes it over",
        ),
        (replace(QUEUED, state="waiting", calls=("pay", "ship")), "the caller to run pay, ship"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reason_is_told(turn: LingeringTurn, reason: str) -> None:
    assert reason in why(turn, AROUND)


def test_without_a_gateway_nothing_goes_on() -> None:
    nobody = replace(AROUND, is_served=False)

    assert why(QUEUED, nobody) == "no gateway runs on this store"
    assert "the next start takes it" in why(replace(RUNNING, owner_seen_at=None), nobody)


async def test_turns_are_found_with_what_they_wait_for(store: Store) -> None:
    first = await claimed_turn(store, chat_turn("one"))
    second = await accept_one(store, chat_turn("two"))
    alone = await accept_one(store, api_turn("three"))
    turns = StuckTurns(store, bots={"support"}, channels={"tg"})

    found = await turns.find(older_than=timedelta(0))
    old = await turns.find(older_than=timedelta(minutes=5))

    reasons: dict[str | None, str] = {each.turn.id: each.why for each in found}
    assert reasons[first.turn.id].startswith("its process me is gone")
    assert reasons[second.turn_id] == f"behind {first.turn.id}, which is running"
    assert reasons[alone.turn_id] == "no gateway runs on this store"
    assert old == []
