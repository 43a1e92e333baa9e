"""A call of the fake Telegram, and how it can be refused.

`ApiError` and its kin are plain values in the Bot API's own shape; the texts are the real server's
(tdlib/telegram-bot-api), where it has one text. Faults that no platform has for itself are in
`gateway.testing.misbehaviour`.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.testing.misbehaviour import Misbehaviour
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


TelegramFault: TypeAlias = ApiError | Misbehaviour


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
