"""From the notes of a run to its histories: each session is checked with what was said there."""

from gateway.testing.kills.history import Line, Read
from gateway.testing.kills.notes import Notes
from gateway.testing.kills.operations import HISTORY, history_violations, note_last_reads
from gateway.testing.kills.witness import Entry, Transcript


def talked() -> tuple[Notes, list[Transcript]]:
    """One message in each of two sessions, taken and answered."""
    notes, transcripts = Notes(), []
    for session, place in (("a", "chat 7"), ("b", "chat 8")):
        said = notes.say(place, 1)
        notes.note_acknowledged(said.text, said.at + 1)
        notes.note_answered(said.text, said.at + 2, answer=said.answer)
        turn = f"turn of {session}"
        entries = [Entry("user", said.text, turn), Entry("assistant", said.answer, turn)]
        transcripts.append(Transcript(session, entries))
    return notes, transcripts


def later(notes: Notes) -> float:
    return notes.spoken[-1].at + 10


def test_a_good_run_has_no_violations() -> None:
    notes, transcripts = talked()
    note_last_reads(notes, transcripts, began=later(notes), ended=later(notes) + 1)

    assert history_violations(notes) == []


def test_a_stale_read_is_seen_in_its_session() -> None:
    notes, transcripts = talked()
    note_last_reads(notes, transcripts, began=later(notes), ended=later(notes) + 1)
    stale = Read(lines=(Line("chat 8 says 1"),), invoked=later(notes), responded=later(notes))
    notes.reads.append(("b", stale))

    [violation] = history_violations(notes)

    assert (violation.promise, violation.where) == (HISTORY, "b")
    assert "'Heard: chat 8 says 1'" in violation.seen


def test_an_acknowledged_message_without_a_session_is_seen() -> None:
    notes, transcripts = talked()
    note_last_reads(notes, transcripts[:1], began=later(notes), ended=later(notes) + 1)

    assert {violation.where for violation in history_violations(notes)} == {"chat 8"}


def test_the_first_word_of_an_answer_and_of_an_acknowledgement_counts() -> None:
    notes = Notes()
    for at in (3.0, 2.0, 4.0):
        notes.note_acknowledged("Hello", at)
        notes.note_answered("Hello", at, answer="Heard")

    assert notes.acknowledged == {"Hello": 2.0}
    assert notes.answered == {"Hello": (2.0, "Heard")}
