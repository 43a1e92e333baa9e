"""The history check against trying every order: both take and reject the same histories."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, permutations
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.testing.kills.history import Append, Line, Read, anomalies

SAYS = {text: Line(text) for text in ("one", "two")}
ANSWERS = {text: Line(f"to {text}", text) for text in SAYS}
LOGS = [
    (SAYS["one"], ANSWERS["one"], SAYS["two"], ANSWERS["two"]),
    (SAYS["one"], SAYS["two"], ANSWERS["one"], ANSWERS["two"]),
    (SAYS["two"], ANSWERS["two"], SAYS["one"], ANSWERS["one"]),
    (SAYS["one"], SAYS["two"], ANSWERS["two"], ANSWERS["one"]),
]
AT_THE_END = 20.0


@dataclass(frozen=True)
class Event:
    """Something that has one moment between two times; lines it appends, or lines it reads."""

    begin: float
    end: float
    line: Line | None = None
    read: tuple[Line, ...] = ()


def times(*, at_most: int = 9) -> st.SearchStrategy[float]:
    return st.integers(0, at_most).map(float)


@st.composite
def appends(draw: st.DrawFn, text: str) -> Append:
    invoked = draw(times())
    acknowledged = draw(st.none() | times().map(lambda after: invoked + after))
    answered = draw(st.none() | times().map(lambda after: invoked + after))
    answer = None if answered is None else f"to {text}"
    return Append(
        text=text, invoked=invoked, acknowledged=acknowledged, answered=answered, answer=answer
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Append], list[Read]]:
    said = [draw(appends(text)) for text in SAYS]
    log = draw(st.sampled_from(LOGS))
    reads = []
    for _ in range(draw(st.integers(0, 2))):
        invoked = draw(times())
        lines = log[: draw(st.integers(0, len(log)))]
        reads.append(Read(lines=lines, invoked=invoked, responded=invoked + draw(times())))
    last = log[: draw(st.integers(0, len(log)))]
    return said, [*reads, Read(lines=last, invoked=AT_THE_END, responded=AT_THE_END)]


def events_of(said: Sequence[Append], reads: Sequence[Read]) -> Iterator[Event]:
    for one in said:
        answered = inf if one.answered is None else one.answered
        acknowledged = inf if one.acknowledged is None else one.acknowledged
        yield Event(one.invoked, min(acknowledged, answered), SAYS[one.text])
        yield Event(one.invoked, answered, ANSWERS[one.text])
    for read in reads:
        yield Event(read.invoked, read.responded, None, read.lines)


def is_possible(order: Sequence[Event]) -> bool:
    """Whether the model gives just these reads, with moments that rise."""
    log: list[Line] = []
    latest = -inf
    for event in order:
        latest = max(latest, event.begin)
        if latest > event.end:
            return False
        if event.line is None:
            if tuple(log) != event.read:
                return False
            continue
        log.append(event.line)
    said = [line.text for line in log if line.answers is None]
    answered = [line.answers for line in log if line.answers is not None]
    places = [said.index(text) for text in answered if text in said]
    is_said_first = all(SAYS[text] in log[: log.index(ANSWERS[text])] for text in answered)
    return is_said_first and places == sorted(places)


def fits_some_order(said: Sequence[Append], reads: Sequence[Read]) -> bool:
    """Try every order of everything that happened, with and without what nobody was told."""
    events = list(events_of(said, reads))
    must = [event for event in events if event.end < inf]
    may = [event for event in events if event.end == inf]
    subsets = chain.from_iterable(combinations(may, size) for size in range(len(may) + 1))
    return any(is_possible(order) for subset in subsets for order in permutations([*must, *subset]))


@settings(max_examples=100, deadline=None)
@given(histories())
def test_it_takes_what_some_order_explains_and_nothing_else(
    history: tuple[list[Append], list[Read]],
) -> None:
    said, reads = history

    assert (anomalies(said, reads) == []) is fits_some_order(said, reads)
