"""What can go wrong with a call to any fake, and which calls it happens to.

The faults here are of the network and of what stands in front of a platform: an error page, an
answer that cannot be read, a lost connection, silence, slowness. `misbehave` lets one happen. A
platform's own refusals are plain values in its own room. `FaultPlan` hands out both kinds by name,
count and predicate; what a name is (a method, an operation, an action) the fake decides.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar, assert_never

from aiohttp import web

from gateway.testing.loopback import hang_up, pause, stall

Call = TypeVar("Call")
Fault = TypeVar("Fault")


@dataclass(frozen=True, slots=True)
class HtmlError:
    """An error page of something in front of the platform; the call has no effect."""

    status: int = 502
    body: str = "<html><head><title>502 Bad Gateway</title></head></html>"


@dataclass(frozen=True, slots=True)
class Garbled:
    """The call takes effect, and its answer cannot be read; `status` None is that of a good one."""

    body: str = '{"ok": true, "id": "<html>'
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without an answer; with `accepted` the call took effect before."""

    accepted: bool = True


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer ever comes; with `accepted` the call took effect."""

    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """The call takes effect at once, the good answer comes `delay_s` later."""

    delay_s: float


Misbehaviour: TypeAlias = HtmlError | Garbled | Drop | Hang | Slow
"""The faults that no platform has for itself."""


class LoggedCall(Protocol):
    """A call in the log of a fake; `status` is what was answered, None without an answer."""

    status: int | None


async def misbehave(
    fault: Misbehaviour,
    call: LoggedCall,
    *,
    request: web.BaseRequest,
    carry_out: Callable[[], Awaitable[web.Response]],
    on_change: Callable[[], None],
) -> web.StreamResponse:
    """Let the fault happen to a call.

    `carry_out` lets the call take effect, notes its status and gives the good answer; `on_change`
    is told when it took effect although nobody has been answered.
    """
    match fault:
        case HtmlError():
            call.status = fault.status
            return web.Response(status=fault.status, text=fault.body, content_type="text/html")
        case Garbled():
            good = await carry_out()
            call.status = fault.status or good.status
            return web.Response(
                status=call.status, text=fault.body, content_type="application/json"
            )
        case Slow():
            good = await carry_out()
            call.status = None
            on_change()
            await pause(fault.delay_s)
            call.status = good.status
            return good
        case Drop() | Hang():
            if fault.accepted:
                await carry_out()
                call.status = None
                on_change()
            if isinstance(fault, Hang):
                await stall()
            return hang_up(request)
        case _:
            assert_never(fault)


@dataclass(slots=True)
class FaultRule(Generic[Call, Fault]):
    """One entry of a plan: its faults in turn; `left` counts down, None never does.

    `used` counts up.
    """

    name: str
    faults: tuple[Fault, ...]
    left: int | None
    when: Callable[[Call], bool]
    used: int = 0

    def fits(self, name: str, call: Call) -> bool:
        """Whether the rule hits that call."""
        return self.left != 0 and self.name in {"*", name} and self.when(call)

    def use(self) -> Fault:
        """The next of its faults, counted as used."""
        fault = self.faults[self.used % len(self.faults)]
        self.used += 1
        if self.left is not None:
            self.left -= 1
        return fault

    def stop(self) -> None:
        """No further call is hit by this rule."""
        self.left = 0


class FaultPlan(Generic[Call, Fault]):
    """Which calls fail; the first rule that fits a call takes it."""

    def __init__(self) -> None:
        self._rules: list[FaultRule[Call, Fault]] = []

    def add(
        self,
        name: str,
        fault: Fault,
        *then: Fault,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> FaultRule[Call, Fault]:
        """Let the next calls of that name ("*": any) fail, with these faults in turn.

        `times` over, None: all from now on. `when` chooses among the calls.
        """
        faults = (fault, *then)
        left = None if times is None else times * len(faults)
        rule = FaultRule(name, faults, left, when or (lambda _: True))
        self._rules.append(rule)
        return rule

    def take(self, name: str, call: Call) -> Fault | None:
        """The fault for this call, counted as used; None when it may succeed."""
        rule = next((rule for rule in self._rules if rule.fits(name, call)), None)
        return None if rule is None else rule.use()

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()
