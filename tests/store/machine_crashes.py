"""Rules of processes that die, and of those that take over what they left."""

from hypothesis.stateful import rule

from tests.store.crashing import Fate
from tests.store.machine import PEER, Bench, fates


class Crashes(Bench):
    """kill -9 between two steps, and what follows it."""

    @rule()
    def crash(self) -> None:
        """The process dies between two steps; its workers' commits may still arrive."""
        self.run(self.store.crash())

    @rule(fate=fates)
    def recover(self, fate: Fate) -> None:
        """A process takes over what dead ones left."""
        living = [self.owner, PEER]
        freed = self.call(lambda store: store.release_abandoned(living=living), fate)
        if freed is not None:
            assert freed == self.model.release_abandoned(living, now=self.now)
        living = [self.owner, PEER]
        doubtful = self.call(lambda store: store.doubt_abandoned(living=living))
        assert doubtful == self.model.doubt_abandoned(living, now=self.now)
