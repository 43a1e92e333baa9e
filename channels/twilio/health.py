"""How a connected channel is: what operators are told, and when nothing may leave.

Remembers alarms (each for an hour after its last cause), refused credentials and a sender that is
too fast. In memory only: what matters comes again after a start. `now_s` is a monotonic time.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from channels.twilio.failures import FILTERED, Failure
from gateway.contract import ChannelHost

ALARM_S: Final = 3600.0
FILTERED_LIMIT: Final = 3
"""So many messages an hour may be taken for spam before somebody should look."""

CREDENTIALS: Final = "credentials"


class Health:
    """The state of one connected channel."""

    def __init__(self, host: ChannelHost, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._now_s = now_s
        self._alarms: dict[str, tuple[float, str]] = {}
        self._filtered: deque[float] = deque(maxlen=FILTERED_LIMIT + 1)
        self._held_until = 0.0
        self._busy_count = 0

    @property
    def held_s(self) -> float:
        """For how long nothing should leave; 0 = it may."""
        return max(0.0, self._held_until - self._now_s())

    def hold(self, seconds: float) -> None:
        """Let nothing leave for a while: the sender is too fast, or over its limit."""
        self._held_until = max(self._held_until, self._now_s() + seconds)

    def note_busy(self) -> int:
        """Twilio had too many calls at once; gives how many times in a row that was so."""
        self._busy_count += 1
        return self._busy_count

    def note_success(self) -> None:
        """Twilio took something: the credentials are right, and it is not busy."""
        self._busy_count = 0
        if self._alarms.pop(CREDENTIALS, None) is not None:
            self.tell()

    def note_failure(self, failure: Failure | None, *, code: int | None) -> None:
        """A message was not delivered, or a call refused."""
        if failure is not None and failure.meaning == "account":
            self.alarm(CREDENTIALS, "Twilio refuses the credentials")
        elif failure is not None and failure.alarm is not None:
            self.alarm(str(code), f"Twilio: {failure.alarm}")
        elif code == FILTERED:
            self._note_filtered()

    def alarm(self, key: str, reason: str) -> None:
        """Tell operators; the same alarm again makes it last longer."""
        self._alarms[key] = (self._now_s() + ALARM_S, reason)
        self.tell()

    def clear(self, key: str) -> None:
        """An alarm's cause is gone."""
        if self._alarms.pop(key, None) is not None:
            self.tell()

    def tell(self) -> None:
        """Tell the gateway how the channel is now."""
        now_s = self._now_s()
        self._alarms = {key: alarm for key, alarm in self._alarms.items() if alarm[0] > now_s}
        reasons = "; ".join(reason for _, reason in self._alarms.values())
        if CREDENTIALS in self._alarms:
            self._host.health("stopped", reason=reasons)
        elif reasons:
            self._host.health("degraded", reason=reasons)
        else:
            self._host.health("connected")

    def _note_filtered(self) -> None:
        now_s = self._now_s()
        self._filtered.append(now_s)
        is_full = len(self._filtered) > FILTERED_LIMIT
        if is_full and now_s - self._filtered[0] < ALARM_S:
            self.alarm(
                "filtered",
                f"carriers took more than {FILTERED_LIMIT} messages in an hour for spam (30007)",
            )
