"""Rules of messages that grow while their turn runs."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.contract import Address
from gateway.domain.ids import new_delivery_id
from tests.store.builders import chat_turn, event
from tests.store.crashing import Fate
from tests.store.machine import chats, fates, pick, picks
from tests.store.machine_deliveries import Deliveries
from tests.store.machine_turns import Turns


class Growing(Turns, Deliveries):
    """Answers that are seen before they are complete."""

    @precondition(lambda self: self.claims)
    @rule(
        number=picks, is_shown=st.sampled_from([True, False, None]), fate=fates, second_fate=fates
    )
    def show(self, number: int, *, is_shown: bool | None, fate: Fate, second_fate: Fate) -> None:
        """A worker lets a message grow, be it one whose process died long ago.

        It learns where it is shown, or that it certainly is not; or (False) neither.
        """
        claimed, name = pick(self.claims, number), new_delivery_id()
        lease, turn_id = claimed.lease, claimed.turn.id
        got = self.call(lambda store: store.open_part(lease, turn_id, delivery_id=name), fate)
        if fate == "lost before commit":
            return
        self.model.open_part(claimed, name, got, self.now)
        if got is None or is_shown is False:
            return
        shown = got.delivery.id
        open_ref = f"ref {shown}" if is_shown else None
        is_kept = self.call(
            lambda store: store.keep_open_ref(lease, shown, open_ref=open_ref), second_fate
        )
        if is_kept is None:
            return
        if is_shown:
            self.model.keep_open_ref(claimed, shown, is_kept=is_kept)
        else:
            part, is_good = self.model.parts[shown], self.model.holds(claimed)
            self.model.leave(part, is_good=is_good, is_noted=is_kept)

    @rule(
        chat=chats,
        is_shown=st.sampled_from([True, True, False, None]),
        parts=st.integers(0, 2),
        state=st.sampled_from(["runs on", "done", "queued", "wait", "cancelled"]),
    )
    def talk_growing(self, chat: Address, parts: int, state: str, *, is_shown: bool | None) -> None:
        """A person writes, and sees the answer grow."""
        number = self.next_number()
        before = len(self.claims)
        new = chat_turn(f"g{number}", address=chat, event=event(number))
        self.accept([new], claims=True, fate="returns")
        if len(self.claims) > before:
            self.show(number=before, is_shown=is_shown, fate="returns", second_fate="returns")
            if state != "runs on":
                self.finish(number=before, parts=parts, state=state, fate="returns")

    @rule(chat=chats, to=chats)
    def move_growing(self, chat: Address, to: Address) -> None:
        """A chat becomes another one while messages grow in both."""
        for where in (to, chat):
            self.talk_growing(chat=where, is_shown=True, parts=0, state="runs on")
        lane = list(self.model.lanes).index(chat.chat)
        self.move(number=lane, to=int(to.chat), fate="returns")
        for number in range(len(self.claims)):
            self.show(number=number, is_shown=True, fate="returns", second_fate="returns")
