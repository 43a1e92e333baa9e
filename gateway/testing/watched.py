"""What every fake platform shows to a test: its calls, what is to go wrong, and ways to wait.

A fake notes each call in its `CallLog`, under a name of its choice (a method, an operation, an
action), and tells its `Changes` whenever something happened. `Watched` is what a test sees of both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.testing.loopback import Changes
from gateway.testing.misbehaviour import FaultPlan, FaultRule

Call = TypeVar("Call")
Fault = TypeVar("Fault")


class CallLog(Generic[Call, Fault]):
    """The calls of one fake, oldest first, and the faults planned for further ones."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.faults: FaultPlan[Call, Fault] = FaultPlan()
        self._by_name: defaultdict[str, list[Call]] = defaultdict(list)

    @property
    def next_number(self) -> int:
        """The number of the call that comes next, counted from 1."""
        return len(self.calls) + 1

    def add(self, name: str, call: Call) -> None:
        """Note a call."""
        self.calls.append(call)
        self._by_name[name].append(call)

    def count(self, name: str) -> int:
        """How many calls of that name came."""
        return len(self._by_name[name])

    def of(self, name: str) -> list[Call]:
        """The calls of that name."""
        return list(self._by_name[name])


class Watched(Generic[Call, Fault]):
    """The part of a fake that is the same on all platforms; the fake sets both attributes."""

    _log: CallLog[Call, Fault]
    _changes: Changes

    def fail(
        self,
        name: str,
        fault: Fault,
        *then: Fault,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> FaultRule[Call, Fault]:
        """Let the next calls of that name ("*": any) fail, with these faults in turn.

        `times` repeats them, None for ever; `when` chooses among the calls. The rule given back
        counts its uses and can be stopped.
        """
        return self._log.faults.add(name, fault, *then, times=times, when=when)

    def forget_faults(self) -> None:
        """Let every call succeed again that may."""
        self._log.faults.clear()

    @property
    def calls(self) -> list[Call]:
        """Every call that the fake knows, refused ones included, oldest first."""
        return self._log.calls

    def calls_of(self, name: str) -> list[Call]:
        """The calls of one name, oldest first."""
        return self._log.of(name)

    async def wait_for_calls(
        self, name: str, count: int = 1, *, timeout_s: float | None = 5.0
    ) -> list[Call]:
        """Wait until there were so many calls of that name, with whatever result."""
        await self.wait_until(
            lambda: self._log.count(name) >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{self._log.count(name)} of {count} calls of {name} came",
        )
        return self.calls_of(name)

    async def wait_until(
        self,
        fact: Callable[[], bool],
        *,
        timeout_s: float | None = 5.0,
        otherwise: Callable[[], str] = lambda: "it did not come true",
    ) -> None:
        """Wait for any fact about this fake; it is looked at after every call and delivery."""
        await self._changes.until(fact, timeout_s=timeout_s, otherwise=otherwise)
