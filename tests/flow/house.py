"""A house for tests of `gateway.flow`: real store, real loop, a fake channel and a fake model.

Everything is built as the daemon builds it, with short pauses; `at_work` lets it run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from gateway.agents.journal import TurnJournal
from gateway.agents.orchestrator import run_turn
from gateway.agents.tools.table import ToolTable
from gateway.agents.transcriber import Transcriber
from gateway.contract import Address, Attachment, Capabilities, InboundMessage, Sender
from gateway.domain.access import Principal
from gateway.domain.bots import Agent, Bot, ToolSpec
from gateway.domain.conversation import Message, TextPart
from gateway.domain.delivery import Delivery
from gateway.domain.ids import ProjectId, new_instance_id, new_turn_id
from gateway.domain.people import IdentityKey
from gateway.domain.policy import QueueLimits, Retention
from gateway.domain.turns import TERMINAL, ClaimedTurn, Turn, TurnEvent
from gateway.errors import StoreError
from gateway.flow.attempt import Think
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.doubt import Doubt, DoubtTimes
from gateway.flow.host import ChannelPort, Supervisor
from gateway.flow.intake import Admission, Intake
from gateway.flow.janitor import Janitor, JanitorTimes
from gateway.flow.live import Live
from gateway.flow.live_reply import LiveOutputs
from gateway.flow.media import Media, MediaLimits
from gateway.flow.outbox import Outbox
from gateway.flow.sealed_notes import NoteSeal
from gateway.flow.worker import Worker, WorkerTimes
from gateway.service.chat import ChatService, SendRequest
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Instance
from gateway.store.protocol.history import Page, SessionFilter
from gateway.store.protocol.inbox import NewTurn
from gateway.store.protocol.outbox import DeliveryFilter
from gateway.store.sqlite.clock import StoreClock
from gateway.store.sqlite.store import open_sqlite
from gateway.testing.channels import FakeChannel, FakePlatform
from gateway.testing.models import FakeModel

PROJECT = ProjectId("default")
CHAT = Address("fake", "100")
PRINCIPAL = Principal(
    id="key_1", project_id=PROJECT, kind="secret", role="editor", scopes=frozenset({"chat"})
)
NO_TOOL = ToolSpec(name="lookup", kind="client", description="", parameters={"type": "object"})
BOT = Bot(
    slug="support",
    uuid=UUID(int=1),
    project_id=PROJECT,
    name="Support",
    agents={"Desk": Agent(name="Desk", instructions="Help.", model="m", tools=("lookup",))},
    start_agent="Desk",
    tools={"lookup": NO_TOOL},
    greeting="Good morning!",
    apology="Sorry.",
    is_default=True,
)
QUICK = WorkerTimes(poll_s=0.02, heartbeat_s=0.05, commit_patience_s=5, give_back_patience_s=2)
QUICK_MEDIA = MediaLimits(fetch_s=1, turn_s=3, retry_delays_s=(0.01, 0.02))
QUICK_DOUBT = DoubtTimes(check_s=0.02, pace_s=0, ask_again_s=0.05, ask_timeout_s=0.2)
QUICK_UPKEEP = JanitorTimes(beat_s=0.02, disk_check_s=0.02, sweep_s=0.02)
_numbers = count(1)


class Clock(StoreClock):
    """The store's clock, which a test can move."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        super().__init__()

    def __call__(self) -> int:
        return super().__call__() + int(self.ahead_s * 1_000_000)


