"""The verdict on a gateway that was killed again and again, from what can be seen outside of it.

Takes what people said and had acknowledged, the transcripts as the API gives them, what the fake
platform was sent, and when the kills were. Gives every broken promise. Pure functions: an answer
carries the text it answers, so that nothing has to be looked up inside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from math import inf

CRASHES_BEFORE_GIVEN_UP = 3
MOST_SENDS = 2
WINDOW_S = 1.0
"""How long before a kill a message may have left whose end was not recorded."""
LATE_S = 0.5
"""How much later than the kill a fake may have read what was sent before it."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something a person said: the `number`th message at a `place`, acknowledged or tried `at`."""

    place: str
    number: int
    at: float

    @property
    def text(self) -> str:
        """The words; no two messages share them."""
        return f"{self.place} says {self.number}"

    @property
    def answer(self) -> str:
        """What the bot has to say to it, once."""
        return answer_to(self.text)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of a transcript; `delivery` is its state on the way to a platform."""

    role: str
    text: str
    turn_id: str | None
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session as the API gives it, oldest message first."""

    session_id: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message the platform accepted, to the person at a place."""

    place: str
    text: str
    at: float
    platform: str = "telegram"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which, where, and what was seen."""

    promise: str
    where: str
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the verdict stands on. Times are on one clock; `apology` is the bot's.

    `sent` is in the order in which people see it. `can_ask` names the platforms that can be asked
    what they were sent. `given_up` are the turns that the API says were given up, after too many
    crashes. `left_open` are messages that still wait for a text when everything has come to rest.
    """

    spoken: Sequence[Spoken]
    transcripts: Sequence[Transcript]
    sent: Sequence[Sent]
    kills: Sequence[float]
    apology: str
    can_ask: Set[str] = frozenset()
    given_up: Set[str] = frozenset()
    left_open: Sequence[Sent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found.

    Allowed, and counted: `repeats` (sent a second time because a kill fell between sending and
    recording it, by platform; never on one that can be asked), `held` (not sent a third time after
    two such kills), `given_up` (turns that three kills in a row had stopped) and `left_open`
    (messages opened for an answer, which a kill kept from being known; the answer came anew).
    """

    violations: Sequence[Violation]
    answered: int
    repeats: Mapping[str, int]
    held: int
    given_up: int
    left_open: int = 0


def answer_to(text: str) -> str:
    """What the model of the run answers."""
    return f"Heard: {text}"


def judge(evidence: Evidence) -> Verdict:
    """The verdict."""
    history = _History(evidence)
    violations = [*history.violations(), *_order_in_history(evidence)]
    sending = _Sending(evidence)
    violations += sending.violations()
    violations += _undelivered(evidence, sending)
    violations += _left_open(evidence)
    return Verdict(
        violations=violations,
        answered=history.answered,
        repeats=+sending.repeats,
        held=sum(_is_held(entry) for entry in _entries(evidence, "assistant")),
        given_up=history.given_up,
        left_open=len(evidence.left_open),
    )


class _History:
    """Each message has one place in history, one turn, and one answer there."""

    def __init__(self, evidence: Evidence) -> None:
        self.answered = 0
        self.given_up = 0
        self._evidence = evidence
        self._stored: dict[str, list[Entry]] = defaultdict(list)
        self._replies: dict[str | None, list[str]] = defaultdict(list)
        for entry in _entries(evidence, "user"):
            self._stored[entry.text].append(entry)
        for entry in _entries(evidence, "assistant"):
            self._replies[entry.turn_id].append(entry.text)

    def violations(self) -> Iterator[Violation]:
        known = {said.text for said in self._evidence.spoken}
        for text in self._stored.keys() - known:
            yield Violation("nothing is made up", text, "nobody said that")
        for said in self._evidence.spoken:
            stored = self._stored[said.text]
            if not stored:
                yield Violation("no message is lost", said.text, "it is not in history")
            elif len(stored) > 1:
                seen = f"it is {len(stored)} times in history"
                yield Violation("no message is turned twice", said.text, seen)
            else:
                yield from self._answer(said, stored[0].turn_id)

    def _answer(self, said: Spoken, turn_id: str | None) -> Iterator[Violation]:
        replies = self._replies[turn_id]
        if replies == [said.answer]:
            self.answered += 1
        elif (
            replies in ([], [self._evidence.apology])
            and turn_id in self._evidence.given_up
            and self._may_be_given_up(said)
        ):
            self.given_up += 1
        else:
            seen = f"its turn answered {replies}" if replies else "its turn has no answer"
            yield Violation("every message has one answer", said.text, seen)

    def _may_be_given_up(self, said: Spoken) -> bool:
        later = sum(kill >= said.at for kill in self._evidence.kills)
        return later >= CRASHES_BEFORE_GIVEN_UP


