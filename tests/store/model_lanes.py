"""The lanes as plain Python: which part may leave when, and what becomes of it.

The outgoing half of the model; `model.py` holds the sessions. Times are whole seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.contract import Address
from gateway.domain.delivery import UNSETTLED, Delivery, DeliveryState, NewDelivery
from gateway.store.protocol.outbox import SendResult

GIVEN_UP: frozenset[DeliveryState] = frozenset({"held", "dead", "expired"})


@dataclass(slots=True, eq=False)
class Part:
    """One part on its way."""

    id: str
    turn_id: str
    number: int
    lane: "Lane"
    is_answer: bool
    state: DeliveryState = "pending"
    next_at: int | None = None
    attempts: int = 0
    owner: str | None = None
    is_cut_off: bool = False
    is_shown: bool = False
    may_stand: bool = False
    was_begun: bool = False
    came_back: bool = False
    receipt: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether it blocks nobody any more."""
        return self.state not in UNSETTLED


@dataclass(slots=True, eq=False)
class Lane:
    """An address: its parts in the order they were given out."""

    chat: str
    parts: list[Part] = field(default_factory=list)
    is_reachable: bool = True
    blocked_until: int = 0
    busy_told_at: int = 0
    moved_to: "Lane | None" = None


class Lanes:
    """Every address, and every part that was ever put out."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.parts: dict[str, Part] = {}
        self.account_blocked_until = 0

    def put_out(
        self,
        lane: Lane,
        parts: Sequence[NewDelivery],
        *,
        turn_id: str,
        first_part: int,
        is_answer: bool,
        now: int,
    ) -> None:
        """Parts at the end of their lane; cancelled where nobody can be reached."""
        is_behind = not is_answer and _first(lane.parts) is not None
        next_at = None if is_behind else self._not_before(lane, now)
        for number, new in enumerate(parts, first_part):
            part = Part(new.id, turn_id, number, lane, is_answer, next_at=next_at, content=new.part)
            if not lane.is_reachable:
                part.state, part.next_at = "cancelled", None
            next_at = None
            lane.parts.append(part)
            self.parts[part.id] = part

    def parts_of(self, turn_id: str) -> list[Part]:
        """Every part of a turn."""
        return [part for part in self.parts.values() if part.turn_id == turn_id]

    def is_free(self, lane: Lane, now: int) -> bool:
        """Whether a message may begin to grow there: nothing before it, nothing against it."""
        is_throttled = self._not_before(lane, now) > now
        return lane.is_reachable and not is_throttled and _first(lane.parts) is None

    def is_first(self, part: Part) -> bool:
        """Whether nothing stands before it in its lane."""
        return self._first_beside(part) is part

    def take_place(self, lane: Lane, name: str, *, turn_id: str, number: int) -> None:
        """A message is going to grow: it holds up its lane like any part."""
        part = Part(name, turn_id, number, lane, is_answer=False, state="open", may_stand=True)
        lane.parts.append(part)
        self.parts[name] = part

    def leave(self, part: Part, *, is_good: bool, is_noted: bool) -> None:
        """A worker is certain that nothing was opened for it."""
        is_open = is_good and part.state == "open" and not part.is_shown
        assert is_noted == is_open, "fenced or not"
        part.may_stand = part.may_stand and not is_noted

    def fill(self, part: Part, new: NewDelivery | None, now: int) -> None:
        """What grew gets its last text; with none it is taken back, if it may be shown at all."""
        if part.lane.is_reachable and (new is not None or part.is_shown or part.may_stand):
            part.state, part.content = "pending", {} if new is None else new.part
        else:
            part.state = "cancelled"
        self._wake(_first(part.lane.parts), now)

    def begin_sends(self, got: Sequence[Delivery], *, owner: str, limit: int, now: int) -> None:
        """Parts that may leave: the first of each free lane, the longest due first."""
        due = [part for part in self.parts.values() if self._is_due(part, now)]
        taken = [self.parts[delivery.id] for delivery in got]
        assert set(taken) <= set(due), "sent before its time or its turn"
        assert len(taken) == min(limit, len(due)), "a due part was left out"
        left = [part.next_at or 0 for part in due if part not in taken]
        if taken and left:
            assert max(part.next_at or 0 for part in taken) <= min(left)
        for part in taken:
            self._begin(part, owner)

    def end_send(self, result: SendResult, *, owner: str, now: int) -> Part | None:
        """How one try ended; the part of its lane that leaves next."""
        part = self.parts[result.delivery_id]
        is_ours = part.state == "sending" and part.owner == owner
        if not is_ours and part.state != "ambiguous":
            return None
        state = "dead" if (result.state, part.receipt) == ("sent", "failed") else result.state
        part.state, part.owner, part.next_at = state, None, None
        part.attempts = max(part.attempts - (not result.counts), 0)
        if result.state == "ambiguous" or (result.state == "pending" and self.is_first(part)):
            part.next_at = now + int(result.again_in_s)
        if result.blocked_s:
            self._block(part.lane, result, now + int(result.blocked_s))
        if part.is_settled and part.state != "sent":
            self._cut_off(part)
        if result.state == "dead" and result.scope == "address":
            self.close(part.lane, {"pending"})
        following = self._promote(part, now)
        if following is not None:
            self._begin(following, owner)
        return following

    def doubt_abandoned(self, living: Iterable[str], *, now: int) -> int:
        """Sends of the dead are in doubt; how many."""
        living = set(living)
        doubtful = [
            part
            for part in self.parts.values()
            if part.owner is not None and part.owner not in living
        ]
        for part in doubtful:
            part.state, part.owner, part.next_at = "ambiguous", None, now
        return len(doubtful)

    def report(self, part: Part, status: str, *, again_s: int | None, now: int) -> None:
        """The platform's later word on a part."""
        is_doubtful = part.state in {"ambiguous", "held"}
        if status != "failed":
            if part.receipt == "failed" or (status == "sent" and part.receipt is not None):
                return  # old news
            part.receipt = part.receipt if status == "sent" else status
            was_taken = part.state == "pending" and part.was_begun and not part.came_back
            if is_doubtful or was_taken:
                self._settle(part, "sent", now)
        elif part.receipt is None and part.state != "pending":
            is_new = part.state == "sent" and not part.came_back and again_s is not None
            if is_new and self._put_back(part, now + (again_s or 0)):
                return
            part.receipt = "failed"
            if is_doubtful or part.state == "sent":
                self._settle(part, "dead", now)

    def _settle(self, part: Part, state: DeliveryState, now: int) -> None:
        part.state, part.next_at = state, None
        if state == "dead":
            self._cut_off(part)
        self._promote(part, now)

    def _put_back(self, part: Part, again_at: int) -> bool:
        """For another try, where it stood: what stands behind it waits."""
        home = part.lane
        while home.moved_to is not None:
            home = home.moved_to
        if not home.is_reachable:
            return False
        if home is not part.lane:
            part.lane.parts.remove(part)
            home.parts.append(part)
            part.lane = home
        part.state, part.came_back = "pending", True
        if self.is_first(part):
            beside = self.parts_of(part.turn_id) if part.is_answer else home.parts
            for other in beside:
                if other.is_answer == part.is_answer and other.state == "pending":
                    other.next_at = None
            part.next_at = self._not_before(home, again_at)
        return True

    def replay(self, part: Part, *, is_dropped: bool, now: int) -> None:
        """An operator's word on a part that was given up."""
        if is_dropped:
            part.state, part.is_cut_off = "cancelled", False
            return
        lane = part.lane
        while lane.moved_to is not None:
            lane = lane.moved_to
        cut_off = [
            later
            for later in self.parts.values()
            if later.turn_id == part.turn_id and later.number > part.number and later.is_cut_off
        ]
        for again in (part, *sorted(cut_off, key=lambda later: later.number)):
            again.lane.parts.remove(again)
            again.lane = lane
            lane.parts.append(again)
            again.state, again.next_at, again.attempts = "pending", None, 0
            again.is_cut_off = again.came_back = False
            again.receipt = None
        self._wake(part if part.is_answer else _first(lane.parts), now)

    def close(self, lane: Lane, states: set[DeliveryState]) -> None:
        """Nobody is there any more: what waits is cancelled."""
        lane.is_reachable = False
        for part in lane.parts:
            if part.state in states:
                part.state, part.next_at = "cancelled", None

    def merge(self, old: Lane, new: Address, *, order: Sequence[str], now: int) -> Lane:
        """An address became another; the lane it now is.

        `order` is how the store put what is not over in line.
        """
        target = self.lanes.get(new.chat)
        del self.lanes[old.chat]
        if target is None:
            old.chat = new.chat
            self.lanes[new.chat] = old
            return old
        self.lanes[old.chat] = old
        moving = [
            part
            for lane in (target, old)
            for part in lane.parts
            if not part.is_settled or part.state == "held"
        ]
        moved = [self.parts[name] for name in order if self.parts[name] in moving]
        assert len(moved) == len(moving), "a part was lost on the way"
        for lane in (target, old):
            for stage in range(3):
                before = [p for p in lane.parts if p in moving and _stage(p) == stage]
                assert before == [p for p in moved if p in before], "out of order"
        assert [_stage(part) for part in moved] == sorted(_stage(part) for part in moving)
        for part in moved:
            part.lane.parts.remove(part)
            part.lane = target
            target.parts.append(part)
            if part.state == "pending" and not part.is_answer:
                part.next_at = None
        target.moved_to, old.moved_to = None, target
        self._wake(_first(target.parts), now)
        return target

    def _wake(self, first: Part | None, now: int) -> None:
        """Make the first of a lane due if it waits for nothing else."""
        if first is None:
            return
        if first.is_answer:
            self._promote(first, now)
        elif first.state == "pending" and first.next_at is None:
            first.next_at = self._not_before(first.lane, now)

    def _promote(self, part: Part, now: int) -> Part | None:
        first = self._first_beside(part)
        if first is None or first.state != "pending":
            return None
        since = now if first.next_at is None else first.next_at
        first.next_at = self._not_before(first.lane, since)
        return first if first.next_at <= now else None

    def _first_beside(self, part: Part) -> Part | None:
        """The first unsettled one where that part stands: its lane, or its answer."""
        if not part.is_answer:
            return _first(part.lane.parts)
        answer = [p for p in self.parts.values() if p.turn_id == part.turn_id and not p.is_settled]
        return min(answer, key=lambda p: p.number, default=None)

    def _is_due(self, part: Part, now: int) -> bool:
        is_free = part.lane.blocked_until <= now and self.account_blocked_until <= now
        is_time = part.next_at is not None and part.next_at <= now
        is_next = self.is_first(part) and not self._waits_for_answer(part, now)
        return part.state == "pending" and is_time and is_free and is_next

    def _waits_for_answer(self, part: Part, now: int) -> bool:
        """Whether an earlier answer to a command there may leave, or is leaving."""
        lane = part.lane.parts
        before = [one for one in lane[: lane.index(part)] if one.is_answer and part.is_answer]
        return any(
            one.state == "sending"
            or (one.state == "pending" and one.next_at is not None and one.next_at <= now)
            for one in before
        )

    def _not_before(self, lane: Lane, time: int) -> int:
        return max(time, lane.blocked_until, self.account_blocked_until)

    def _begin(self, part: Part, owner: str) -> None:
        part.state, part.owner, part.next_at = "sending", owner, None
        part.attempts += 1
        part.was_begun = True

    def _block(self, lane: Lane, result: SendResult, until: int) -> None:
        if result.scope != "account":
            lane.blocked_until = max(lane.blocked_until, until)
            return
        self.account_blocked_until = max(self.account_blocked_until, until)
        for part in self.parts.values():
            if part.state == "pending" and part.next_at is not None:
                part.next_at = max(part.next_at, until)

    def _cut_off(self, part: Part) -> None:
        for later in self.parts.values():
            is_behind = later.turn_id == part.turn_id and later.number > part.number
            if is_behind and later.state == "pending":
                later.state, later.next_at, later.is_cut_off = "dead", None, True


def _first(parts: Sequence[Part]) -> Part | None:
    """The first unsettled part of a lane; answers to commands stand in none."""
    return next((part for part in parts if not part.is_settled and not part.is_answer), None)


def _stage(part: Part) -> int:
    """Where a part stands when lanes become one: being sent, shown already, or waiting."""
    return {"open": 1, "pending": 2}.get(part.state, 0)