class FlakyStore:
    """A store that is away for the next calls named in `away`; counts all calls.

    `holds` keep a call from being made, `late` its result from coming back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away: Counter[str] = Counter()
        self.errors: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        self.holds: dict[str, asyncio.Event] = {}
        self.late: dict[str, asyncio.Event] = {}
        self.after: dict[str, Callable[[], None]] = {}

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        real = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name in self.holds:
                await self.holds[name].wait()
            if self.away[name]:
                self.away[name] -= 1
                raise self.errors.get(name) or StoreError("The store is away.")
            result = await real(*args, **kwargs)
            if name in self.late:
                await self.late[name].wait()
            if name in self.after:
                self.after[name]()
            return result

        return call


@dataclass
class House:
    """All moving parts over one store."""

    store: Store
    flaky: FlakyStore
    clock: Clock
    channel: FakeChannel
    binding: ChannelBinding
    model: FakeModel
    catalogue: Catalogue
    live: Live
    worker: Worker
    outbox: Outbox
    doubt: Doubt
    intake: Intake
    admission: Admission
    port: ChannelPort
    supervisor: Supervisor
    janitor: Janitor
    chat: ChatService
    connected: set[str]
    owner: str

    @asynccontextmanager
    async def at_work(self, *runs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Let worker and outbox (or the given loops) run inside; a crash of one comes out here."""
        loops = runs or (self.worker.run, self.outbox.run)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run(loop)) for loop in loops]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def say(self, *texts: str, **fields: Any) -> None:
        """Let a person write on the fake channel; one batch."""
        await self.port.accept([said(text, **fields) for text in texts])

    async def api(self, text: str, **fields: Any) -> Any:
        """Send by the chat service."""
        request = SendRequest(content=(TextPart(text),), **fields)
        return await self.chat.send(PRINCIPAL, request)

    async def turns(self) -> list[Turn]:
        """All turns of the fake chat's sessions and of others, oldest first."""
        found: list[Turn] = []
        for session in await self.store.sessions(
            PROJECT, SessionFilter(), page=Page(limit=1000, order="asc")
        ):
            traces = await self.store.traces(PROJECT, session.id)
            found += [trace.turn for trace in traces]
        return sorted(found, key=lambda turn: (turn.created_at, turn.seq))

    async def settled(self, *, timeout_s: float = 5) -> list[Turn]:
        """All turns, as soon as none is queued or running."""
        async with asyncio.timeout(timeout_s):
            while True:
                turns = await self.turns()
                if all(turn.state in TERMINAL or turn.state == "waiting" for turn in turns):
                    return turns
                await asyncio.sleep(0.01)

    async def deliveries(self) -> list[Delivery]:
        """All deliveries."""
        return await self.store.deliveries(DeliveryFilter(limit=1000))

    async def until(self, fact: Callable[[], Any], *, timeout_s: float = 5) -> Any:
        """The first true value of `fact()`, which may be awaitable."""
        return await until(fact, timeout_s=timeout_s)

    async def sound(self) -> None:
        """Fail when an invariant of the store is broken."""
        assert await self.store.verify() == []


async def until(fact: Callable[[], Any], *, timeout_s: float = 5) -> Any:
    """The first true value of `fact()`, which may be awaitable, looked at again and again."""
    async with asyncio.timeout(timeout_s):
        while True:
            value = fact()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.005)


