"""A fake Slack: Web API, Events API and Socket Mode, and the people on the other side.

Takes what a test's people do and what shall go wrong. Tells the app of it over HTTP (`deliver_to`)
or over its WebSockets, logs and judges every call of the app, and shows what stands in the
channels. One server is one app, installed in one workspace or several; all is kept in memory.
"""

import asyncio
import uuid
from types import TracebackType
from typing import Final, Self

from gateway.testing.errands import Errands
from gateway.testing.loopback import Changes, Loopback
from gateway.testing.slack.api import SlackApi
from gateway.testing.slack.deliveries import Delivery, EventAttempt, EventRetry, Kind
from gateway.testing.slack.events import url_verification
from gateway.testing.slack.faults import SlackCall, SlackFault
from gateway.testing.slack.messages import SlackMessage
from gateway.testing.slack.pace import Pace, SlackRates
from gateway.testing.slack.people import People
from gateway.testing.slack.posting import Ephemeral
from gateway.testing.slack.sockets import SocketMode
from gateway.testing.slack.webhook import EventCourier, Forgery, RequestUrls
from gateway.testing.slack.workspaces import Channel, Workspace
from gateway.testing.slack.world import make_world
from gateway.testing.watched import Watched
from gateway.testing.wire import JsonObject

FAKE_SECRET: Final = "fake0signing0secret0of0the0fake0"  # noqa: S105 - the fake's own
FAKE_APP_CREDENTIAL: Final = "xapp-1-A0FAKEAPP-1-fake"


