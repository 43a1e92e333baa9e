"""Rules of what goes out: tries and how they end, chats that close, open or become another one."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.contract import Address
from gateway.domain.ids import DeliveryId
from gateway.store.protocol.inbox import MoveAddress, ReportDelivery, SetReachability
from gateway.store.protocol.outbox import SendResult
from tests.store.builders import ACCOUNT, PROJECT, event
from tests.store.crashing import Fate
from tests.store.machine import LIMITS, Bench, fates, pick, picks

SENDS: dict[str, dict[str, Any]] = {
    "sent": {"state": "sent", "provider_id": "1"},
    "sent, then wait": {"state": "sent", "blocked_s": 2},
    "again": {"state": "pending"},
    "later": {"state": "pending", "again_in_s": 3},
    "throttled": {"state": "pending", "again_in_s": 2, "counts": False},
    "chat throttled": {"state": "pending", "again_in_s": 2, "blocked_s": 4, "counts": False},
    "account throttled": {"state": "pending", "blocked_s": 3, "scope": "account"},
    "refused": {"state": "dead", "error": "no"},
    "chat gone": {"state": "dead", "scope": "address"},
    "account refused": {"state": "dead", "scope": "account"},
    "unknown": {"state": "ambiguous", "again_in_s": 1},
    "held": {"state": "held"},
    "expired": {"state": "expired"},
}


class Deliveries(Bench):
    """Senders of the process that serves and of its peer, and the chats they send to."""

    @rule(is_peer=st.booleans(), limit=st.sampled_from([1, 3]), fate=fates)
    def begin_sends(self, limit: int, *, is_peer: bool, fate: Fate) -> None:
        """A process takes what is to be sent."""
        owner = self.who(is_peer)
        got = self.call(
            lambda store: store.begin_sends(owner=owner, limit=limit, channels=("tg",)), fate
        )
        if got is None:
            return
        self.model.begin_sends(got, owner=owner, limit=limit, now=self.now)
        self.sends += [(owner, delivery.id) for delivery in got]

    @precondition(lambda self: self.sends)
    @rule(number=picks, how=st.sampled_from(["sent", *SENDS]), fate=fates)
    def end_send(self, number: int, how: str, fate: Fate) -> None:
        """A try ends, be it one of a process that died long ago."""
        owner, delivery_id = self.sends.pop(number % len(self.sends))
        if not self.end(owner, delivery_id, how, fate):
            self.sends.append((owner, delivery_id))

    def end(self, owner: str, delivery_id: DeliveryId, how: str, fate: Fate) -> bool:
        """End one try; False = it was not written."""
        result = SendResult(delivery_id=delivery_id, **SENDS[how])
        got = self.call(lambda store: store.end_sends([result], owner=owner), fate)
        if got is None:
            return False
        following = self.model.end_send(result, owner=owner, now=self.now)
        wanted = [] if following is None else [following.id]
        assert [delivery.id for delivery in got] == wanted
        self.sends += [(owner, delivery.id) for delivery in got]
        return True

    @precondition(lambda self: self.model.parts)
    @rule(
        number=picks,
        status=st.sampled_from(["sent", "delivered", "failed", "failed"]),
        again_s=st.sampled_from([None, 3]),
        fate=fates,
    )
    def report(self, number: int, status: Any, again_s: int | None, fate: Fate) -> None:
        """A platform says what became of a part, at whatever moment."""
        part = pick(list(self.model.parts.values()), number)
        word = ReportDelivery(
            project_id=PROJECT,
            event=event(f"d{self.next_number()}"),
            account=ACCOUNT,
            status=status,
            delivery_id=DeliveryId(part.id),
            again_in_s=again_s,
        )
        if self.call(lambda store: store.accept([word], limits=LIMITS), fate) is not None:
            self.model.report(part, status, again_s=again_s, now=self.now)

    @rule(number=picks, how=st.sampled_from(["account throttled", "later", "sent"]))
    def send_on(self, number: int, how: str) -> None:
        """A sender takes what is due, and ends one try."""
        self.begin_sends(limit=1, is_peer=False, fate="returns")
        if self.sends:
            self.end_send(number=number, how=how, fate="returns")

    @precondition(lambda self: self.model.lanes)
    @rule(number=picks, is_reachable=st.booleans(), fate=fates)
    def reach(self, number: int, *, is_reachable: bool, fate: Fate) -> None:
        """A person blocks the bot, or lets it in again."""
        lane = pick(list(self.model.lanes.values()), number)
        change = SetReachability(
            project_id=PROJECT,
            event=event(f"r{self.next_number()}"),
            account=ACCOUNT,
            address=Address("tg", lane.chat),
            is_reachable=is_reachable,
        )
        if self.call(lambda store: store.accept([change], limits=LIMITS), fate) is None:
            return
        lane.is_reachable = is_reachable
        if not is_reachable:
            self.model.close(lane, {"pending", "held"})

    @precondition(lambda self: self.model.lanes)
    @rule(number=picks, to=st.integers(0, 4), fate=fates)
    def move(self, number: int, to: int, fate: Fate) -> None:
        """A chat becomes another one, be it one that exists."""
        lane, new = pick(list(self.model.lanes.values()), number), Address("tg", str(to))
        if lane.chat == new.chat:
            return
        entry = MoveAddress(
            project_id=PROJECT,
            event=event(f"v{self.next_number()}"),
            account=ACCOUNT,
            old=Address("tg", lane.chat),
            new=new,
        )
        if self.call(lambda store: store.accept([entry], limits=LIMITS), fate) is None:
            return
        stored = sorted(self.run(self.stored_parts()), key=lambda delivery: delivery.out_no)
        self.model.move(lane, new, order=[delivery.id for delivery in stored], now=self.now)
