"""The list of messages: filters and pages.

Takes messages and the query of a call, gives the document of one page, newest first. Dates are
whole days or moments, in GMT, and include their own bound, as `DateSent>=2026-11-21` does. A page's
token is the last message before it, so that new messages do not shift the pages that follow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from gateway.testing.twilio.faults import TwilioCall, refused
from gateway.testing.twilio.messages import TextMessage
from gateway.testing.wire import JsonObject

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000

_PAGING: Final = frozenset({"Page", "PageToken"})


@dataclass(frozen=True, slots=True)
class Span:
    """A day, or a moment: its first instant and the one after its last."""

    start: datetime
    end: datetime


def list_page(
    messages: Sequence[TextMessage], call: TwilioCall, *, document: Callable[..., JsonObject]
) -> JsonObject:
    """One page of the messages that fit the query; Refused with 20001 for an unreadable query."""
    size = min(_number(call, "PageSize", DEFAULT_PAGE) or DEFAULT_PAGE, MAX_PAGE)
    number = _number(call, "Page", 0)
    fits = _filter(call)
    found = sorted(
        filter(fits, messages),
        key=lambda message: (message.listed_at, message.at),
        reverse=True,
    )
    start = _start(found, call, number * size)
    chosen = found[start : start + size]
    has_more = start + size < len(found)
    following = _uri(call, number + 1, f"PA{chosen[-1].sid}") if has_more else None
    return {
        "first_page_uri": _uri(call, 0, None),
        "end": max(0, start + len(chosen) - 1),
        "previous_page_uri": _uri(call, number - 1, None) if number else None,
        "messages": [document(message) for message in chosen],
        "uri": _uri(call, number, call.get("PageToken") or None),
        "page_size": size,
        "start": start,
        "next_page_uri": following,
        "page": number,
    }


def _filter(call: TwilioCall) -> Callable[[TextMessage], bool]:
    on, before, after = (_span(call, name) for name in ("DateSent", "DateSent<", "DateSent>"))

    def fits(message: TextMessage) -> bool:
        moment = message.listed_at.replace(microsecond=0)
        return (
            call.get("To") in {"", message.to}
            and call.get("From") in {"", message.sender}
            and (on is None or on.start <= moment < on.end)
            and (before is None or moment < before.end)
            and (after is None or moment >= after.start)
        )

    return fits


def _span(call: TwilioCall, name: str) -> Span | None:
    text = call.get(name)
    if not text:
        return None
    try:
        if len(text) == len("2026-11-21"):
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return Span(day, day + timedelta(days=1))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refused(20001, f"{name} {text} is no date") from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return Span(moment, moment + timedelta(seconds=1))


def _start(found: Sequence[TextMessage], call: TwilioCall, otherwise: int) -> int:
    token = call.get("PageToken").removeprefix("PA")
    if not token:
        return otherwise
    for index, message in enumerate(found):
        if message.sid == token:
            return index + 1
    raise refused(20001, "PageToken is not valid")


def _number(call: TwilioCall, name: str, otherwise: int) -> int:
    text = call.get(name)
    if text and not text.isdigit():
        raise refused(20001, f"{name} {text} is no number")
    return int(text) if text else otherwise


def _uri(call: TwilioCall, page: int, token: str | None) -> str:
    query = [(name, call.get(name)) for name in call.fields if name not in _PAGING]
    query.append(("Page", str(page)))
    if token:
        query.append(("PageToken", token))
    if not call.has("PageSize"):
        query.append(("PageSize", str(DEFAULT_PAGE)))
    return f"{call.path}?{urlencode(query)}"
