"""The judge of F23 sees neighbours who wait too long, and a tenant with too many slots."""

from dataclasses import replace

import pytest

from gateway.testing.faults.rows.fairness import (
    SLOTS,
    Noise,
    judge_noise,
    most_while_others_wait,
)
from gateway.testing.openai.endpoint import ModelCall

GOOD = Noise(session_time=1.2, session_slots=1.04, tenant_time=1.6, most_running=SLOTS // 2)


def asked(text: str, at: float) -> ModelCall:
    body = {"messages": [{"role": "user", "content": text}]}
    return ModelCall(number=1, body=body, headers={}, at=at)


def test_neighbours_who_hardly_notice_break_nothing() -> None:
    assert judge_noise(GOOD) == []


@pytest.mark.parametrize(
    ("noise", "where"),
    [
        (replace(GOOD, session_time=1.6), "clock"),
        (replace(GOOD, session_slots=1.6), "turns"),
        (replace(GOOD, tenant_time=2.1), "clock"),
        (replace(GOOD, most_running=SLOTS // 2 + 1), "turns"),
        (replace(GOOD, most_running=0), "turns"),
    ],
    ids=["slow sessions", "overtaken sessions", "slow tenants", "too many slots", "no slots"],
)
def test_what_neighbours_may_not_notice_is_seen(noise: Noise, where: str) -> None:
    assert [found.where for found in judge_noise(noise)] == [where]


def test_only_calls_that_begin_while_others_wait_are_counted() -> None:
    others = [asked("quiet 1", 100.0), asked("quiet 2", 102.0)]
    before = [asked(f"flood {n}", 100.0) for n in range(SLOTS)]
    meanwhile = [asked(f"flood {n}", 101.0) for n in range(5)]
    after = [asked(f"flood {n}", 103.0) for n in range(SLOTS)]

    assert most_while_others_wait([*before, *others, *meanwhile, *after]) == 5
