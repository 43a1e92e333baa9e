"""What a failed call of Slack means for a delivery, by Slack's own word for it.

Pure. Takes an error of `api.py`; gives the contract's delivery error. The words are those of
docs.slack.dev, errors of chat.postMessage, chat.update, chat.startStream, chat.appendStream and
chat.stopStream, read November 2026.
"""

from typing import Final

from channels.slack.api import SlackError, SlackRefused, SlackSilence
from channels.slack.installations import TOKEN_REFUSED
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, Scope

DeliveryError = DeliveryLater | DeliveryUnknown | DeliveryRefused

OPERATOR_NEEDED: Final = frozenset({"missing_scope", "not_allowed_token_type"})
"""The app is not allowed to do this; somebody must change it."""

ADDRESS_GONE: Final = frozenset(
    {
        *("channel_not_found", "not_in_channel", "is_archived", "user_not_found", "cannot_dm_bot"),
        *("channel_is_archived", "messages_tab_disabled", "user_disabled", "is_inactive"),
    }
)
"""Nothing reaches that channel; `restricted_action` and its kin mean the same."""

TOO_MUCH: Final = frozenset(
    {
        *("msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"),
        *("no_text", "markdown_text_conflict"),
    }
)
"""Slack does not take a part in this form; a smaller or plainer one says the same."""

IN_DOUBT: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)

_THROTTLED: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_DEFAULT_WAIT_S: Final = 1.0


def is_throttled(error: SlackError) -> bool:
    """Whether Slack asks for patience: nothing is wrong with the call."""
    if not isinstance(error, SlackRefused):
        return False
    return error.status == 429 or error.error in _THROTTLED


def wait_s(refusal: SlackRefused) -> float:
    """How long a throttled call has to wait."""
    return refusal.retry_after_s or _DEFAULT_WAIT_S


def concerns_message(refusal: SlackRefused) -> bool:
    """Whether Slack only will not touch that message; a new one may still say the same."""
    meaning = delivery_error(refusal)
    is_refused = isinstance(meaning, DeliveryRefused) and meaning.scope == "part"
    return is_refused and refusal.error not in TOO_MUCH | OPERATOR_NEEDED


def delivery_error(error: SlackError, *, workspace_scope: Scope = "account") -> DeliveryError:
    """The contract's word for a failed send; a refused token reaches as far as its workspace."""
    if isinstance(error, SlackSilence):
        return DeliveryUnknown(str(error)) if error.was_written else DeliveryLater(str(error))
    if not isinstance(error, SlackRefused):
        return DeliveryUnknown(str(error))
    sentence = f"Slack: {error}"
    if is_throttled(error):
        return DeliveryLater(sentence, retry_after_s=wait_s(error), scope="address")
    if error.error in TOKEN_REFUSED:
        return DeliveryRefused(f"Slack refuses the token ({error})", scope=workspace_scope)
    if error.error in ADDRESS_GONE or error.error.startswith("restricted_action"):
        return DeliveryRefused(sentence, scope="address")
    if error.error in IN_DOUBT or error.status >= 500:
        return DeliveryUnknown(sentence)
    if error.error.startswith("http_"):
        return DeliveryLater(f"something before Slack answers: {error}")
    return DeliveryRefused(sentence, code=error.error if error.error in OPERATOR_NEEDED else None)
