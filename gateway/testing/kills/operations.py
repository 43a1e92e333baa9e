"""The operations of a kill run, session by session, for the history check.

Who said what, when it was begun, acknowledged and answered, and who read what meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from gateway.testing.kills.history import Append, Read, anomalies
from gateway.testing.kills.notes import Notes
from gateway.testing.kills.settled import lines_of
from gateway.testing.kills.witness import Transcript, Violation

HISTORY: Final = "a session has one history"


def note_last_reads(
    notes: Notes, transcripts: Sequence[Transcript], *, began: float, ended: float
) -> None:
    """All sessions, read between two moments after everything had come to rest."""
    for transcript in transcripts:
        read = Read(lines=lines_of(transcript), invoked=began, responded=ended)
        notes.reads.append((transcript.session_id, read))


def history_violations(notes: Notes) -> list[Violation]:
    """Sessions whose operations fit no sequential history."""
    appends: defaultdict[str, list[Append]] = defaultdict(list)
    place_of = {said.text: said.place for said in notes.spoken}
    for said in notes.spoken:
        appends[said.place].append(_append(said.text, said.at, notes))
    reads: defaultdict[str, list[Read]] = defaultdict(list)
    for session, read in notes.reads:
        reads[session].append(read)
    found: list[Violation] = []
    for session, seen in reads.items():
        texts = (line.text for read in seen for line in read.lines)
        place = next((place_of[text] for text in texts if text in place_of), "")
        found += _violations(session, appends.pop(place, []), seen)
    for place, unread in appends.items():
        found += _violations(place, unread, [])
    return found


def _violations(where: str, appends: Sequence[Append], reads: Sequence[Read]) -> list[Violation]:
    return [Violation(HISTORY, where, seen) for seen in anomalies(appends, reads)]


def _append(text: str, invoked: float, notes: Notes) -> Append:
    answered, answer = notes.answered.get(text, (None, None))
    return Append(
        text=text,
        invoked=invoked,
        acknowledged=notes.acknowledged.get(text),
        answered=answered,
        answer=answer,
    )