class SlackServer(People, Watched[SlackCall, SlackFault]):
    """The fake platform; an async context manager.

    Events wait for WebSockets until `deliver_to` names request URLs. `retry` tells how they are
    tried again, `rates` switches the limits on calls on, `echo` tells the app of its own messages
    too, as Slack does; a stream that is not stopped ends after `stream_lasts_s`. With `rotates`,
    bot tokens from oauth.v2.access expire and come with a refresh token. `sockets` are the app's
    WebSockets, and what can be done to them.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        team: str = "T0FAKETEAM",
        signing_secret: str = FAKE_SECRET,
        app_token: str = FAKE_APP_CREDENTIAL,
        rates: SlackRates | None = None,
        retry: EventRetry | None = None,
        echo: bool = True,
        stream_lasts_s: float = 300.0,
        rotates: bool = False,
    ) -> None:
        self.signing_secret = signing_secret
        self.app_token = app_token
        self._echo = echo
        self._changes = Changes()
        tell, retry = self._changes.tell, retry or EventRetry()
        world = self._world = make_world(
            team,
            url=lambda: self._door.url,
            announce=self._echo_event,
            on_change=tell,
            stream_lasts_s=stream_lasts_s,
            rotates=rotates,
        )
        super().__init__(world)
        errands = self._errands = Errands()
        self._courier = EventCourier(world.deliveries, errands, secret=signing_secret, retry=retry)
        self.sockets = SocketMode(world.deliveries, errands, retry=retry, on_change=tell)
        world.deliveries.carry = self.sockets.carry
        world.deliveries.hold()
        self._api = SlackApi(
            world, self.sockets, pace=Pace(rates), app_token=app_token, on_change=tell
        )
        self._log = self._api.log
        self._door = Loopback(self._api.answer, port=port)

    # --- where it is, and what it gives to the app

    @property
    def api_url(self) -> str:
        """Address of the Web API, with its trailing slash."""
        return f"{self._door.url}/api/"

    @property
    def workspace(self) -> Workspace:
        """The first workspace."""
        return self._directory.first

    @property
    def bot_token(self) -> str:
        """The bot token of the first workspace, "" when it has none that works."""
        return self.workspace.bot_token

    @property
    def client_id(self) -> str:
        """The app's id for oauth.v2.access."""
        return self._world.installs.client_id

    @property
    def client_secret(self) -> str:
        """The app's secret for oauth.v2.access."""
        return self._world.installs.client_secret

    def add_workspace(self, team: str, *, name: str = "", installed: bool = True) -> Workspace:
        """Another workspace; `installed`: the app is in it and has a bot token."""
        workspace = Workspace(
            team, name or team, bot_user=f"U0BOT{team[1:]}", bot_id=f"B0BOT{team[1:]}"
        )
        self._directory.add(workspace)
        if installed:
            self._world.installs.new_token(workspace)
        return workspace

    def approve(self, user: str, *, team: str = "", redirect_uri: str = "") -> str:
        """Somebody lets the app into a workspace; gives the code the browser carries back."""
        workspace = self._directory.workspaces[team or self.workspace.id]
        self._directory.member(workspace.id, user)
        return self._world.installs.approve(workspace, user, redirect_uri)

    def expire_tokens(self, team: str = "") -> None:
        """The bot tokens of a workspace have lived long enough: token_expired from now on."""
        self._directory.workspaces[team or self.workspace.id].end_tokens("token_expired")

    # --- how the app is told

    def deliver_to(self, url: str, *, interactivity: str = "", commands: str = "") -> None:
        """Tell the app over HTTP from now on; what waited for WebSockets goes there too."""
        self._courier.urls = RequestUrls(url, interactivity, commands)
        self._world.deliveries.carry = self._courier.carry
        for delivery in self.sockets.abandon():
            self._courier.carry(delivery)

    async def verify_url(self) -> bool:
        """Ask the app for the challenge, as Slack does when its request URL is entered."""
        challenge = uuid.uuid4().hex
        attempt, _ = await self._courier.post("events_api", url_verification(challenge))
        return attempt.is_success and challenge in attempt.body

    def hold_events(self) -> None:
        """Keep back what the app would be told from now on."""
        self._deliveries.hold()

    def release_events(self, *, reverse: bool = False) -> None:
        """Let go of what was kept back, the newest first when `reverse`."""
        self._deliveries.release(reverse=reverse)

    def redeliver(self, payload: JsonObject, times: int = 1) -> None:
        """Deliver an event again although it may be acknowledged, as Slack may do."""
        for _ in range(times):
            self._deliveries.send("events_api", payload)

    async def post_to_webhook(
        self,
        payload: JsonObject,
        times: int = 1,
        *,
        kind: Kind = "events_api",
        forgery: Forgery | None = None,
    ) -> list[EventAttempt]:
        """Post to a request URL that many times at once, without retries; `forgery` falsifies."""
        posts = (self._courier.post(kind, payload, forgery=forgery) for _ in range(times))
        return [attempt for attempt, _ in await asyncio.gather(*posts)]

    # --- what came of it

    @property
    def problems(self) -> list[str]:
        """Everything the app did wrong so far; a test may demand that it is empty."""
        calls = [f"{call.method}: {text}" for call in self.calls for text in call.problems]
        return calls + [f"socket: {text}" for text in self.sockets.problems]

    @property
    def early(self) -> list[str]:
        """Calls that came before the time they were told by a 429."""
        return self._api.pace.early

    @property
    def attempts(self) -> list[EventAttempt]:
        """Every try to tell the app something, oldest first."""
        return self._deliveries.attempts

    @property
    def pending(self) -> list[Delivery]:
        """What the app has not acknowledged, and that will be tried again."""
        return self._deliveries.pending

    @property
    def given_up(self) -> list[Delivery]:
        """What the app never acknowledged; nothing of it is tried again."""
        return [delivery for delivery in self._deliveries.all if delivery.state == "given up"]

    @property
    def ephemerals(self) -> list[Ephemeral]:
        """What was shown to one person only, oldest first."""
        return self._world.posting.ephemerals

    def status_of(self, channel: str, thread_ts: str) -> str:
        """The status people see below a thread ("is thinking..."), "" for none."""
        return self._world.posting.statuses.get((channel, thread_ts), "")

    def messages(self, channel: str | None = None) -> list[SlackMessage]:
        """All that stands in a channel (in all), of people and bots, oldest first."""
        self._world.streams.close_old()
        return self._conversations.standing(channel)

    def sent(self, channel: str | None = None) -> list[SlackMessage]:
        """What stands there of the app.

        A message counts when Slack accepted it, also when its answer got lost.
        """
        return [message for message in self.messages(channel) if message.is_of_app]

    async def wait_for_sent(
        self, count: int, *, timeout_s: float | None = 5.0, channel: str | None = None
    ) -> list[SlackMessage]:
        """Wait until so many messages of the app stand there and none is still streamed."""
        await self.wait_until(
            lambda: self._conversations.sent[channel] >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.sent(channel))} of {count} messages were sent",
        )
        return self.sent(channel)

    async def wait_for_sockets(self, count: int = 1, *, timeout_s: float | None = 5.0) -> None:
        """Wait until so many WebSockets are open."""
        await self.wait_until(
            lambda: len(self.sockets.live) >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.sockets.live)} of {count} WebSockets are open",
        )

    async def wait_until_acknowledged(self, *, timeout_s: float | None = 5.0) -> None:
        """Wait until nothing is pending."""
        await self.wait_until(
            lambda: not self.pending,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.pending)} deliveries are not acknowledged",
        )

    async def __aenter__(self) -> Self:
        await self._door.open()
        self._errands.open()
        self._deliveries.release()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._errands.end()
        await self._courier.close()
        self.sockets.cut()
        await self._door.close()

    def _echo_event(self, channel: Channel, event: JsonObject) -> None:
        if self._echo:
            self.post_event(event, team=channel.team)
