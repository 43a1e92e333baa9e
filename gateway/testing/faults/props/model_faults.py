"""The ways in which a model endpoint fails, and what has to come of each.

From the rules of the gateway: 429, 5xx, time limits and broken answers are asked again after 1, 4,
15 and 45 s, later where the endpoint wishes; 400, 401, 403 and 404 are not; a turn has its limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.testing.openai.replies import (
    Answer,
    Drip,
    EmptyChoices,
    ErrorEvent,
    Garbage,
    HangUp,
    HttpError,
    Reply,
    Silence,
    Truncated,
    huge_reply,
    too_many_requests,
    wrong_key,
)

PARTIAL: Final = "This must never be seen again, by nobody."
FIRST_PAUSE_S: Final = 0.9
"""The first pause is a second; clocks are read at both ends of a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A way to fail.

    `times` is how many calls fail, None: all. `is_mended`: a good answer comes of it. `calls` is
    how often the model is asked, where that is fixed; `pause_s` what passes before the second time.
    """

    name: str
    answer: Answer
    times: int | None = 1
    is_mended: bool = True
    calls: int | None = 2
    pause_s: float = FIRST_PAUSE_S

    @property
    def slug(self) -> str:
        """The name, as part of an address."""
        return self.name.replace(" ", "-")


def _never(name: str, answer: Answer, *, calls: int | None = None) -> Case:
    return Case(name=name, answer=answer, times=None, is_mended=False, calls=calls)


CASES: Final = (
    Case(name="500 once", answer=HttpError(500)),
    Case(name="429 with retry-after", answer=too_many_requests(retry_after_s=3), pause_s=2.9),
    Case(name="garbage once", answer=Garbage()),
    Case(name="empty choices once", answer=EmptyChoices()),
    Case(name="truncated once", answer=Truncated(Reply(PARTIAL))),
    Case(name="ended early once", answer=Truncated(Reply(PARTIAL), how="end")),
    Case(name="error event once", answer=ErrorEvent(Reply(PARTIAL))),
    Case(name="hung up once", answer=HangUp()),
    _never("500 always", HttpError(500)),
    _never("wrong key", wrong_key(), calls=1),
    _never("silence", Silence()),
    _never("silence after words", Silence(Reply(PARTIAL), after=3)),
    _never("a byte a second", Drip(Reply(PARTIAL))),
    _never("ten megabytes", huge_reply()),
)
