"""Messages leave no faster than a platform takes them."""

from gateway.contract import Address, Pace
from gateway.flow import pace as pace_module
from gateway.flow.pace import Pacer

CHAT, OTHER = Address("tg", "1"), Address("tg", "2")


def test_a_chat_waits_once_its_burst_is_used_up() -> None:
    pacer = Pacer(Pace(address_per_s=1, address_burst=2), now=0)

    waits = [pacer.sent(CHAT, now=0) for _ in range(3)]

    assert waits == [0, 1, 2]


def test_chats_do_not_wait_for_each_other() -> None:
    pacer = Pacer(Pace(address_per_s=1), now=0)

    pacer.sent(CHAT, now=0)

    assert pacer.sent(OTHER, now=0) == 1


def test_the_threads_of_a_chat_share_its_pace() -> None:
    pacer = Pacer(Pace(address_per_s=1), now=0)

    pacer.sent(Address("tg", "1", "11"), now=0)

    assert pacer.sent(Address("tg", "1", "12"), now=0) == 2


def test_addresses_that_are_slower_have_a_pace_of_their_own() -> None:
    slow = Pace(
        address_per_s=1, slow=lambda address: address == OTHER, slow_per_s=0.5, slow_burst=2
    )
    pacer = Pacer(slow, now=0)

    assert [pacer.sent(OTHER, now=0) for _ in range(3)] == [0, 2, 4]
    assert [pacer.sent(CHAT, now=0) for _ in range(2)] == [1, 2]


def test_an_account_has_its_own_budget_that_fills_up_again() -> None:
    pacer = Pacer(Pace(account_per_s=2), now=0)
    for _ in range(2):
        pacer.sent(CHAT, now=0)

    assert pacer.free(now=0) == 0
    assert pacer.free(now=1) == 2


def test_a_channel_without_a_pace_never_waits() -> None:
    pacer = Pacer(Pace(), now=0)

    assert pacer.sent(CHAT, now=0) == 0
    assert pacer.free(now=0) > 100


def test_only_so_many_chats_are_remembered() -> None:
    pacer = Pacer(Pace(address_per_s=1), now=0)
    pacer.sent(CHAT, now=0)
    for number in range(pace_module.MAX_CHATS):
        pacer.sent(Address("tg", f"other-{number}"), now=0)

    assert pacer.sent(CHAT, now=0) == 1
