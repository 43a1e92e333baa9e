"""The way of a message after it was created, as a script.

A `Journey` is a plain value: the statuses a message will have, and what the program under test is
told of them. Which message goes which way is planned in `traffic.py`, posting is in `courier.py`.
"""

from dataclasses import dataclass

from gateway.testing.twilio.messages import TextMessage


@dataclass(frozen=True, slots=True)
class Journey:
    """Statuses after the first one, oldest first, `step_s` seconds apart.

    `told` are the statuses of the callbacks when they shall differ from what happens: out of order
    (`("delivered", "sent")`), repeated, or fewer (`()`: lost). `error_code` belongs to failed and
    undelivered.
    """

    statuses: tuple[str, ...]
    error_code: int | None = None
    step_s: float = 0.0
    told: tuple[str, ...] | None = None

    @property
    def callbacks(self) -> tuple[str, ...]:
        """Statuses in the order in which they are told."""
        return self.statuses if self.told is None else self.told

    def error_of(self, status: str) -> int | None:
        """The code that goes with a status."""
        return self.error_code if status in {"failed", "undelivered"} else None


def not_delivered(error_code: int) -> Journey:
    """The carrier did not deliver it: 30003 unreachable, 30007 filtered, 30008 unknown ..."""
    return Journey(("sending", "sent", "undelivered"), error_code)


def not_sent(error_code: int) -> Journey:
    """Twilio could not send it: 63016 outside of WhatsApp's window, 30001 queue overflow ..."""
    return Journey(("failed",), error_code)


def usual_journey(message: TextMessage) -> Journey:
    """The way of a message that arrives; on WhatsApp it is also read."""
    queued = ("queued",) if message.status == "accepted" else ()
    if message.is_whatsapp:
        return Journey((*queued, "sent", "delivered", "read"))
    return Journey((*queued, "sending", "sent", "delivered"))
