"""The judge of F25 sees what is held, who is not hung up on, and what is missed or told twice."""

from dataclasses import replace

import pytest

from gateway.testing.faults.rows.stalled_readers import (
    PIECE,
    PIECES,
    Numbered,
    Reading,
    events_in,
    judge_memory,
    judge_readings,
)

GOOD = Reading(
    first=[Numbered(1), Numbered(2, PIECE)],
    rest=[Numbered(3, PIECE * (PIECES - 1)), Numbered(4)],
    closed_after_s=11.0,
)


def test_a_reader_that_comes_back_and_gets_the_rest_breaks_nothing() -> None:
    assert judge_readings([GOOD]) == []
    assert judge_memory(256) == []


@pytest.mark.parametrize(
    ("reading", "promise"),
    [
        (replace(GOOD, closed_after_s=None), "who does not read is hung up on"),
        (replace(GOOD, closed_after_s=60.0), "who does not read is hung up on"),
        (replace(GOOD, rest=[Numbered(4)]), "who comes back misses nothing"),
        (replace(GOOD, first=[*GOOD.first, Numbered(3)]), "no event comes twice"),
    ],
    ids=["never", "late", "a gap", "twice"],
)
def test_what_a_reader_may_not_meet_is_seen(reading: Reading, promise: str) -> None:
    assert [found.promise for found in judge_readings([reading])] == [promise]


def test_a_reader_that_costs_too_much_is_seen() -> None:
    [found] = judge_memory(257)

    assert found.seen == "257 KiB"


def test_events_are_read_up_to_the_last_whole_one() -> None:
    stream = (
        'retry: 2000\n\nid: 1\nevent: turn.in_progress\ndata: {"type":"turn.in_progress"}\n\n'
        'id: 2\nevent: message.delta\ndata: {"type":"message.delta","text":"a\\n\\nb"}\n\n'
        'event: ping\ndata: {"type":"ping"}\n\nid: 3\nevent: message.delta\ndata: {"ty'
    )

    assert events_in(stream) == [Numbered(1), Numbered(2, "a\n\nb")]
