"""Delivers to the app's request URLs: signed, within three seconds, and again after a failure.

Events are JSON, interactions a form with the field `payload`, slash commands a plain form. There is
no order: each delivery goes by itself. A try after the first says so in x-slack-retry-num and
x-slack-retry-reason; an answer other than 2xx with `X-Slack-No-Retry: 1` ends the tries
(docs.slack.dev, Events API, "Error handling").
"""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp

from gateway.testing.errands import Errands
from gateway.testing.slack.deliveries import Deliveries, Delivery, EventAttempt, EventRetry, Kind
from gateway.testing.slack.signature import signed_headers
from gateway.testing.wire import JsonObject

MAX_REDIRECTS: Final = 2


@dataclass(frozen=True, slots=True)
class RequestUrls:
    """Where the app listens; without an own one, interactions and commands go to `events`."""

    events: str
    interactivity: str = ""
    commands: str = ""

    def of(self, kind: Kind) -> str:
        """The address for that kind."""
        own = {"interactive": self.interactivity, "slash_commands": self.commands}
        return own.get(kind) or self.events


@dataclass(frozen=True, slots=True)
class Forgery:
    """How a test's request differs from a true one.

    Signed with another `secret`, `age_s` ago (below 0: in the future), with other headers (None
    leaves one out), or another body than the one that was signed.
    """

    secret: str = ""
    age_s: float = 0.0
    headers: dict[str, str | None] | None = None
    body: bytes | None = None


class EventCourier:
    """Carries deliveries to the request URLs."""

    def __init__(
        self, deliveries: Deliveries, errands: Errands, *, secret: str, retry: EventRetry
    ) -> None:
        self.urls: RequestUrls | None = None
        self._deliveries = deliveries
        self._errands = errands
        self._secret = secret
        self._retry = retry
        self._session: aiohttp.ClientSession | None = None

    def carry(self, delivery: Delivery) -> None:
        """Deliver as often as it takes, beside whatever else is on its way."""
        self._errands.run(self._deliver(delivery))

    async def post(
        self,
        kind: Kind,
        payload: JsonObject,
        *,
        retry: int = 0,
        reason: str = "",
        forgery: Forgery | None = None,
    ) -> tuple[EventAttempt, bool]:
        """One request; gives the attempt and whether the app wants no further one."""
        if self.urls is None:
            raise RuntimeError("no request URL is set: use deliver_to()")
        body, content_type = encode(kind, payload)
        headers = _headers(body, content_type, self._secret, forgery or Forgery())
        if retry:
            headers |= {"x-slack-retry-num": str(retry), "x-slack-retry-reason": reason}
        if forgery is not None and forgery.body is not None:
            body = forgery.body
        start = time.monotonic()
        status, failure, text, wants_no_more = await self._request(
            self.urls.of(kind), body, headers
        )
        attempt = EventAttempt(
            event_id=str(payload.get("event_id") or payload.get("trigger_id") or ""),
            at=start,
            status=status,
            retry=retry,
            failure=failure,
            body=text,
            seconds=time.monotonic() - start,
        )
        return attempt, wants_no_more

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, delivery: Delivery) -> None:
        reason = ""
        for number, wait_s in enumerate(self._retry.waits_s(delivery.kind)):
            await asyncio.sleep(wait_s)
            attempt, wants_no_more = await self.post(
                delivery.kind, delivery.payload, retry=number, reason=reason
            )
            self._deliveries.note(delivery, attempt)
            if attempt.is_success:
                return
            if wants_no_more:
                break
            reason = attempt.failure
        self._deliveries.give_up(delivery)

    async def _request(
        self, url: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int | None, str, str, bool]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._retry.answer_within_s)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.post(
                url, data=body, headers=headers, max_redirects=MAX_REDIRECTS
            ) as response:
                text = await response.text(errors="replace")
                failure = "" if 200 <= response.status <= 299 else "http_error"
                wants_no_more = response.headers.get("X-Slack-No-Retry") == "1"
                return response.status, failure, text, wants_no_more
        except TimeoutError:
            return None, "http_timeout", "", False
        except aiohttp.TooManyRedirects:
            return None, "too_many_redirects", "", False
        except aiohttp.ClientSSLError:
            return None, "ssl_error", "", False
        except aiohttp.ClientConnectionError:
            return None, "connection_failed", "", False
        except aiohttp.ClientError:
            return None, "unknown_error", "", False


def encode(kind: Kind, payload: JsonObject) -> tuple[bytes, str]:
    """Body and content type of a request to the app."""
    if kind == "events_api":
        return json.dumps(payload, ensure_ascii=False).encode(), "application/json"
    fields = {"payload": json.dumps(payload)} if kind == "interactive" else payload
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


def _headers(body: bytes, content_type: str, secret: str, forgery: Forgery) -> dict[str, str]:
    headers: dict[str, str | None] = {
        "Content-Type": content_type,
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        **signed_headers(body, secret=forgery.secret or secret, age_s=forgery.age_s),
        **(forgery.headers or {}),
    }
    return {name: value for name, value in headers.items() if value is not None}
