"""The queue as plain Python: what the store has to hold after each operation, told by its promises.

Sessions with their turns, lanes with their parts. Each method takes what an operation was asked and
what it gave, fails where that is not what was promised, and moves the model on. Times are whole
seconds; the store's clock rises with every look, so that equal seconds mean "is due".
"""

from collections.abc import Iterable, Sequence

from gateway.contract import Address
from gateway.domain.delivery import NewDelivery
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import TERMINAL, ClaimedTurn, TurnOutcome, TurnState
from gateway.store.protocol.inbox import Accepted, ClaimTerms, NewTurn
from gateway.store.protocol.turns import Committed, LeaseNews, OpenPart
from tests.store.model_lanes import Lane, Lanes, Part
from tests.store.model_talks import Entry, Talk

BUSY_PAUSE_S = 60
GATHERING = 5
ALBUM_SILENCE_S = 1
ALBUM_ITEMS = 10


class Model(Lanes):
    """Everything that was accepted, and what became of it."""

    def __init__(self, limits: QueueLimits) -> None:
        super().__init__()
        self.limits = limits
        self.talks: dict[str, Talk] = {}
        self.turns: dict[str, Entry] = {}
        self.current: dict[Lane, Talk] = {}

    # ------------------------------------------------------------ accepting

    def refusal(self, new: NewTurn) -> str | None:
        """The code with which a caller's turn is refused."""
        if sum(len(talk.having("queued")) for talk in self.talks.values()) >= (
            self.limits.queued_per_project
        ):
            return "too_many"
        talk = self.talks.get(new.session_id or "")
        if talk is None:
            return None
        if talk.is_over:
            return "session_ended"
        is_full = len(talk.having("queued")) >= self.limits.queued_per_session
        return "session_busy" if is_full else None

    def accept(self, new: NewTurn, got: Accepted, *, claim: ClaimTerms | None, now: int) -> bool:
        """A new turn, or a message that joins one; whether it was claimed in the same commit."""
        assert got.is_new
        room = self.limits.queued_per_project > sum(
            len(talk.having("queued")) for talk in self.talks.values()
        )
        talk = self._place(new, got)
        if new.terminal is not None:
            self._write_terminal(new, talk, now)
            assert got.claimed is None
            return False
        gathering = self._joined(new, talk, now)
        is_taken = gathering is not None or room
        self._interrupt(new, talk, got, is_taken=is_taken)
        assert got.was_joined == (gathering is not None)
        if gathering is not None:
            assert got.turn_id == gathering.id
            talk.texts.append(_text(new))
            gathering.said += 1
            gathering.group_id = gathering.group_id or new.group_id
            if talk.owner is None:
                talk.take_place(now, at_tail=False)
            return False
        if not room:
            self._write_busy(new, talk, now)
            assert got.state == "failed"
            return False
        return self._write_queued(new, talk, got, claim=claim, now=now)

    def _place(self, new: NewTurn, got: Accepted) -> Talk:
        """The session it belongs to, which is a new one where none is open."""
        lane = None
        if new.address is not None:
            lane = self.lanes.setdefault(new.address.chat, Lane(new.address.chat))
            known = self.current.get(lane)
        else:
            known = self.talks.get(new.session_id or "")
        if known is None or known.is_over or new.fresh_session:
            assert got.session_id is not None
            assert got.session_id not in self.talks
            known = self.talks[got.session_id] = Talk(got.session_id, lane)
        assert got.session_id == known.id
        if lane is not None:
            self.current[lane], lane.is_reachable = known, True
        return known

    def _write_terminal(self, new: NewTurn, talk: Talk, now: int) -> None:
        terminal = new.terminal
        assert terminal is not None
        if terminal.cancels:
            for turn in talk.having("queued", "waiting", "running"):
                turn.is_to_stop = True
                turn.state = "running" if turn.state == "running" else "cancelled"
            self._close_left_behind(talk, now)
            if talk.owner is None:
                talk.ready_at = None
        turn = self._add(new, talk, "done", now)
        self._put_out(talk, turn, terminal.deliveries, is_answer=True, now=now)
        talk.is_over = talk.is_over or terminal.ends_session is not None

    def _write_busy(self, new: NewTurn, talk: Talk, now: int) -> None:
        turn, lane = self._add(new, talk, "failed", now), talk.lane
        assert lane is not None
        if new.busy_reply and now - lane.busy_told_at >= BUSY_PAUSE_S:
            lane.busy_told_at = now
            self._put_out(talk, turn, new.busy_reply, is_answer=True, now=now)

    def _write_queued(
        self, new: NewTurn, talk: Talk, got: Accepted, *, claim: ClaimTerms | None, now: int
    ) -> bool:
        if new.kind == "message":
            for waiting in talk.having("waiting"):
                waiting.state, waiting.ready_at = "queued", now
        others_wait = any(
            other.owner is None and other.ready_at is not None and other.ready_at <= now
            for other in self.talks.values()
        )
        is_idle = not talk.having("queued", "running", "waiting")
        turn = self._add(new, talk, "queued", now)
        is_ready = not new.delay_s and new.group_id is None
        may_run = claim is not None and is_idle and is_ready and not others_wait
        assert (got.claimed is not None) == may_run
        assert got.state == ("running" if may_run else "queued")
        if claim is not None and may_run:
            self._start(turn, claim, now)
            self._check_claimed(got.claimed, turn)
        elif talk.owner is None:
            talk.take_place(now, at_tail=False)
        return may_run

    def _joined(self, new: NewTurn, talk: Talk, now: int) -> Entry | None:
        """The queued turn that takes the message: an album, a debounce window, a full session."""
        queued = [turn for turn in talk.having("queued") if turn.kind == "message"]
        if new.kind != "message":
            return None
        for turn in reversed(queued):
            if self._gathers(turn, new, now):
                until = min(now + new.delay_s, turn.created_at + GATHERING * new.delay_s)
                silence = now + ALBUM_SILENCE_S if new.group_id else 0
                turn.ready_at = max(turn.ready_at, int(until), silence)
                return turn
        is_full = len(talk.having("queued")) >= self.limits.queued_per_session
        return queued[-1] if queued and is_full and new.when_full == "join" else None

    def _gathers(self, turn: Entry, new: NewTurn, now: int) -> bool:
        is_album = new.group_id is not None and new.group_id == turn.group_id
        is_in_window = bool(new.delay_s and turn.ready_at > now)
        is_open = is_in_window or new.when_busy != "queue"
        return not turn.attempts and (is_open or (is_album and turn.said < ALBUM_ITEMS))

    def _interrupt(self, new: NewTurn, talk: Talk, got: Accepted, *, is_taken: bool) -> None:
        """A message that does not wait: what is being answered is to stop, unless it is of it."""
        running = [turn for turn in talk.having("running") if turn.kind == "message"]
        stopped = None
        if is_taken and new.when_busy == "interrupt" and new.kind == "message" and running:
            is_same = new.group_id is not None and new.group_id == running[0].group_id
            stopped = None if is_same else running[0]
        assert got.interrupts == (stopped and stopped.id)
        if stopped is not None:
            stopped.is_to_stop = True

    def _add(self, new: NewTurn, talk: Talk, state: TurnState, now: int) -> Entry:
        turn = Entry(
            id=new.turn_id,
            talk=talk,
            seq=len(talk.turns) + 1,
            kind=new.kind,
            state=state,
            created_at=now,
            ready_at=now + max(int(new.delay_s), ALBUM_SILENCE_S if new.group_id else 0),
            source_order=new.source_order,
            group_id=new.group_id,
        )
        assert turn.id not in self.turns
        talk.turns.append(turn)
        self.turns[turn.id] = turn
        if new.message is not None:
            talk.texts.append(_text(new))
        return turn

    def _put_out(
        self,
        talk: Talk,
        turn: Entry,
        parts: Sequence[NewDelivery],
        *,
        is_answer: bool,
        now: int,
    ) -> None:
        if talk.lane is not None:
            first = turn.parts
            turn.parts += len(parts)
            self.put_out(
                talk.lane, parts, turn_id=turn.id, first_part=first, is_answer=is_answer, now=now
            )

    def move(self, old: Lane, new: Address, *, order: Sequence[str], now: int) -> None:
        """An address became another, and its sessions go with it."""
        target = self.merge(old, new, order=order, now=now)
        if target is old:
            return
        for talk in self.talks.values():
            talk.lane = target if talk.lane is old else talk.lane
        left = self.current.pop(old, None)
        if left is not None:
            self.current.setdefault(target, left)

    # ------------------------------------------------------------ turns at work

    def claim(
        self, terms: ClaimTerms, got: Sequence[ClaimedTurn], *, stopped: set[str], now: int
    ) -> None:
        """What was claimed; `stopped` are the turns that the store now holds for cancelled."""
        due = [t for t in self.talks.values() if t.ready_at is not None and t.ready_at <= now]
        taken_at: list[int] = []
        for claimed in got:
            talk = self.talks[claimed.lease.session_id]
            assert talk in due, "claimed before its time"
            taken_at.append(talk.ready_at or 0)
            due.remove(talk)
            self._abandon(talk, now)
            turn = next(iter(talk.having("running")), None) or talk.next_turn()
            assert turn is not None
            assert turn.state == "running" or not talk.having("waiting")
            assert turn.ready_at <= now, "claimed before its time"
            self._start(turn, terms, now)
            self._check_claimed(claimed, turn)
        for talk in due:
            self._leave_behind(talk, stopped, has_room=len(got) < terms.limit, now=now)
        left_at = [talk.ready_at for talk in due if talk.ready_at and talk.ready_at <= now]
        if taken_at and left_at:
            assert max(taken_at) <= min(left_at), "somebody waited longer"

    def _leave_behind(self, talk: Talk, stopped: set[str], *, has_room: bool, now: int) -> None:
        """A due session that was not claimed: nothing may be left to run in it, if there was room.

        Whether it was looked at at all shows only where its abandoned turn was to stop.
        """
        abandoned = next(iter(talk.having("running")), None)
        if abandoned is not None and abandoned.id in stopped:
            self._abandon(talk, now)
            talk.take_place(now, at_tail=True)
        if has_room:
            assert talk.owner is None, "an expired lease was not taken over"
            assert talk.ready_at is None or talk.ready_at > now, "a due session was left out"

    def _abandon(self, talk: Talk, now: int) -> None:
        """The former owner is gone: what it was to stop ends here, else it runs on."""
        talk.owner = None
        for turn in talk.having("running"):
            if turn.is_to_stop:
                turn.state = "cancelled"
        self._close_left_behind(talk, now)

    def _start(self, turn: Entry, terms: ClaimTerms, now: int) -> None:
        turn.state, turn.attempts, turn.crashes = "running", turn.attempts + 1, turn.crashes + 1
        talk = turn.talk
        talk.owner, talk.epoch = terms.owner, talk.epoch + 1
        talk.ready_at = now + int(terms.lease_s)

    def _check_claimed(self, claimed: ClaimedTurn | None, turn: Entry) -> None:
        assert claimed is not None
        assert claimed.turn.id == turn.id, "out of order"
        assert claimed.turn.seq == turn.seq
        assert claimed.turn.attempts == turn.attempts
        assert claimed.turn.crash_count == turn.crashes
        assert claimed.lease.epoch == turn.talk.epoch

    def holds(self, claimed: ClaimedTurn) -> bool:
        """Whether the lease of that claim is still good."""
        talk = self.talks[claimed.lease.session_id]
        return (talk.owner, talk.epoch) == (claimed.lease.owner, claimed.lease.epoch)

    def heartbeat(self, claims: Sequence[ClaimedTurn], news: LeaseNews, *, until: int) -> None:
        """Leases prolonged."""
        lost, to_stop = set(), set()
        for claimed in claims:
            talk = self.talks[claimed.lease.session_id]
            if self.holds(claimed):
                talk.ready_at = until
                to_stop |= {turn.id for turn in talk.having("running") if turn.is_to_stop}
            else:
                lost.add(talk.id)
        assert (set(news.lost), set(news.cancel_requested)) == (lost, to_stop)

    def finish(
        self, claimed: ClaimedTurn, outcome: TurnOutcome, got: Committed, *, now: int
    ) -> None:
        """What a turn leaves, or nothing where its lease is lost."""
        turn = self.turns[claimed.turn.id]
        talk = turn.talk
        is_good = self.holds(claimed) and turn.state == "running"
        assert got.is_committed == is_good, "fenced or not"
        if not is_good:
            return
        state = outcome.state
        if turn.is_to_stop and state in {"queued", "waiting"}:
            state = "cancelled"
        turn.state = state
        turn.waiting_at, turn.ready_at = now, now
        turn.attempts -= not outcome.counts_attempt
        turn.crashes = 0 if state in {"queued", "waiting"} else turn.crashes
        talk.texts += [message.text for message in outcome.messages]
        self._finish_shown(turn, outcome.deliveries, now=now)
        talk.owner = None
        if state == "waiting" and any(t.kind == "message" for t in talk.having("queued")):
            turn.state = "queued"
        talk.take_place(now, at_tail=True)
        assert got.turn is not None
        assert got.turn.state == turn.state
        assert got.has_more == bool(talk.having("queued"))

    def _finish_shown(self, turn: Entry, parts: Sequence[NewDelivery], *, now: int) -> None:
        """What was shown becomes the first part; only a turn that is tried again keeps it open."""
        shown = self._open_part_of(turn)
        if shown is not None and turn.state != "queued":
            self.fill(shown, parts[0] if parts else None, now)
            parts = parts[1:]
        self._put_out(turn.talk, turn, parts, is_answer=False, now=now)

    # ------------------------------------------------------------ messages that grow

    def open_part(self, claimed: ClaimedTurn, name: str, got: OpenPart | None, now: int) -> None:
        """The place of a message that is shown while its turn runs, before anything is shown."""
        turn = self.turns[claimed.turn.id]
        lane, known = turn.talk.lane, self._open_part_of(turn)
        is_good = self.holds(claimed) and turn.state == "running" and lane is not None
        if lane is None or not is_good:
            assert got is None, "fenced or not"
        elif known is not None:
            assert (got is not None) == self.is_first(known), "shown before its turn"
            assert got is None or (got.delivery.id, got.is_new) == (known.id, False)
        else:
            assert (got is not None) == self.is_free(lane, now), "shown in a lane that is not free"
            if got is not None:
                assert (got.delivery.id, got.is_new) == (name, True)
                self.take_place(lane, name, turn_id=turn.id, number=turn.parts)
                turn.parts += 1

    def keep_open_ref(self, claimed: ClaimedTurn, name: str, *, is_kept: bool) -> None:
        """It is known where the platform shows it."""
        part = self.parts[name]
        is_good = self.holds(claimed) and part.state == "open"
        assert is_kept == is_good, "fenced or not"
        part.is_shown = part.is_shown or is_kept

    def _open_part_of(self, turn: Entry) -> Part | None:
        """The part that the turn shows, which is its last."""
        return next((p for p in self.parts_of(turn.id) if p.state == "open"), None)

    def _close_left_behind(self, talk: Talk, now: int) -> None:
        """What is shown for a turn that ended without being run again is taken back."""
        for turn in talk.turns:
            shown = self._open_part_of(turn)
            if shown is not None and turn.state in TERMINAL:
                self.fill(shown, None, now)

    # ------------------------------------------------------------ leases and answers

    def release_abandoned(self, living: Iterable[str], *, now: int) -> int:
        """Leases of the dead end at once; how many."""
        living = set(living)
        freed = 0
        for talk in self.talks.values():
            if talk.owner is not None and talk.owner not in living and (talk.ready_at or 0) > now:
                talk.ready_at, freed = now, freed + 1
        return freed

    def cancel(self, turn: Entry, *, now: int) -> None:
        """Somebody wants a turn to stop."""
        if turn.state in TERMINAL:
            return
        turn.is_to_stop = True
        if turn.state != "running":
            turn.state = "cancelled"
            self._close_left_behind(turn.talk, now)
            if turn.talk.owner is None:
                turn.talk.take_place(now, at_tail=False)

    def resume(self, turn: Entry, *, now: int) -> None:
        """A waiting turn got its answer."""
        turn.state, turn.ready_at = "queued", now
        if turn.talk.owner is None:
            turn.talk.take_place(now, at_tail=False)


def _text(new: NewTurn) -> str:
    return "" if new.message is None else new.message.text
