"""`bot-gateway dlq`: dead letters as operators see them, and what they decide."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from gateway.cli.app import run
from gateway.store.open import open_store
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Instance
from gateway.store.protocol.dead_letters import DeadLetterFilter
from gateway.store.protocol.inbox import KeepUnreadable
from tests.cli.conftest import CONFIG, CommandLine
from tests.store.builders import (
    PROJECT,
    accept_one,
    begin_sends,
    chat_turn,
    end_send,
    event,
    talk,
)

Value = TypeVar("Value")
CHANNEL = """
[[channels]]
name = "tg"
kind = "telegram"
bot = "support"
token = "1:a"
"""


def daemon() -> Instance:
    """A daemon that has just beaten."""
    now = datetime.now(UTC)
    return Instance("inst_1", "host", "1", started_at=now, heartbeat_at=now, snapshot={})


class Keyboard(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


class Letters:
    """Makes dead letters in the store of a command line; each gives its id."""

    def __init__(self, command: CommandLine) -> None:
        self._url = f"sqlite:{command.folder}/data/gateway.db"

    def part(self, text: str = "one", *, state: str = "dead", parts: int = 1) -> str:
        """A reply that ended in a state with its first part."""

        async def make(store: Store) -> str:
            await talk(store, parts=parts, new=chat_turn(text))
            part = (await begin_sends(store))[0]
            await end_send(store, part, state, error="chat not found")
            return part.id

        return self.run(make)

    def event(self, raw: bytes) -> str:
        """An event that nobody could read."""

        async def make(store: Store) -> str:
            arrived = event(raw.hex()[:20])
            entry = KeepUnreadable(project_id=PROJECT, event=arrived, raw=raw, reason="no JSON")
            await accept_one(store, entry)
            return (await store.unreadable_events(limit=1))[0].id

        return self.run(make)

    def due(self) -> list[str]:
        """The ids of what a daemon would send now, one chat after the other, in order."""

        async def send(store: Store) -> list[str]:
            sent, waiting = [], await begin_sends(store)
            while waiting:
                sent.append(str(waiting[0].id))
                waiting = waiting[1:] + await end_send(store, waiting[0])
            return sent

        return self.run(send)

    def left(self) -> int:
        """How many parts are dead letters."""

        async def count(store: Store) -> int:
            return len(await store.dead_deliveries(DeadLetterFilter()))

        return self.run(count)

    def state(self, identifier: str) -> str:
        """The state of a part."""

        async def look(store: Store) -> str:
            dead = await store.dead_delivery(identifier)
            return "" if dead is None else dead.delivery.state

        return self.run(look)

    def run(self, ask: Callable[[Store], Awaitable[Value]]) -> Value:
        """Ask the store."""

        async def asked() -> Value:
            async with open_store(self._url, lock=False) as store:
                return await ask(store)

        return asyncio.run(asked())


@pytest.fixture
def letters(command: CommandLine) -> Letters:
    """What makes dead letters."""
    command.configure(CONFIG + CHANNEL)
    return Letters(command)


class TestList:
    def test_without_any_it_says_so(self, command: CommandLine) -> None:
        result = command("dlq", "list")

        assert (result.code, result.out) == (0, "There are no such dead letters.\n")

    def test_parts_and_events_stand_together_newest_first(
        self, command: CommandLine, letters: Letters
    ) -> None:
        event_id, part_id = letters.event(b"{"), letters.part()

        listed = command("dlq", "list", "--json").json
        shown = command("dlq", "list").out

        assert [(each["id"], each["kind"], each["state"]) for each in listed] == [
            (part_id, "delivery", "dead"),
            (event_id, "event", "unreadable"),
        ]
        assert listed[0]["channel"] == "tg"
        assert listed[0]["where"] == "100"
        assert "chat not found" in shown
        assert "no JSON" in shown

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            (("--state", "held"), 1),
            (("--state", "unreadable"), 1),
            (("--state", "expired"), 0),
            (("--channel", "tg"), 2),
            (("--channel", "slack"), 0),
            (("--limit", "2"), 2),
        ],
    )
    def test_the_list_can_be_narrowed(
        self, command: CommandLine, letters: Letters, options: tuple[str, ...], count: int
    ) -> None:
        letters.part()
        letters.part("two", state="held")
        letters.event(b"{")

        assert len(command("dlq", "list", *options, "--json").json) == count


class TestShow:
    def test_a_part_tells_its_text_its_fate_and_its_future(
        self, command: CommandLine, letters: Letters
    ) -> None:
        part_id = letters.part("hello", state="held", parts=2)

        found = command("dlq", "show", part_id, "--json").json
        shown = command("dlq", "show", part_id).out

        assert found["part"] == {"text": "re: hello 0"}
        assert found["attempts"] == 1
        assert len(found["takes_along"]) == 1
        assert "re: hello 0" in shown
        assert "would get it twice" in shown

    def test_raw_bytes_cannot_steer_the_terminal(
        self, command: CommandLine, letters: Letters
    ) -> None:
        event_id = letters.event(b"\x1b]0;gotcha\x07\xff [bold]{")

        shown = command("dlq", "show", event_id).out

        assert "\\x1b]0;gotcha\\x07\\xff [bold]{" in shown
        assert "\x1b" not in shown

    def test_a_channel_that_is_gone_is_told(self, command: CommandLine, letters: Letters) -> None:
        part_id = letters.part()
        command.configure(CONFIG)

        assert "has a channel tg" in command("dlq", "show", part_id).out

    @pytest.mark.parametrize("verb", ["show", "replay", "drop"])
    @pytest.mark.parametrize("identifier", ["dlv_none", "evt_99", "evt_x"])
    def test_an_unknown_id_is_one_sentence(
        self, command: CommandLine, verb: str, identifier: str
    ) -> None:
        yes = ("--yes",) if verb == "drop" else ()

        result = command("dlq", verb, identifier, *yes)

        assert result.code == 1
        assert result.error_lines == [f"error: There is no dead letter {identifier}."]


class TestReplay:
    def test_it_goes_out_again_with_what_it_had_cut_off(
        self, command: CommandLine, letters: Letters
    ) -> None:
        part_id = letters.part(parts=3)

        result = command("dlq", "replay", part_id, "--json")

        outcomes = {each["id"]: each["outcome"] for each in result.json}
        assert result.code == 0
        assert list(outcomes.values()) == ["replayed", "went along", "went along"]
        assert letters.due() == list(outcomes)

    def test_without_a_daemon_it_says_when_it_goes_out(
        self, command: CommandLine, letters: Letters
    ) -> None:
        part_id = letters.part()

        assert "goes out when one starts" in command("dlq", "replay", part_id).out

    def test_beside_a_daemon_it_says_no_such_thing(
        self, command: CommandLine, letters: Letters
    ) -> None:
        part_id = letters.part()
        letters.run(lambda store: store.beat(daemon()))

        assert "starts" not in command("dlq", "replay", part_id).out

    def test_what_stays_does_not_go_out_when_one_starts(
        self, command: CommandLine, letters: Letters
    ) -> None:
        assert "starts" not in command("dlq", "replay", letters.event(b"{")).out

    def test_a_held_part_comes_with_a_warning(self, command: CommandLine, letters: Letters) -> None:
        assert "would get it twice" in command("dlq", "replay", letters.part(state="held")).out

    def test_all_of_them_go_in_the_order_they_were_made(
        self, command: CommandLine, letters: Letters
    ) -> None:
        first = letters.part("one", parts=2)
        second = letters.part("two", state="expired")

        result = command("dlq", "replay", "--all", "--json")

        assert [each["outcome"] for each in result.json] == ["replayed", "went along", "replayed"]
        assert [letters.due()[number] for number in (0,)] == [first]
        assert letters.state(second) in {"sent", "pending"}

    def test_all_can_be_narrowed(self, command: CommandLine, letters: Letters) -> None:
        letters.part("one")
        held = letters.part("two", state="held")

        result = command("dlq", "replay", "--all", "--state", "held", "--channel", "tg", "--json")

        assert [each["id"] for each in result.json] == [held]
        assert letters.left() == 1

    def test_an_event_stays_and_says_why(self, command: CommandLine, letters: Letters) -> None:
        result = command("dlq", "replay", letters.event(b"{"))

        assert result.code == 1
        assert "left as it was" in result.out

    def test_what_was_sent_is_no_dead_letter(self, command: CommandLine, letters: Letters) -> None:
        result = command("dlq", "replay", letters.part(state="sent"))

        assert result.code == 1
        assert "it is sent, there is nothing to decide" in result.err

    def test_one_unknown_id_changes_nothing(self, command: CommandLine, letters: Letters) -> None:
        part_id = letters.part()

        assert command("dlq", "replay", part_id, "dlv_none").code == 1
        assert letters.state(part_id) == "dead"

    def test_explain_tells_what_was_decided(self, command: CommandLine, letters: Letters) -> None:
        part_id = letters.part(state="held")
        command("dlq", "replay", part_id)
        letters.due()

        shown = command("explain", part_id).out

        assert "an operator sent a part again; it was held" in shown
        assert "chat not found" in shown


class TestDrop:
    def test_a_dropped_part_is_cancelled(self, command: CommandLine, letters: Letters) -> None:
        part_id = letters.part()

        result = command("dlq", "drop", part_id, "--yes")

        assert (result.code, letters.state(part_id)) == (0, "cancelled")
        assert command("dlq", "list", "--json").json == []

    def test_all_of_a_kind_are_dropped(self, command: CommandLine, letters: Letters) -> None:
        letters.event(b"{")
        letters.event(b"[")
        part_id = letters.part()

        command("dlq", "drop", "--all", "--state", "unreadable", "--yes")

        assert [each["id"] for each in command("dlq", "list", "--json").json] == [part_id]

    def test_where_nobody_can_be_asked_it_wants_a_yes(
        self, command: CommandLine, letters: Letters
    ) -> None:
        part_id = letters.part()

        result = command("dlq", "drop", part_id)

        assert (result.code, letters.state(part_id)) == (2, "dead")
        assert "--yes" in result.err

    @pytest.mark.parametrize(("answer", "ends"), [("n", (1, "dead")), ("y", (0, "cancelled"))])
    def test_on_a_terminal_it_asks(
        self,
        command: CommandLine,
        letters: Letters,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        answer: str,
        ends: tuple[int, str],
    ) -> None:
        part_id = letters.part()
        monkeypatch.setattr("sys.stdin", Keyboard(f"{answer}\n"))

        code = run(["dlq", "drop", "--all", "--config", str(command.config)])

        written = capsys.readouterr()
        assert "Give up 1 dead letter for good?" in written.out
        assert ("nothing was dropped" in written.err) == (answer == "n")
        assert (code, letters.state(part_id)) == ends

    @pytest.mark.parametrize("state", ["sent", None], ids=["sent", "unknown"])
    def test_nobody_is_asked_about_what_is_no_dead_letter(
        self,
        command: CommandLine,
        letters: Letters,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        state: str | None,
    ) -> None:
        other = "dlv_none" if state is None else letters.part(state=state)
        monkeypatch.setattr("sys.stdin", Keyboard("y\n"))

        code = run(["dlq", "drop", letters.part("two"), other, "--config", str(command.config)])

        written = capsys.readouterr()
        assert (code, written.out) == (1, "")
        assert other in written.err

    def test_there_is_nothing_to_drop(self, command: CommandLine) -> None:
        result = command("dlq", "drop", "--all", "--yes")

        assert (result.code, result.out) == (0, "There was nothing to drop.\n")


@pytest.mark.parametrize(
    "arguments",
    [(), ("dlv_1", "--all"), ("dlv_1", "--state", "held"), ("dlv_1", "--channel", "tg")],
    ids=" ".join,
)
@pytest.mark.parametrize("verb", ["replay", "drop"])
def test_ids_or_all_of_them(command: CommandLine, verb: str, arguments: tuple[str, ...]) -> None:
    assert command("dlq", verb, *arguments).code == 2
