"""Token buckets: a quota at once, then evenly, and never more memory than agreed."""

from gateway.service.rates import Allowance, Buckets


def take(buckets: Buckets, now: float, *, owner: str = "key_1", quota: int = 60) -> Allowance:
    return buckets.take(owner, name="minute", quota=quota, window_s=60, now=now)


def test_the_whole_quota_may_be_used_at_once() -> None:
    buckets = Buckets()

    taken = [take(buckets, 0.0, quota=3) for _ in range(4)]

    assert [a.remaining for a in taken] == [2, 1, 0, 0]
    assert [a.retry_after_s for a in taken] == [None, None, None, 20.0]


def test_a_request_comes_back_evenly_over_the_window() -> None:
    buckets = Buckets()
    for _ in range(61):
        take(buckets, 0.0)

    assert take(buckets, 0.9).retry_after_s is not None
    assert take(buckets, 2.0).retry_after_s is None


def test_waiting_never_saves_up_more_than_the_quota() -> None:
    buckets = Buckets()
    take(buckets, 0.0, quota=2)

    taken = [take(buckets, 10_000.0, quota=2).retry_after_s for _ in range(3)]

    assert taken == [None, None, 30.0]


def test_callers_do_not_use_up_each_other() -> None:
    buckets = Buckets()
    for _ in range(3):
        take(buckets, 0.0, quota=2)

    assert take(buckets, 0.0, owner="key_2", quota=2).retry_after_s is None


def test_the_time_to_wait_is_never_after_the_promised_reset() -> None:
    buckets = Buckets()
    for _ in range(7):
        allowance = take(buckets, 0.0, quota=7)

    refused = take(buckets, 0.1, quota=7)

    assert allowance.remaining == 0
    assert refused.retry_after_s is not None
    assert refused.retry_after_s <= refused.reset_s


def test_the_longest_unused_bucket_makes_room() -> None:
    buckets = Buckets(max_buckets=2)
    for owner in ("a", "b", "a", "c"):
        take(buckets, 0.0, owner=owner, quota=2)

    assert take(buckets, 0.0, owner="a", quota=2).remaining == 0
    assert take(buckets, 0.0, owner="b", quota=2).remaining == 1
