"""Model checking of the queue: random histories over the real store, a crash between any two steps.

Hypothesis draws operations of two processes, and where one of them dies: before an operation's
COMMIT, after it, or between two of them. After every step the store must hold what the model says
and break none of its own invariants; at the end everything comes to an end. 200 histories by
default; `GATEWAY_MODEL_RUNS=5000` asks for more.

The operations and what is compared are in the `machine*` modules beside, the model in `model*`.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from gateway.domain.turns import TERMINAL
from tests.store.machine_crashes import Crashes
from tests.store.machine_growing import Growing
from tests.store.machine_operators import Operators

RUNS = int(os.environ.get("GATEWAY_MODEL_RUNS", "200"))
STEPS = 40
SHRINKS = "GATEWAY_MODEL_SHRINK" in os.environ
"""A failing history is made shorter first, which takes minutes."""


class QueueMachine(Growing, Operators, Crashes):
    """All rules together, and a calm after every storm."""

    def teardown(self) -> None:
        """After every storm all comes to its end, in order; then all is put away."""
        try:
            if self.store.lives:
                self.calm_down()
        finally:
            self.run(self.store.close())
            self.runner.close()

    def calm_down(self) -> None:
        """Bring everything to an end that goes well; whatever is left then is stuck."""
        for _ in range(60):
            self.store.clock.advance(61)
            self.recover(fate="returns")
            self.expire_waiting(age_s=1, fate="returns")
            self.claim(limit=3, is_peer=False, fate="returns")
            while self.claims:
                self.finish(number=0, parts=1, state="done", fate="returns")
            self.decide_doubt(state="sent", fate="returns")
            self.begin_sends(limit=3, is_peer=False, fate="returns")
            while self.sends:
                self.end_send(number=0, how="sent", fate="returns")
            is_over = all(turn.state in TERMINAL for turn in self.model.turns.values())
            if is_over and all(part.is_settled for part in self.model.parts.values()):
                self.run(self.compare(is_all=True))
                assert self.run(self.store.here.verify()) == []
                return
        raise AssertionError("it never came to an end")


QueueMachine.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.generate, Phase.shrink) if SHRINKS else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
TestQueue = pytest.mark.timeout(120 + RUNS)(QueueMachine.TestCase)
