"""Sessions and their turns as plain Python: what is queued, and which turn is next.

Used by `model.py`, which moves them. Times are whole seconds.
"""

from dataclasses import dataclass, field

from gateway.domain.turns import TurnState
from tests.store.model_lanes import Lane


@dataclass(slots=True, eq=False)
class Entry:
    """One turn."""

    id: str
    talk: "Talk"
    seq: int
    kind: str
    state: TurnState
    created_at: int
    ready_at: int
    source_order: int | None
    group_id: str | None
    said: int = 1
    attempts: int = 0
    crashes: int = 0
    is_to_stop: bool = False
    waiting_at: int = 0
    parts: int = 0


@dataclass(slots=True, eq=False)
class Talk:
    """One session."""

    id: str
    lane: Lane | None
    turns: list[Entry] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    owner: str | None = None
    epoch: int = 0
    ready_at: int | None = None
    is_over: bool = False

    def having(self, *states: TurnState) -> list[Entry]:
        """Its turns in these states, by seq."""
        return [turn for turn in self.turns if turn.state in states]

    def next_turn(self) -> Entry | None:
        """One begun before, else the source's order, else the order of arrival."""
        queued = self.having("queued")
        begun = [turn for turn in queued if turn.attempts]
        if not queued or begun:
            return begun[0] if begun else None
        if queued[0].source_order is None:
            return queued[0]
        ordered = [turn for turn in queued if turn.source_order is not None]
        return min(ordered, key=lambda turn: (turn.source_order, turn.seq))

    def take_place(self, now: int, *, at_tail: bool) -> None:
        """Stand in line for the next turn: at the tail, or where it stood already."""
        turn = None if self.having("waiting") else self.next_turn()
        since = now if at_tail or self.ready_at is None else min(now, self.ready_at)
        self.ready_at = None if turn is None else max(since, turn.ready_at)
