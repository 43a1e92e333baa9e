"""The judge of F17 sees a message that was acknowledged too early, and no other."""

from gateway.testing.faults.rows.synced import Traced, judge_trace, read_trace

RECEIVED = '7 recvfrom(17<TCP:[127.0.0.1:80->127.0.0.1:501]>, "POST /v1/chat ... one", 262144) = 99'
WRITTEN = '8 pwrite64(9</data/gateway.db-wal>, "...one...", 4096, 32) = 4096'
SYNCED = "8 fdatasync(9</data/gateway.db-wal>) = 0"
SYNC_BEGINS = "8 fdatasync(9</data/gateway.db-wal> <unfinished ...>"
SYNC_ENDS = "8 <... fdatasync resumed>) = 0"
ANSWERED = '7 sendto(17<TCP:[127.0.0.1:80->127.0.0.1:501]>, "HTTP/1.1 202 Accepted", 21) = 21'
OTHERS_ANSWER = '7 sendto(18<TCP:[127.0.0.1:80->127.0.0.1:502]>, "HTTP/1.1 200 OK", 15) = 15'
REFUSED = '7 sendto(17<TCP:[127.0.0.1:80->127.0.0.1:501]>, "HTTP/1.1 503 Not now", 20) = 20'
POLL = '7 sendto(18<TCP:[127.0.0.1:5->127.0.0.1:6]>, "POST /bot1:A/getUpdates?offset={}", 9) = 9'

ONE = Traced("one")
POLLED = Traced("one", update_id=7)


def seen(*lines: str, message: Traced = ONE) -> list[str]:
    return [violation.seen for violation in judge_trace(lines, [message]).violations]


def test_a_sync_between_the_write_and_the_answer_covers_a_message() -> None:
    assert seen(RECEIVED, WRITTEN, SYNCED, ANSWERED) == []


def test_a_sync_that_other_threads_interrupt_covers_it_as_well() -> None:
    assert seen(RECEIVED, WRITTEN, SYNC_BEGINS, OTHERS_ANSWER, SYNC_ENDS, ANSWERED) == []


def test_an_answer_without_a_sync_is_seen() -> None:
    assert seen(RECEIVED, WRITTEN, ANSWERED, SYNCED) == [
        "it was acknowledged before the log was synced"
    ]


def test_an_answer_while_the_sync_still_runs_is_seen() -> None:
    assert seen(RECEIVED, WRITTEN, SYNC_BEGINS, ANSWERED, SYNC_ENDS) == [
        "it was acknowledged before the log was synced"
    ]


def test_a_sync_that_began_before_the_write_does_not_count() -> None:
    assert seen(RECEIVED, SYNC_BEGINS, WRITTEN, SYNC_ENDS, ANSWERED) == [
        "it was acknowledged before the log was synced"
    ]


def test_a_sync_that_failed_does_not_count() -> None:
    failed = "8 fdatasync(9</data/gateway.db-wal>) = -1 EIO (Input/output error)"

    assert len(seen(RECEIVED, WRITTEN, failed, ANSWERED)) == 1


def test_a_sync_of_another_file_does_not_count() -> None:
    other = "8 fdatasync(9</data/gateway.db>) = 0"

    assert len(seen(RECEIVED, WRITTEN, other, ANSWERED)) == 1


def test_an_answer_before_the_write_is_seen() -> None:
    assert seen(RECEIVED, ANSWERED, WRITTEN, SYNCED) == [
        "it was acknowledged before it was written to the log"
    ]


def test_answers_of_other_connections_and_refusals_are_no_acknowledgement() -> None:
    assert seen(RECEIVED, OTHERS_ANSWER, REFUSED, WRITTEN, SYNCED, ANSWERED) == []
    assert seen(RECEIVED, WRITTEN, SYNCED, OTHERS_ANSWER) == ["it is not seen being acknowledged"]


def test_a_message_that_never_came_is_seen() -> None:
    assert seen(WRITTEN, SYNCED, ANSWERED) == ["it is not seen coming in"]


def test_an_update_is_acknowledged_by_the_first_offset_above_it() -> None:
    early, on_time = POLL.format(7), POLL.format(8)

    assert seen(RECEIVED, early, WRITTEN, SYNCED, on_time, message=POLLED) == []
    assert len(seen(RECEIVED, on_time, WRITTEN, SYNCED, message=POLLED)) == 1


def test_a_call_that_was_interrupted_spans_from_its_begin_to_its_end() -> None:
    calls = read_trace([SYNC_BEGINS, RECEIVED, SYNC_ENDS, "9 +++ exited with 0 +++"])

    assert [(call.name, call.began, call.ended) for call in calls] == [
        ("fdatasync", 0, 2),
        ("recvfrom", 1, 1),
    ]
