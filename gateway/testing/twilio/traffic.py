"""Everything on its way between the fake Twilio and the program under test.

Sends inbound messages to the webhook and takes created messages through their `Journey`, telling
each status to the message's callback URL. It decides nothing about what is allowed.
"""

from collections.abc import Callable

from gateway.testing.errands import Errands
from gateway.testing.loopback import pause
from gateway.testing.misbehaviour import FaultPlan
from gateway.testing.twilio.account import Account
from gateway.testing.twilio.courier import Courier, Delivery
from gateway.testing.twilio.forms import status_form
from gateway.testing.twilio.journey import Journey, not_sent, usual_journey
from gateway.testing.twilio.messages import TextMessage

OUTSIDE_WINDOW = 63016


class Traffic:
    """Deliveries and journeys that run until the fake is closed."""

    def __init__(
        self, account: Account, courier: Courier, *, on_change: Callable[[], None]
    ) -> None:
        self.courier = courier
        self.plan: FaultPlan[TextMessage, Journey] = FaultPlan()
        self.webhook: str | None = None
        self.fallback: str | None = None
        self.deliveries: dict[str, Delivery] = {}
        self.unaccepted: dict[str, TextMessage] = {}
        self._account = account
        self._on_change = on_change
        self._errands = Errands(on_end=on_change)

    def post(self, message: TextMessage, delivery: Delivery) -> None:
        """Send a person's message to the webhook; without one it only stays in the list."""
        self.deliveries[message.sid] = delivery
        self.unaccepted[message.sid] = message
        self.repeat(delivery)

    def repeat(self, delivery: Delivery) -> None:
        """Send a delivery (again)."""
        if self.webhook is not None:
            self._errands.run(self._deliver(delivery, self.webhook))

    def send_off(self, message: TextMessage) -> None:
        """Let a created message travel; a scheduled one stays."""
        journey = self.plan.take("message", message) or usual_journey(message)
        if self._account.is_outside_window(message):
            journey = not_sent(OUTSIDE_WINDOW)
        if message.status != "scheduled":
            self._errands.run(self._travel(message, journey))

    def tell_canceled(self, message: TextMessage) -> None:
        """A message was canceled before it was sent."""
        self._errands.run(self._tell(message, "canceled", None))

    def status_delivery(
        self, message: TextMessage, status: str, *, error: int | None = None
    ) -> Delivery:
        """The callback that tells a status."""
        form = status_form(message, status, account_sid=self._account.sid, error=error)
        return Delivery("status", message.sid, form)

    def open(self) -> None:
        """Deliver from now on."""
        self._errands.open()

    async def stop(self) -> None:
        """Deliver nothing more."""
        await self._errands.end()
        await self.courier.close()

    @property
    def is_quiet(self) -> bool:
        """Nothing is on its way."""
        return self._errands.are_done

    async def _deliver(self, delivery: Delivery, webhook: str) -> None:
        if await self.courier.deliver(delivery, webhook, fallback=self.fallback):
            self.unaccepted.pop(delivery.sid, None)

    async def _travel(self, message: TextMessage, journey: Journey) -> None:
        for status in journey.statuses:
            await pause(journey.step_s)
            if message.status == "canceled":
                return
            error = journey.error_of(status)
            message.become(status, now=self._account.now(), error_code=error)
            self._on_change()
            if journey.told is None:
                await self._tell(message, status, error)
        for status in journey.told or ():
            await self._tell(message, status, journey.error_of(status))

    async def _tell(self, message: TextMessage, status: str, error: int | None) -> None:
        if message.status_callback is not None:
            delivery = self.status_delivery(message, status, error=error)
            await self.courier.deliver(delivery, message.status_callback)
