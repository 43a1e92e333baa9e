"""How a call to the fake Telegram can go wrong, and which calls do.

`ApiError` and its kin are plain values; `FaultPlan` hands them out by method, count and predicate.
The texts are the real server's (tdlib/telegram-bot-api), where it has one text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.testing.telegram.spec import Upload
from gateway.testing.wire import JsonObject


@dataclass(slots=True)
class BotCall:
    """One call of a Bot API method, as it arrived.

    `at` is on the monotonic clock. `problems` are broken rules. `status` is what was answered, None
    while there is no answer (and for ever when the connection was dropped).
    """

    number: int
    method: str
    params: JsonObject
    at: float
    headers: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    status: int | None = None

    @property
    def chat(self) -> int:
        """The chat the call is about, 0 when it names none by number."""
        chat = self.params.get("chat_id")
        return chat if isinstance(chat, int) else 0


@dataclass(frozen=True, slots=True)
class ApiError:
    """A refusal in the Bot API's own shape; nothing is recorded as sent."""

    code: int
    description: str
    retry_after_s: int | None = None
    migrate_to_chat_id: int | None = None

    @property
    def document(self) -> JsonObject:
        """The JSON document."""
        parameters = {
            "retry_after": self.retry_after_s,
            "migrate_to_chat_id": self.migrate_to_chat_id,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
            **({"parameters": given} if given else {}),
        }


class Refused(Exception):
    """Raised inside the fake to answer a call with `error`."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.description)
        self.error = error


def bad_request(reason: str) -> Refused:
    """400 with the server's prefix."""
    return Refused(ApiError(400, f"Bad Request: {reason}"))


@dataclass(frozen=True, slots=True)
class HtmlError:
    """An error page of something in front of the API."""

    status: int = 502
    body: str = "<html><head><title>502 Bad Gateway</title></head></html>"


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without an answer; with `accepted` the call took effect before."""

    accepted: bool = True


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer ever comes; with `accepted` the call took effect."""

    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """The call takes effect at once, the good answer comes `delay_s` later."""

    delay_s: float


Fault: TypeAlias = ApiError | HtmlError | Drop | Hang | Slow


def flood(retry_after_s: int = 5) -> ApiError:
    """429: the chat or the bot has sent too much."""
    text = f"Too Many Requests: retry after {retry_after_s}"
    return ApiError(429, text, retry_after_s=retry_after_s)


def other_poller() -> ApiError:
    """409: somebody else polls with the same token."""
    return ApiError(
        409,
        "Conflict: terminated by other getUpdates request; "
        "make sure that only one bot instance is running",
    )


def webhook_was_set() -> ApiError:
    """409: a webhook was set while this poll waited."""
    return ApiError(409, "Conflict: terminated by setWebhook request")


def webhook_active() -> ApiError:
    """409: getUpdates while a webhook is set."""
    return ApiError(
        409,
        "Conflict: can't use getUpdates method while webhook is active; "
        "use deleteWebhook to delete the webhook first",
    )


def blocked_by_user() -> ApiError:
    """403: the person blocked the bot."""
    return ApiError(403, "Forbidden: bot was blocked by the user")


def chat_not_found() -> ApiError:
    """400: there is no such chat."""
    return ApiError(400, "Bad Request: chat not found")


def user_deactivated() -> ApiError:
    """403: the person's account is gone."""
    return ApiError(403, "Forbidden: user is deactivated")


def kicked_from_group() -> ApiError:
    """403: the bot was removed from the group."""
    return ApiError(403, "Forbidden: bot was kicked from the supergroup chat")


def not_enough_rights() -> ApiError:
    """400: the bot may read the group and not write to it."""
    return ApiError(400, "Bad Request: not enough rights to send text messages to the chat")


def cannot_parse_entities() -> ApiError:
    """400: the formatting of the text is broken."""
    return ApiError(
        400,
        "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 7",
    )


def migrated_to(chat: int) -> ApiError:
    """400: the group became the supergroup `chat`."""
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    return ApiError(400, text, migrate_to_chat_id=chat)


def unauthorized() -> ApiError:
    """401: the token was revoked or never existed."""
    return ApiError(401, "Unauthorized")


@dataclass(slots=True)
class FaultRule:
    """One entry of the plan; `left` counts down, None never does. `used` counts up."""

    method: str
    fault: Fault
    left: int | None
    when: Callable[[BotCall], bool]
    used: int = 0

    def stop(self) -> None:
        """No further call is hit by this rule."""
        self.left = 0


class FaultPlan:
    """Which calls fail; the first rule that fits a call takes it."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []

    def add(
        self,
        method: str,
        fault: Fault,
        *,
        times: int | None = 1,
        when: Callable[[BotCall], bool] | None = None,
    ) -> FaultRule:
        """Let the next `times` calls of that method ("*": any) fail; None: all from now on."""
        rule = FaultRule(method, fault, times, when or (lambda _: True))
        self._rules.append(rule)
        return rule

    def take(self, call: BotCall) -> Fault | None:
        """The fault for this call, counted as used; None when it may succeed."""
        for rule in self._rules:
            if rule.left != 0 and rule.method in {"*", call.method} and rule.when(call):
                rule.used += 1
                if rule.left is not None:
                    rule.left -= 1
                return rule.fault
        return None

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()
