"""Whether what callers saw of a session fits one history that happened in one order.

The model of a session is sequential: a text is appended, later its one answer, answers in the order
of their texts, and a read gives everything appended so far. What many callers saw side by side is
linearisable when each append, answer and read can be given one moment between its beginning and
its end, such that the model, taking them in the order of these moments, gives just what was seen.
As nothing is ever taken back, the longest read holds the order; what is left is to find the
moments, and the earliest possible one is always right. Pure functions, for one session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a transcript; `answers` is the text it answers, None for what a person said."""

    text: str
    answers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Somebody says something: begun at `invoked`.

    `acknowledged` is when they were told it was taken, `answered` when they saw `answer`; None =
    never. All times are on one clock.
    """

    text: str
    invoked: float
    acknowledged: float | None = None
    answered: float | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Somebody reads the transcript: what it was, between two moments."""

    lines: tuple[Line, ...]
    invoked: float
    responded: float


@dataclass(frozen=True, slots=True)
class _Span:
    """The time in which something happened."""

    begin: float
    end: float


def anomalies(appends: Sequence[Append], reads: Sequence[Read]) -> list[str]:
    """Why the operations of one session fit no sequential history; empty = they fit.

    >>> hello = Append(text="Hello", invoked=1, acknowledged=2)
    >>> anomalies([hello], [Read(lines=(Line("Hello"),), invoked=3, responded=4)])
    []
    >>> anomalies([hello], [Read(lines=(), invoked=3, responded=4)])
    ["'Hello' was acknowledged and is in no read"]
    """
    log = max((read.lines for read in reads), key=len, default=())
    found = [*_forks(log, reads), *_out_of_model(log, appends), *_missing(log, appends)]
    return found or list(_untimely(log, appends, reads))


def _forks(log: Sequence[Line], reads: Sequence[Read]) -> Iterator[str]:
    """Reads of a history that is not the beginning of the longest one."""
    for read in reads:
        if tuple(log[: len(read.lines)]) != read.lines:
            at = next(i for i, line in enumerate(read.lines) if line != log[i])
            yield f"one read has {read.lines[at].text!r} where another has {log[at].text!r}"


def _out_of_model(log: Sequence[Line], appends: Sequence[Append]) -> Iterator[str]:
    """What the model, replaying the history, would never have done."""
    known = {append.text for append in appends}
    said: list[str] = []
    last_answered = -1
    answered: set[str] = set()
    for line in log:
        if line.answers is None:
            if line.text not in known:
                yield f"nobody said {line.text!r}"
            if line.text in said:
                yield f"{line.text!r} was appended twice"
            said.append(line.text)
            continue
        if line.answers not in said:
            yield f"{line.answers!r} was answered before it was said"
            continue
        if line.answers in answered:
            yield f"{line.answers!r} was answered twice"
        elif said.index(line.answers) < last_answered:
            yield f"{line.answers!r} was answered after a later text"
        answered.add(line.answers)
        last_answered = max(last_answered, said.index(line.answers))


def _missing(log: Sequence[Line], appends: Sequence[Append]) -> Iterator[str]:
    """What somebody was told and no read has."""
    said = {line.text for line in log if line.answers is None}
    answers = {(line.answers, line.text) for line in log}
    for append in appends:
        if append.acknowledged is not None and append.text not in said:
            yield f"{append.text!r} was acknowledged and is in no read"
        if append.answered is not None and (append.text, append.answer) not in answers:
            yield f"{append.text!r} was answered {append.answer!r}, and no read has that"


def _untimely(
    log: Sequence[Line], appends: Sequence[Append], reads: Sequence[Read]
) -> Iterator[str]:
    """Where no moment is left: give each, in order, the earliest it can have."""
    spans = _spans(log, appends)
    by_length: defaultdict[int, list[Read]] = defaultdict(list)
    for read in reads:
        by_length[len(read.lines)].append(read)
    now = -inf
    for length in range(len(log) + 1):
        latest = now
        for read in by_length[length]:
            moment = max(now, read.invoked)
            if moment > read.responded:
                last = log[length - 1].text
                yield f"a read had {last!r} {moment - read.responded:.3f} s before it could be"
            latest = max(latest, min(moment, read.responded))
        if length == len(log):
            return
        span = spans[length]
        now = max(latest, span.begin)
        if now > span.end:
            late = f"{now - span.end:.3f} s after it was there"
            yield f"a read, or what came before, has no {log[length].text!r} {late}"
            now = span.end


def _spans(log: Sequence[Line], appends: Sequence[Append]) -> list[_Span]:
    """When each line of the history can have come into it, as far as its own caller knows."""
    by_text = {append.text: append for append in appends}
    spans = []
    for line in log:
        append = by_text[line.text if line.answers is None else line.answers]
        answered = inf if append.answered is None else append.answered
        acknowledged = inf if append.acknowledged is None else append.acknowledged
        end = min(acknowledged, answered) if line.answers is None else answered
        spans.append(_Span(append.invoked, end))
    return spans
