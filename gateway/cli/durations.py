"""Times as people type them: durations like 30d or 12h, and moments of RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(\d+)\s*(s|min|m|h|d|w)")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_duration(text: str) -> timedelta:
    """The length of `30d`, `12h`, `90min`, `45s` or `2w`; raises ValueError.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write it like 30d, 12h or 45min")
    number, unit = match.groups()
    try:
        return int(number) * _UNITS[unit]
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long") from error


def parse_moment(text: str, *, now: datetime) -> datetime:
    """A moment to come, as a duration from now or as an RFC 3339 time; raises ValueError.

    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> parse_moment("1d", now=noon).isoformat(), parse_moment("2026-03-01T00:00:00Z", now=noon).day
    ('2026-01-02T12:00:00+00:00', 1)
    """
    moment = _moment(text, now=now)
    if moment <= now:
        raise ValueError(f"{text!r} is over already")
    return moment


def _moment(text: str, *, now: datetime) -> datetime:
    if _DURATION.fullmatch(text.strip().lower()):
        try:
            return now + parse_duration(text)
        except OverflowError as error:
            raise ValueError(f"{text!r} is too long") from error
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(
            f"{text!r} is neither a duration (30d, 12h) nor a time like 2027-01-31T12:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
