"""What is on its way from Slack to the app: each event or interaction, and every try.

`Deliveries` gives new ones to whatever carries them (HTTP or Socket Mode), can hold them back and
let them go in another order, and knows which are neither acknowledged nor given up. How they are
carried is in `webhook.py` and `sockets.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway.testing.wire import JsonObject

Kind = Literal["events_api", "interactive", "slash_commands"]
State = Literal["pending", "acknowledged", "given up"]


@dataclass(frozen=True, slots=True)
class EventRetry:
    """How an event is tried again; `scale` 0.01 makes a minute 0.6 seconds.

    Slack tries again nearly at once, after a minute and after five (docs.slack.dev, Events API,
    "Error handling"). `enabled` = False: each event is handed over once, whatever the answer.
    """

    enabled: bool = True
    scale: float = 1.0
    answer_within_s: float = 3.0

    def waits_s(self, kind: Kind) -> tuple[float, ...]:
        """The pauses before each try; people's clicks and commands are tried once."""
        if kind != "events_api" or not self.enabled:
            return (0.0,)
        return (0.0, 0.0, 60.0 * self.scale, 300.0 * self.scale)


@dataclass(frozen=True, slots=True)
class EventAttempt:
    """One try to hand something over.

    `status` is the HTTP status, 200 for an acknowledged envelope, None without an answer. `failure`
    is the reason Slack gives for the next try ("http_timeout" ...), "" when this one succeeded.
    `body` is what the app answered with. `connection` numbers the socket, 0 over HTTP.
    """

    event_id: str
    at: float
    status: int | None = None
    retry: int = 0
    failure: str = ""
    body: str = ""
    seconds: float = 0.0
    connection: int = 0

    @property
    def is_success(self) -> bool:
        """It counts as delivered."""
        return not self.failure


@dataclass(slots=True, eq=False)
class Delivery:
    """One event or interaction on its way."""

    kind: Kind
    payload: JsonObject
    state: State = "pending"
    attempts: list[EventAttempt] = field(default_factory=list)

    @property
    def event_id(self) -> str:
        """The id that stays the same over all tries; interactions have their trigger's."""
        return str(self.payload.get("event_id") or self.payload.get("trigger_id") or "")


class Deliveries:
    """Everything the app was or will be told."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.all: list[Delivery] = []
        self.carry: Callable[[Delivery], None] | None = None
        self._pending: dict[int, Delivery] = {}
        self._held: list[Delivery] | None = None
        self._on_change = on_change

    @property
    def pending(self) -> list[Delivery]:
        """What is neither acknowledged nor given up."""
        return list(self._pending.values())

    @property
    def attempts(self) -> list[EventAttempt]:
        """Every try, oldest first."""
        found = (attempt for delivery in self.all for attempt in delivery.attempts)
        return sorted(found, key=lambda attempt: attempt.at)

    def send(self, kind: Kind, payload: JsonObject) -> Delivery:
        """Hand something over, or keep it for later while deliveries are held back."""
        delivery = Delivery(kind, payload)
        self.all.append(delivery)
        self._pending[id(delivery)] = delivery
        if self._held is not None:
            self._held.append(delivery)
        else:
            self._go([delivery])
        self._on_change()
        return delivery

    def hold(self) -> None:
        """Keep back what comes from now on."""
        self._held = self._held or []

    def release(self, *, reverse: bool = False) -> None:
        """Let go of what was kept back, the newest first when `reverse`."""
        held, self._held = self._held or [], None
        self._go(reversed(held) if reverse else held)

    def note(self, delivery: Delivery, attempt: EventAttempt) -> None:
        """A try ended."""
        delivery.attempts.append(attempt)
        if attempt.is_success:
            self._settle(delivery, "acknowledged")
        self._on_change()

    def give_up(self, delivery: Delivery) -> None:
        """No further try is made."""
        self._settle(delivery, "given up")
        self._on_change()

    def _settle(self, delivery: Delivery, state: State) -> None:
        delivery.state = state
        self._pending.pop(id(delivery), None)

    def _go(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            if self.carry is not None:
                self.carry(delivery)
