"""Rules of what comes in: messages, commands, calls, and what a platform brings a second time."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.contract import Address
from gateway.domain.channels import WhenBusy
from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.store.protocol.inbox import NewTurn, TerminalTurn
from tests.store.builders import api_turn, chat_turn, event, part, terms
from tests.store.crashing import Fate
from tests.store.machine import LIMITS, Bench, chats, fates, pick, picks


class Arrivals(Bench):
    """People and callers, and platforms that repeat themselves."""

    @rule(
        where=st.lists(chats, min_size=1, max_size=2),
        delay_s=st.sampled_from([0, 0, 0, 2]),
        order=st.sampled_from([-1, 1, None]),
        group=st.sampled_from([None, None, None, "album"]),
        when_busy=st.sampled_from(["queue", "queue", "collect", "interrupt"]),
        has_second_id=st.booleans(),
        is_fresh=st.sampled_from([False] * 9 + [True]),
        claims=st.booleans(),
        fate=fates,
    )
    def say(
        self,
        where: list[Address],
        delay_s: int,
        order: int | None,
        group: str | None,
        when_busy: WhenBusy,
        *,
        has_second_id: bool,
        is_fresh: bool,
        claims: bool,
        fate: Fate,
    ) -> None:
        """People write, several in one batch."""
        batch = []
        for chat in where:
            number = self.next_number()
            batch.append(
                chat_turn(
                    f"m{number}",
                    address=chat,
                    event=event(number, second_id=f"s{number}" if has_second_id else None),
                    delay_s=delay_s,
                    source_order=None if order is None else order * int(number),
                    group_id=group,
                    when_busy=when_busy,
                    fresh_session=is_fresh,
                    busy_reply=(part("busy"),),
                )
            )
        self.accept(batch, claims=claims, fate=fate)

    def accept(self, batch: list[NewTurn], *, claims: bool, fate: Fate) -> None:
        """Give a batch to the store, and what it gave to the model."""
        claim = terms(self.owner, limit=1, limits=LIMITS) if claims else None
        got = self.call(lambda store: store.accept(batch, limits=LIMITS, claim=claim), fate)
        if got is None:
            # Nothing was acknowledged, so the platform brings it again, now or never.
            return
        claims_left = 1
        for new, accepted in zip(batch, got, strict=True):
            may_claim = claim if claims_left else None
            claims_left -= self.model.accept(new, accepted, claim=may_claim, now=self.now)
            assert new.event is not None
            self.events[new.event.event_id] = new
            if accepted.claimed is not None and fate == "returns":
                self.claims.append(accepted.claimed)

    @rule(chat=chats, order=st.sampled_from([-1, -1, 1, None]), claims=st.booleans())
    def say_on(self, chat: Address, order: int | None, *, claims: bool) -> None:
        """A person writes, and nothing goes wrong."""
        self.say(
            [chat],
            0,
            order,
            None,
            "queue",
            has_second_id=True,
            is_fresh=False,
            claims=claims,
            fate="returns",
        )

    @precondition(lambda self: self.events)
    @rule(number=picks, way=st.sampled_from(["same", "other body", "second id"]), fate=fates)
    def redeliver(self, number: int, way: str, fate: Fate) -> None:
        """A platform brings an event again; whatever else it says, nothing is turned twice."""
        first = pick(list(self.events.values()), number)
        assert first.event is not None
        again = event(
            "x" + first.event.event_id if way == "second id" else first.event.event_id,
            body="other" if way == "other body" else "body",
            second_id=first.event.second_id,
        )
        if way == "second id" and again.second_id is None:
            return
        copy = chat_turn("again", address=Address("tg", "0"), event=again)
        got = self.call(lambda store: store.accept([copy], limits=LIMITS), fate)
        if got is not None:
            assert not got[0].is_new
            assert got[0].digest_differs == (way == "other body")
            assert got[0].turn_id is not None
            assert got[0].claimed is None

    @rule(
        chat=chats,
        parts=st.integers(0, 2),
        cancels=st.booleans(),
        ends=st.sampled_from([False, False, True]),
        fate=fates,
    )
    def give_command(
        self, chat: Address, parts: int, *, cancels: bool, ends: bool, fate: Fate
    ) -> None:
        """A person's command, answered at once."""
        number = self.next_number()
        terminal = TerminalTurn(
            state="done",
            deliveries=tuple(part(f"a{n}", number=n) for n in range(parts)),
            cancels=cancels,
            ends_session="new" if ends else None,
        )
        new = chat_turn(
            f"/{number}", address=chat, event=event(number), kind="command", terminal=terminal
        )
        self.accept([new], claims=False, fate=fate)

    @rule(
        number=picks,
        kind=st.sampled_from(["message", "prompt"]),
        is_new=st.booleans(),
        fate=fates,
    )
    def ask_by_call(self, number: int, kind: str, *, is_new: bool, fate: Fate) -> None:
        """A caller's turn, refused where too much waits."""
        talks = list(self.model.talks)
        session_id = None if is_new or not talks else SessionId(pick(talks, number))
        text = f"c{self.next_number()}"
        new = api_turn(text, session_id=session_id, kind=kind, event=event(self.next_number()))
        if self.model.refusal(new) is None:
            self.accept([new], claims=False, fate=fate)
            return
        try:
            self.call(lambda store: store.accept([new], limits=LIMITS))
        except RequestError:
            return
        raise AssertionError("it was to be refused")
