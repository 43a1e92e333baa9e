"""Rules of what is decided about parts that are in doubt or were given up."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId
from tests.store.builders import PROJECT
from tests.store.crashing import Fate
from tests.store.machine import fates, pick, picks
from tests.store.machine_deliveries import Deliveries
from tests.store.model_lanes import GIVEN_UP, Part


class Operators(Deliveries):
    """The channel's rule about doubt, and an operator at the dead letters."""

    @rule(state=st.sampled_from(["sent", "again", "held", "unknown"]), fate=fates)
    def decide_doubt(self, state: str, fate: Fate) -> None:
        """What became of a doubtful part is decided."""
        doubtful = self.call(lambda store: store.ambiguous(limit=10)) or []
        wanted = {
            part.id
            for part in self.model.parts.values()
            if part.state == "ambiguous" and (part.next_at or 0) <= self.now
        }
        assert {delivery.id for delivery in doubtful} == wanted
        if doubtful:
            self.end(self.owner, doubtful[0].id, state, fate)

    @precondition(lambda self: self.given_up())
    @rule(number=picks, is_dropped=st.booleans())
    def decide_given_up(self, number: int, *, is_dropped: bool) -> None:
        """An operator, in a process of his own, replays or drops what was given up."""
        chosen = pick(self.given_up(), number)

        async def decide() -> Delivery | None:
            store = await self.store.beside()
            to = "cancelled" if is_dropped else "pending"
            return await store.replay(PROJECT, DeliveryId(chosen.id), to=to)  # type: ignore[arg-type] # one of both

        assert self.run(decide()) is not None
        self.model.replay(chosen, is_dropped=is_dropped, now=self.now)

    def given_up(self) -> list[Part]:
        """Parts that an operator may decide about."""
        return [part for part in self.model.parts.values() if part.state in GIVEN_UP]
