"""The judge of a frozen process sees that it was not frozen in the middle of anything."""

from gateway.testing.faults.rows.frozen import judge_freeze


def test_a_process_that_still_had_work_was_stopped_in_time() -> None:
    assert judge_freeze(3, chats=8) == []


def test_a_process_that_was_done_already_proves_nothing() -> None:
    [broken] = judge_freeze(8, chats=8)

    assert broken.seen == "all were answered before"
