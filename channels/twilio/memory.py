"""Which message of Twilio belongs to which delivery of ours, for those of the last while.

Learned from answers and from status callbacks, whose address carries our delivery id: so a create
whose answer was lost is found as soon as Twilio says anything about it, and another message of the
same words is not taken for it.
"""

from collections import OrderedDict
from typing import Final

REMEMBERED: Final = 5_000


class SentMemory:
    """The last messages; bounded, and empty after a start."""

    def __init__(self) -> None:
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._told: OrderedDict[str, str] = OrderedDict()
        self._sid_of: dict[str, str] = {}

    def note_answer(self, sid: str) -> None:
        """A create was answered with that message: nobody is in doubt about it."""
        self._answered[sid] = None
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)

    def note_callback(self, sid: str, delivery_id: str) -> None:
        """A callback told that a message is a delivery's, and that it has not failed."""
        self._told[sid] = delivery_id
        self._sid_of[delivery_id] = sid
        if len(self._told) > REMEMBERED:
            _, oldest = self._told.popitem(last=False)
            self._sid_of.pop(oldest, None)

    def unanswered(self, delivery_id: str) -> str | None:
        """The message of a delivery whose create was never answered, as a callback told it."""
        sid = self._sid_of.get(delivery_id)
        return None if sid in self._answered else sid

    def is_another(self, sid: str, delivery_id: str) -> bool:
        """Whether a message is known to be something else than a doubtful try of that delivery."""
        return sid in self._answered or self._told.get(sid, delivery_id) != delivery_id
