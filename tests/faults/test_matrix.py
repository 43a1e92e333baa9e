"""The fault matrix: every row at its small size, and what a row does with a run that breaks."""

from pathlib import Path

import pytest

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Stage
from gateway.testing.faults.matrix import FAULTS, pick_faults
from gateway.testing.faults.proving import Row, Terms, prove
from gateway.testing.faults.report import as_json, as_markdown
from gateway.testing.kills.witness import Violation


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
async def test_the_row_holds(fault: Fault, tmp_path: Path) -> None:
    fault.check_needs()

    observation = await fault.run(Stage(folder=tmp_path))

    assert list(observation.violations) == [], observation.seen
    assert observation.seen


def fault_that(observation: Observation | Exception, *, needs: tuple[str, ...] = ()) -> Fault:
    async def run(_stage: Stage) -> Observation:
        if isinstance(observation, Exception):
            raise observation
        return observation

    return Fault(
        id="F0", name="a test", promise="all is well", injected="nothing", run=run, needs=needs
    )


async def row_of(fault: Fault) -> Row:
    [row] = [row async for row in prove([fault], Terms(), tell=lambda _fault, _text: None)]
    return row


async def test_a_row_without_violations_holds() -> None:
    row = await row_of(fault_that(Observation("3 of 3")))

    assert (row.verdict, row.seen) == ("holds", "3 of 3")


async def test_a_row_with_a_violation_is_broken() -> None:
    lost = Violation("nothing is lost", "chat 7", "a message is gone")

    row = await row_of(fault_that(Observation("2 of 3", [lost])))

    assert (row.verdict, row.violations) == ("broken", [lost])


async def test_a_run_that_breaks_off_proves_nothing() -> None:
    row = await row_of(fault_that(RuntimeError("no port")))

    assert row.verdict == "broken"
    assert "no port" in row.violations[0].seen


@pytest.mark.parametrize(
    "fault",
    [fault_that(CannotRun("no such disk")), fault_that(Observation(""), needs=("no-such-tool",))],
    ids=["it says so", "a command is missing"],
)
async def test_what_the_machine_lacks_is_told(fault: Fault) -> None:
    row = await row_of(fault)

    assert row.verdict == "not run"
    assert "no" in row.seen


async def test_the_matrix_is_printed_for_programs_and_pages() -> None:
    row = await row_of(fault_that(Observation("a | b")))

    assert '"verdict": "holds"' in as_json([row])
    assert as_markdown([row]).endswith("| F0 | all is well | nothing | a \\| b | holds |")


def test_every_id_stands_once() -> None:
    ids = [fault.id for fault in FAULTS]

    assert len(ids) == len(set(ids))


def test_rows_are_picked_in_the_order_of_the_matrix() -> None:
    with pytest.raises(KeyError, match="F99"):
        pick_faults(["F99"])
    assert list(pick_faults([])) == list(FAULTS)
