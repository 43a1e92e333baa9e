"""A call of the fake Slack, and how it can be refused.

`SlackError` is a refusal in Slack's own shape. Faults that no platform has for itself are in
`gateway.testing.misbehaviour`.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.testing.misbehaviour import Misbehaviour
from gateway.testing.wire import JsonObject


@dataclass(slots=True)
class SlackCall:
    """One request of the app to Slack, as it arrived.

    `method` is a Web API method, or "upload", "download", "response_url" for the addresses Slack
    hands out. `at` is on the monotonic clock. `problems` are broken rules. `status` and `error`
    are what was answered: None and "" while there is no answer, and for ever when the connection
    was cut.
    """

    number: int
    method: str
    params: JsonObject
    at: float
    token: str = ""
    team: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    problems: list[str] = field(default_factory=list)
    status: int | None = None
    error: str = ""

    @property
    def channel(self) -> str:
        """The channel the call is about, "" when it names none."""
        return str(self.params.get("channel") or self.params.get("channel_id") or "")

    @property
    def text(self) -> str:
        """The text it carries, in whichever form."""
        return str(self.params.get("markdown_text") or self.params.get("text") or "")


@dataclass(frozen=True, slots=True)
class SlackError:
    """A refusal: HTTP 200 (429 with `retry_after_s`) and `ok: false` with the platform's word.

    `needed` is the scope of a missing_scope, `provided` what the token has; `messages` are the
    platform's hints for developers.
    """

    error: str
    status: int = 200
    retry_after_s: int | None = None
    needed: str = ""
    provided: str = ""
    messages: tuple[str, ...] = ()

    @property
    def document(self) -> JsonObject:
        """The JSON document."""
        return {
            "ok": False,
            "error": self.error,
            **({"needed": self.needed, "provided": self.provided} if self.needed else {}),
            **({"response_metadata": {"messages": list(self.messages)}} if self.messages else {}),
        }


class Refused(Exception):
    """Raised inside the fake to answer a call with `error`."""

    def __init__(self, error: SlackError) -> None:
        super().__init__(error.error)
        self.error = error


def refused(error: str, *messages: str) -> Refused:
    """A refusal with this word."""
    return Refused(SlackError(error, messages=messages))


def rate_limited(retry_after_s: int = 1) -> SlackError:
    """429: too many calls of this method, or posts to this channel."""
    return SlackError("ratelimited", status=429, retry_after_s=retry_after_s)


SlackFault: TypeAlias = SlackError | Misbehaviour
