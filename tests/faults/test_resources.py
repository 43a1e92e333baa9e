"""The judge of F19 sees a process that ends, clients without an answer, and what grows."""

from dataclasses import replace

import pytest

from gateway.testing.faults.rows.resources import (
    CLIENTS,
    MOST_PEAK_KIB,
    Crowded,
    Load,
    judge_crowded,
    judge_load,
)

CROWDED = Crowded(
    served=80,
    sent_away=CLIENTS - 80,
    answered_meanwhile=True,
    answered_after=True,
    is_same_process=True,
)
LOAD = Load(
    turns=2_000, most_kib=512, growth_kib=1_000, peak_kib=90_000, files_before=33, files_after=35
)


def test_few_descriptors_and_a_flat_memory_break_nothing() -> None:
    assert [*judge_crowded(CROWDED), *judge_load(LOAD)] == []


@pytest.mark.parametrize(
    ("crowded", "promise"),
    [
        (replace(CROWDED, is_same_process=False), "the process does not end"),
        (replace(CROWDED, sent_away=0), "every client is served or told to come back"),
        (
            replace(CROWDED, served=0, sent_away=CLIENTS),
            "every client is served or told to come back",
        ),
        (replace(CROWDED, answered_meanwhile=False), "who is inside is answered"),
        (replace(CROWDED, answered_after=False), "there is room again afterwards"),
    ],
    ids=["ended", "left alone", "nobody inside", "stuck inside", "closed for ever"],
)
def test_what_few_descriptors_may_not_do_is_seen(crowded: Crowded, promise: str) -> None:
    assert [found.promise for found in judge_crowded(crowded)] == [promise]


@pytest.mark.parametrize(
    ("load", "promise"),
    [
        (replace(LOAD, growth_kib=1_026), "memory does not grow"),
        (replace(LOAD, peak_kib=MOST_PEAK_KIB + 1), "a gibibyte is enough"),
        (replace(LOAD, files_after=42), "descriptors are given back"),
    ],
    ids=["growth", "peak", "descriptors"],
)
def test_what_a_load_may_not_leave_is_seen(load: Load, promise: str) -> None:
    assert [found.promise for found in judge_load(load)] == [promise]
