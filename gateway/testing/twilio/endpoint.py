"""A fake Twilio: the Messages API over HTTP, the webhooks, and people with telephones.

Takes what a test's people write (SMS, MMS, WhatsApp) and what shall go wrong. Posts signed forms to
the program's webhook and callbacks, logs and judges every call, and shows what the people got. One
server is one account; it keeps everything in memory.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gateway.testing.loopback import Changes, Loopback
from gateway.testing.twilio.account import Account, Senders
from gateway.testing.twilio.api import TwilioApi
from gateway.testing.twilio.consent import AutoReply, Consent
from gateway.testing.twilio.courier import Courier, Overrides, TwilioAttempt
from gateway.testing.twilio.faults import TwilioCall, TwilioFault
from gateway.testing.twilio.journey import Journey
from gateway.testing.twilio.messages import TextMessage
from gateway.testing.twilio.pace import SegmentPace, SegmentRate
from gateway.testing.twilio.people import People
from gateway.testing.twilio.resources import Resources
from gateway.testing.twilio.signing import SharedKey
from gateway.testing.twilio.spec import TwilioSpec
from gateway.testing.twilio.traffic import Traffic
from gateway.testing.watched import Watched

FAKE_ACCOUNT: Final = "AC" + "0fa4e" * 6 + "00"
FAKE_CREDENTIAL: Final = "fake0auth0token0of0the0fake00000"
FAKE_SERVICE: Final = "MG" + "0fa4e" * 6 + "00"
NUMBER: Final = "+15550100001"
WHATSAPP_NUMBER: Final = "whatsapp:+15550100002"
SPEC_VARIABLE: Final = "BOT_GATEWAY_TWILIO_SPEC"


class TwilioServer(People, Watched[TwilioCall, TwilioFault]):
    """The fake platform; an async context manager.

    `number` and `whatsapp` are the account's addresses, both in the pool of `service_sid`; more
    pools are `services`. `api_keys` are secrets by SID that may be used instead of the auth token.
    `spec` (else the file named by BOT_GATEWAY_TWILIO_SPEC) is Twilio's OpenAPI description and
    judges every call and answer; `strict`: a call that does not fit it gets 400, else it is only
    recorded. `shared_key` signs webhooks instead of the auth token, `scale` 0.01 makes their time
    limits a hundred times shorter, `advanced_opt_out` adds OptOutType to them. `rate` notes what
    comes too fast.

    Calls that can `fail`: CreateMessage, ListMessage, FetchMessage, UpdateMessage, DeleteMessage,
    FetchAccount, ListMedia, FetchMedia, DeleteMedia, DownloadMedia.
    """

    def __init__(
        self,
        *,
        account_sid: str = FAKE_ACCOUNT,
        auth_token: str = FAKE_CREDENTIAL,
        api_keys: Mapping[str, str] | None = None,
        number: str = NUMBER,
        whatsapp: str = WHATSAPP_NUMBER,
        service_sid: str = FAKE_SERVICE,
        services: Mapping[str, Sequence[str]] | None = None,
        port: int = 0,
        spec: Path | None = None,
        strict: bool = True,
        shared_key: SharedKey | None = None,
        scale: float = 1.0,
        rate: SegmentRate | None = None,
        advanced_opt_out: bool = False,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.service_sid = service_sid
        self.attempts: list[TwilioAttempt] = []
        self._notes: list[str] = []
        self._changes = Changes()
        pools = {service_sid: (number, whatsapp), **(services or {})}
        self._account = Account(
            account_sid,
            Senders(pools),
            consent=Consent(advanced=advanced_opt_out),
            pace=SegmentPace(rate),
        )
        self._courier = Courier(
            auth_token=auth_token,
            shared_key=shared_key,
            scale=scale,
            on_attempt=self._note_attempt,
            on_problem=self._notes.append,
        )
        self._traffic = Traffic(self._account, self._courier, on_change=self._changes.tell)
        super().__init__(
            self._account,
            self._traffic,
            number=number,
            whatsapp=whatsapp,
            address=lambda: self.api_url,
        )
        self._api = TwilioApi(
            self._account,
            Resources(self._account, self._traffic),
            credentials={account_sid: auth_token, **(api_keys or {})},
            spec=_load_spec(spec),
            strict=strict,
            media_url=lambda: self._storage.url,
            on_change=self._changes.tell,
            on_problem=self._notes.append,
        )
        self._log = self._api.log
        self._door = Loopback(self._api.answer, port=port)
        self._storage = Loopback(self._api.answer_media)

    @property
    def api_url(self) -> str:
        """Address to use in place of https://api.twilio.com."""
        return self._door.url

    @property
    def is_judged_by_spec(self) -> bool:
        """A description was found."""
        return self._api.spec is not None

    # --- what is set in Twilio's console

    def set_webhook(self, url: str | None, *, fallback: str | None = None) -> None:
        """Post inbound messages there from now on, and there when that fails; None: nowhere.

        The fragment holds the connection settings, as in `https://bot.example/sms#rc=3&rp=5xx,ct`;
        ValueError when it cannot be read.
        """
        for given in (url, fallback):
            if given is not None:
                Overrides.of(given)
        self._traffic.webhook = url
        self._traffic.fallback = fallback

    def set_route(self, public: str, real: str) -> None:
        """Call URLs that begin with `public` at `real`; signatures stay over the public ones."""
        self._courier.routes[public] = real

    def rotate_key(self, auth_token: str, *, shared_key: SharedKey | None = None) -> None:
        """Sign with another key from now on; the API takes the old token still."""
        self._courier.auth_token = auth_token
        self._courier.shared_key = shared_key

    def pass_time(self, by: timedelta) -> None:
        """Put the fake's clock forward: WhatsApp's window closes, dates are later."""
        self._account.clock_is_ahead += by

    def plan(
        self,
        journey: Journey,
        *,
        times: int | None = 1,
        when: Callable[[TextMessage], bool] | None = None,
    ) -> None:
        """Let the next `times` new messages (of those `when` chooses) go that way; None: all."""
        self._traffic.plan.add("*", journey, times=times, when=when)

    # --- what came of it

    @property
    def problems(self) -> list[str]:
        """Every broken rule so far, of calls and of answers to webhooks; should be empty."""
        broken = [f"{call.operation}: {text}" for call in self.calls for text in call.problems]
        return broken + self._notes

    @property
    def early(self) -> list[str]:
        """Messages that came faster than `rate`, and calls before a 429's Retry-After was over."""
        return self._account.pace.early

    @property
    def unaccepted(self) -> list[TextMessage]:
        """People's messages the program never took; they are in the list of messages."""
        return list(self._traffic.unaccepted.values())

    @property
    def auto_replies(self) -> list[AutoReply]:
        """What Twilio itself answered to STOP, START and HELP."""
        return self._account.consent.replies

    def sent(self, to: str | None = None) -> list[TextMessage]:
        """Messages of the program (to that address), in the order they were accepted.

        A message counts when the platform accepted it, also when its answer got lost; whether it
        arrived says its `status`.
        """
        return [
            message
            for message in self._account.messages.values()
            if message.direction == "outbound-api" and to in (None, message.to)
        ]

    def attempts_of(self, message: TextMessage) -> list[TwilioAttempt]:
        """What was posted about a message: the message itself, or its statuses."""
        return [attempt for attempt in self.attempts if attempt.sid == message.sid]

    async def wait_for_sent(
        self, count: int, *, timeout_s: float | None = 5.0, to: str | None = None
    ) -> list[TextMessage]:
        """Wait until so many messages were sent (to that address) and give them."""
        await self.wait_until(
            lambda: self._account.counts[to] >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{self._account.counts[to]} of {count} messages were sent",
        )
        return self.sent(to)

    async def wait_until_quiet(self, *, timeout_s: float | None = 5.0) -> None:
        """Wait until nothing is on its way: every delivery ended well or was given up."""
        await self.wait_until(
            lambda: self._traffic.is_quiet,
            timeout_s=timeout_s,
            otherwise=lambda: "deliveries or callbacks are still on their way",
        )

    async def __aenter__(self) -> Self:
        await self._door.open()
        await self._storage.open()
        self._traffic.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._traffic.stop()
        await self._door.close()
        await self._storage.close()

    def _note_attempt(self, attempt: TwilioAttempt) -> None:
        self.attempts.append(attempt)
        self._changes.tell()


def _load_spec(path: Path | None) -> TwilioSpec | None:
    named = os.environ.get(SPEC_VARIABLE)
    chosen = path or (Path(named) if named else None)
    return TwilioSpec.load(chosen) if chosen is not None else None
