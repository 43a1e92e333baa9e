"""Posts signed forms to the program under test: inbound messages and status callbacks.

Keeps Twilio's manners (twilio.com, "Webhook connection overrides", read November 2026): 5 s to
connect, 15 s to answer, 15 s in all; retries as the URL's fragment says, by default one, and only
when no connection could be made; then the fallback URL. All tries carry the same message and the
same idempotency token. What was posted is kept as `TwilioAttempt`s.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self
from urllib.parse import parse_qsl, urldefrag, urlencode

import aiohttp
from yarl import URL

from gateway.testing.twilio.signing import SharedKey, Signed, signature_headers
from gateway.testing.twilio.twiml import twiml_problem, twiml_verbs

TOKEN_HEADER: Final = "I-Twilio-Idempotency-Token"  # noqa: S105 - the name of a header
POLICIES: Final = frozenset({"4xx", "5xx", "ct", "rt", "all"})
FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"

Kind = Literal["message", "status"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """How one URL is called: time limits in seconds, retries, and the failures they are for."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    policies: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> Self:
        """Read the URL's fragment.

        >>> Overrides.of("https://bot.example/sms#rc=3&rp=5xx,ct&rt=2000").retries
        3
        """
        given = dict(parse_qsl(urldefrag(url).fragment))
        policies = frozenset(given.get("rp", "ct").split(","))
        if not policies <= POLICIES:
            raise ValueError(f"error 11243: the retry policy of {url} is invalid")
        return cls(
            connect_s=_seconds(given, "ct", 5000, most=10000),
            read_s=_seconds(given, "rt", 15000, most=15000),
            total_s=_seconds(given, "tt", 15000, most=15000),
            retries=min(max(int(given.get("rc", "1")), 0), 5),
            policies=policies,
        )

    def retry(self, failure: str) -> bool:
        """That failure is tried again."""
        return "all" in self.policies or failure in self.policies


@dataclass(frozen=True, slots=True)
class Delivery:
    """One form on its way; copies of it carry the same token."""

    kind: Kind
    sid: str
    fields: tuple[tuple[str, str], ...]
    token: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class TwilioAttempt:
    """One request to the program under test.

    `failure` is None, "4xx", "5xx", "ct" (no connection), "rt" (no answer in time, or cut off) or
    "3xx"; `status` is None when there was no answer. `says` are the verbs of its TwiML.
    """

    kind: Kind
    sid: str
    url: str
    token: str
    at: float
    seconds: float
    status: int | None
    failure: str | None
    fields: tuple[tuple[str, str], ...] = ()
    says: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Twilio counts it as delivered."""
        return self.failure is None


class Courier:
    """Carries forms; `scale` 0.01 makes the five seconds to connect 50 milliseconds.

    `routes` tells where a public address really is: a URL that begins with a key is called at the
    value instead, and signed as it was given.
    """

    def __init__(
        self,
        *,
        auth_token: str,
        shared_key: SharedKey | None,
        scale: float,
        on_attempt: Callable[[TwilioAttempt], None],
        on_problem: Callable[[str], None],
    ) -> None:
        self.auth_token = auth_token
        self.shared_key = shared_key
        self.routes: dict[str, str] = {}
        self._scale = scale
        self._on_attempt = on_attempt
        self._on_problem = on_problem
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, delivery: Delivery, url: str, *, fallback: str | None = None) -> bool:
        """Deliver with retries, then to the fallback URL; tells whether it arrived."""
        overrides = Overrides.of(url)
        deadline = time.monotonic() + overrides.total_s * self._scale
        attempt = await self.post(delivery, url)
        for _ in range(overrides.retries):
            if attempt.failure is None or not overrides.retry(attempt.failure):
                break
            if time.monotonic() >= deadline:
                break
            attempt = await self.post(delivery, url)
        if attempt.is_success or fallback is None:
            return attempt.is_success
        code = "11200" if attempt.status is not None else "11205"
        reason = (("ErrorCode", code), ("ErrorUrl", urldefrag(url).url))
        return await self.deliver(replace(delivery, fields=delivery.fields + reason), fallback)

    async def post(
        self, delivery: Delivery, url: str, *, signed: Signed = "right"
    ) -> TwilioAttempt:
        """Post once."""
        start = time.monotonic()
        status: int | None = None
        says: tuple[str, ...] = ()
        try:
            status, says = await self._request(delivery, url, signed)
            failure = None if 200 <= status <= 299 else f"{status // 100}xx"
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            failure = "ct"
        except (aiohttp.ClientError, TimeoutError):
            failure = "rt"
        attempt = TwilioAttempt(
            kind=delivery.kind,
            sid=delivery.sid,
            url=urldefrag(url).url,
            token=delivery.token,
            at=start,
            seconds=time.monotonic() - start,
            status=status,
            failure=failure,
            fields=delivery.fields,
            says=says,
        )
        self._on_attempt(attempt)
        return attempt

    async def close(self) -> None:
        """Post nothing more."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(
        self, delivery: Delivery, url: str, signed: Signed
    ) -> tuple[int, tuple[str, ...]]:
        public = urldefrag(url).url
        headers = signature_headers(
            public,
            delivery.fields,
            token=self.auth_token,
            shared_key=self.shared_key,
            signed=signed,
        )
        async with self._connected().post(
            URL(self._routed(public), encoded=True),
            data=urlencode(delivery.fields).encode(),
            headers={**headers, "Content-Type": FORM, TOKEN_HEADER: delivery.token},
            allow_redirects=False,
            timeout=self._timeout(url),
        ) as response:
            body = await response.read()
            if delivery.kind == "status" or not 200 <= response.status <= 299:
                return response.status, ()
            problem = twiml_problem(response.status, response.content_type, body)
            if problem is not None:
                self._on_problem(f"webhook {public}: {problem}")
            return response.status, tuple(twiml_verbs(body))

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def _routed(self, url: str) -> str:
        for public, real in self.routes.items():
            if url.startswith(public):
                return real + url.removeprefix(public)
        return url

    def _timeout(self, url: str) -> aiohttp.ClientTimeout:
        overrides = Overrides.of(url)
        return aiohttp.ClientTimeout(
            total=overrides.total_s * self._scale,
            sock_connect=overrides.connect_s * self._scale,
            sock_read=overrides.read_s * self._scale,
        )


def _seconds(given: dict[str, str], name: str, otherwise: int, *, most: int) -> float:
    return min(max(int(given.get(name, otherwise)), 100), most) / 1000