class _Sending:
    """What a platform was sent: in order, and twice only where a kill excuses it."""

    def __init__(self, evidence: Evidence) -> None:
        self.repeats: Counter[str] = Counter()
        self._evidence = evidence
        self._answers = {said.answer: said for said in evidence.spoken}
        self._lanes: dict[str, list[Sent]] = defaultdict(list)
        for sent in evidence.sent:
            self._lanes[sent.place].append(sent)

    def was_sent(self, answer: str) -> bool:
        """Whether the platform accepted that answer at least once."""
        said = self._answers[answer]
        return any(sent.text == answer for sent in self._lanes[said.place])

    def violations(self) -> list[Violation]:
        found: list[Violation] = []
        for place, lane in self._lanes.items():
            answers = [sent for sent in lane if sent.text != self._evidence.apology]
            found += self._strangers(place, answers)
            found += self._disorder(place, answers)
            found += self._repeated(answers)
        return found

    def _strangers(self, place: str, lane: Sequence[Sent]) -> Iterator[Violation]:
        for sent in lane:
            said = self._answers.get(sent.text)
            if said is None or said.place != place:
                yield Violation("replies go to who asked", place, f"it was sent {sent.text!r}")

    def _disorder(self, place: str, lane: Sequence[Sent]) -> Iterator[Violation]:
        numbers = [self._answers[sent.text].number for sent in lane if sent.text in self._answers]
        if numbers != sorted(numbers):
            yield Violation("replies leave in order", place, f"it was sent {numbers}")

    def _repeated(self, lane: Sequence[Sent]) -> Iterator[Violation]:
        copies: dict[str, list[Sent]] = defaultdict(list)
        for sent in lane:
            copies[sent.text].append(sent)
        for text, sends in copies.items():
            platform, again = sends[0].platform, len(sends) - 1
            excused = sum(self._is_excused(first, second) for first, second in pairwise(sends))
            self.repeats[platform] += again
            if again and platform in self._evidence.can_ask:
                seen = f"it stands there {len(sends)} times"
                yield Violation("a platform that can be asked is sent no reply twice", text, seen)
            elif len(sends) > MOST_SENDS or excused < again:
                seen = f"it was sent {len(sends)} times, {excused} of them after a kill"
                yield Violation("a reply is sent twice only around a kill", text, seen)

    def _is_excused(self, first: Sent, second: Sent) -> bool:
        return _is_around_kill(first.at, self._evidence.kills, before=second.at)


def _order_in_history(evidence: Evidence) -> Iterator[Violation]:
    """A session holds one place, and both sides of it speak in order."""
    by_words = {said.text: said for said in evidence.spoken}
    by_words |= {said.answer: said for said in evidence.spoken}
    homes: dict[str, set[str]] = defaultdict(set)
    for transcript in evidence.transcripts:
        for role in ("user", "assistant"):
            known = [
                by_words[entry.text]
                for entry in transcript.entries
                if entry.role == role and entry.text in by_words
            ]
            numbers = [said.number for said in known]
            if numbers != sorted(numbers):
                seen = f"the {role} speaks in the order {numbers}"
                yield Violation("order is kept in a session", transcript.session_id, seen)
            for said in known:
                homes[said.place].add(transcript.session_id)
    for place, sessions in homes.items():
        if len(sessions) > 1:
            seen = f"it is spread over {len(sessions)} sessions"
            yield Violation("a talk stays in its session", place, seen)


def _undelivered(evidence: Evidence, sending: _Sending) -> Iterator[Violation]:
    """Every answer on its way to a platform left, or is held with a reason."""
    answers = {said.answer for said in evidence.spoken}
    for entry in _entries(evidence, "assistant"):
        if entry.text not in answers or entry.delivery is None or _is_held(entry):
            continue
        if not sending.was_sent(entry.text):
            seen = f"never sent, and history says {entry.delivery!r}"
            yield Violation("every reply is delivered", entry.text, seen)


def _left_open(evidence: Evidence) -> Iterator[Violation]:
    """Opened messages without an end, where no kill came between opening and noting it."""
    for left in evidence.left_open:
        if not _is_around_kill(left.at, evidence.kills):
            seen = f"one was left at {left.text!r}"
            yield Violation("an opened message gets its end", left.place, seen)


def _is_around_kill(at: float, kills: Sequence[float], *, before: float = inf) -> bool:
    """Whether a kill can have come between something at the platform and our noting it."""
    return any(at - LATE_S <= kill <= min(at + WINDOW_S, before) for kill in kills)


def _is_held(entry: Entry) -> bool:
    return entry.delivery == "failed"


def _entries(evidence: Evidence, role: str) -> Iterator[Entry]:
    for transcript in evidence.transcripts:
        yield from (entry for entry in transcript.entries if entry.role == role)


def summary(violations: Sequence[Violation]) -> dict[str, int]:
    """How often each promise was broken."""
    return dict(Counter(violation.promise for violation in violations))