def said(text: str, *, chat: str = "100", **fields: Any) -> InboundMessage:
    """A person's message on the fake channel, each with an id of its own unless given."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "account": "acc",
        "external_id": f"e{number}",
        "digest": text.encode("utf-8", "replace"),
        "received_at": datetime.now(UTC),
        "address": Address("fake", chat),
        "sender": Sender("telegram", "7", "Ann"),
        "text": text,
        "message_ref": f"m{number}",
    }
    return InboundMessage(**values | fields)


def picture() -> Attachment:
    """A picture without a text."""
    return Attachment("image", "file-1", "cat.png", "image/png", 12)


def queued(text: str, **fields: Any) -> NewTurn:
    """A turn as a service would make it, in the fake chat unless told otherwise."""
    values: dict[str, Any] = {
        "project_id": PROJECT,
        "channel": "fake",
        "account": "acc",
        "bot": "support",
        "turn_id": new_turn_id(),
        "message": Message(
            id=cast(Any, f"msg_{next(_numbers)}"), role="user", content=(TextPart(text),)
        ),
        "identity": IdentityKey(platform="telegram", external_id="7", name="Ann"),
        "address": CHAT,
        "when_full": "join",
    }
    return NewTurn(**values | fields)


def thinking(model: FakeModel, bot: Bot = BOT) -> Think:
    """`run_turn` with one model and no tool that runs here."""
    tools = ToolTable([(spec, None) for spec in bot.tools.values()])

    def think(
        bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        return run_turn(
            bot,
            claimed.history,
            models={"m": model},
            tools=tools,
            journal=journal,
            options=claimed.turn.options,
            agent=claimed.session.agent,
            wants_stream=wants_stream,
        )

    return think


@asynccontextmanager
async def house(
    path: Path,
    *answers: Any,
    capabilities: Capabilities | None = None,
    platform: FakePlatform | None = None,
    limits: QueueLimits | None = None,
    think: Think | None = None,
    owner: str | None = None,
    store: Store | None = None,
    clock: Clock | None = None,
    bots: tuple[Bot, ...] = (BOT,),
    data_path: Path | None = None,
    room: Callable[[Path], int] | None = None,
    is_alone: bool = True,
    worker_times: WorkerTimes = QUICK,
    outbox_poll_s: float = 0.02,
    media_limits: MediaLimits = QUICK_MEDIA,
    transcriber: Transcriber | None = None,
    **binding_fields: Any,
) -> AsyncIterator[House]:
    """Build everything over the store in that directory (or the given one); nothing runs yet."""
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        if store is None:
            opened = open_sqlite(path / "gateway.db", lock=False, owner="", clock=clock)
            store = await stack.enter_async_context(opened)
        model = FakeModel(*answers)
        channel = FakeChannel(capabilities=capabilities, platform=platform)
        yield _build(
            store,
            clock,
            model=model,
            channel=channel,
            limits=limits or QueueLimits(),
            think=think or thinking(model),
            owner=owner or new_instance_id(),
            bots=bots,
            data_path=data_path,
            room=room,
            is_alone=is_alone,
            worker_times=worker_times,
            outbox_poll_s=outbox_poll_s,
            media_limits=media_limits,
            transcriber=transcriber,
            binding_fields=binding_fields,
        )


def _build(
    real: Store,
    clock: Clock,
    *,
    model: FakeModel,
    channel: FakeChannel,
    limits: QueueLimits,
    think: Think,
    owner: str,
    bots: tuple[Bot, ...],
    data_path: Path | None,
    room: Callable[[Path], int] | None,
    is_alone: bool,
    worker_times: WorkerTimes,
    outbox_poll_s: float,
    media_limits: MediaLimits,
    transcriber: Transcriber | None,
    binding_fields: dict[str, Any],
) -> House:
    flaky = FlakyStore(real)
    store = cast(Store, flaky)
    binding = ChannelBinding(channel=channel, project_id=PROJECT, bot="support")
    binding = replace(binding, **binding_fields)
    catalogue = Catalogue(
        bots={(bot.project_id, bot.slug): bot for bot in bots}, channels={channel.name: binding}
    )

    def current() -> Catalogue:
        return catalogue

    live, admission, connected = Live(), Admission(), {channel.name}
    outputs = LiveOutputs()
    outbox = Outbox(
        store,
        current,
        owner=owner,
        connected=connected,
        poll_s=outbox_poll_s,
        send_timeout_s=1,
        stranded_check_s=0.02,
        pacers=outputs.pacers,
    )
    worker = Worker(
        store,
        current,
        thinking=lambda: think,
        live=live,
        owner=owner,
        limits=limits,
        history_messages=100,
        wake_outbox=outbox.wake,
        media=Media(store, transcriber=lambda: transcriber, limits=media_limits),
        outputs=outputs,
        times=worker_times,
    )
    intake = Intake(
        store,
        current,
        worker=worker,
        wake_outbox=outbox.wake,
        limits=limits,
        admission=admission,
    )
    port = ChannelPort(
        channel, store=store, intake=intake, connected=connected, seal=NoteSeal(b"a secret")
    )
    now = datetime.now(UTC)
    instance = Instance(
        id=owner, host="here", version="1", started_at=now, heartbeat_at=now, snapshot={}
    )
    return House(
        store=real,
        flaky=flaky,
        clock=clock,
        channel=channel,
        binding=binding,
        model=model,
        catalogue=catalogue,
        live=live,
        worker=worker,
        outbox=outbox,
        doubt=Doubt(
            store, current, owner=owner, connected=connected, send=outbox.send, times=QUICK_DOUBT
        ),
        intake=intake,
        admission=admission,
        port=port,
        supervisor=Supervisor([port], retry_delays_s=(0.01, 0.02), stable_s=30),
        janitor=Janitor(
            store,
            instance,
            retention=Retention(),
            admission=admission,
            snapshot=dict,
            is_alone=is_alone,
            data_path=data_path,
            min_free_bytes=1000,
            times=QUICK_UPKEEP,
            room=room,
        ),
        chat=ChatService(
            store, current, intake=intake, worker=worker, live=live, poll_s=0.02, quiet_s=0.05
        ),
        connected=connected,
        owner=owner,
    )


async def _run(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()
