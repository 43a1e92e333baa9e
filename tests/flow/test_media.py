"""Files people send: fetched before the turn thinks, read or refused in words, and never twice."""

import asyncio
import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.agents.transcriber import Recording
from gateway.contract import Attachment
from gateway.domain.conversation import FilePart
from gateway.domain.files import PIECE_BYTES
from gateway.errors import DeliveryLater, DeliveryRefused, ModelError, StoreError
from gateway.flow.media import MediaLimits
from gateway.testing.channels import HeldSend
from tests.flow.house import BOT, PROJECT, House, house

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 100
OGG = b"OggS" + b"o" * 100
PDF = b"%PDF-1.7 " + b"d" * 100
SEEING = replace(BOT, takes_pictures=True)
QUICK = MediaLimits(fetch_s=0.2, turn_s=3, retry_delays_s=(0.01, 0.02))
LATER = DeliveryLater("not now")
CAN_ALL = "I can take pictures, voice notes and text documents."


@dataclass
class Ear:
    """Hears what it is told to; keeps what it was given."""

    answers: list[str | Exception] = field(default_factory=lambda: ["Call me."])
    heard: list[bytes] = field(default_factory=list)

    async def text(self, recording: Recording) -> str:
        self.heard.append(b"".join([piece async for piece in recording.data]))
        answer = self.answers.pop(0) if self.answers else "Call me."
        if isinstance(answer, Exception):
            raise answer
        return answer


def attached(ref: str = "f1", *, kind: Any = "document", **fields: Any) -> Attachment:
    return Attachment(kind, ref, **{"name": "notes.txt", "mime": "text/plain", **fields})


def voice() -> Attachment:
    return attached(kind="audio", name=None, mime="audio/ogg")


def photo(ref: str = "f1") -> Attachment:
    return attached(ref, kind="image", name="cat.png", mime="image/png")


async def send(home: House, *files: Attachment, text: str = "") -> None:
    """Let a person send files."""
    await home.say(text, attachments=files)


def asked(home: House, call: int = -1) -> list[dict[str, Any]]:
    """The messages of a model call, without the instructions."""
    return [dict(message) for message in home.model.requests[call].messages[1:]]


def parts(home: House, call: int = -1) -> Iterator[dict[str, Any]]:
    """The pieces of everything the person said in a model call."""
    for message in asked(home, call):
        if message["role"] == "user":
            content = message["content"]
            yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


async def files_of(home: House) -> list[FilePart]:
    """The files in the stored messages of people."""
    return [
        part
        for turn in await home.turns()
        for message in turn.messages
        for part in message.content
        if isinstance(part, FilePart)
    ]


async def test_a_picture_is_shown_to_the_model(data: Path) -> None:
    async with house(data, "A cat.", bots=(SEEING,)) as home, home.at_work():
        home.channel.files["f1"] = [PNG[:50], PNG[50:]]
        await send(home, photo(), text="What is it?")
        await home.channel.wait_for_sent(1)

        text, note, picture = parts(home)
        assert text["text"] == "What is it?"
        assert note["text"] == "[picture: cat.png]"
        head, _, coded = picture["image_url"]["url"].partition(",")
        assert (head, base64.b64decode(coded)) == ("data:image/png;base64", PNG)
        (file,) = await files_of(home)
        assert (file.state, file.kind, file.size_bytes) == ("read", "image", len(PNG))
        await home.sound()


async def test_a_text_document_is_read(data: Path) -> None:
    async with house(data, "Fine.") as home, home.at_work():
        home.channel.files["f1"] = ["Grüße ".encode() + b"x" * PIECE_BYTES, b" end."]
        await send(home, attached(), text="See.")
        await home.channel.wait_for_sent(1)

        (part,) = parts(home)
        assert "See." in part["text"]
        assert "document notes.txt" in part["text"]
        assert "Grüße xxx" in part["text"]
        (file,) = await files_of(home)
        assert file.text is not None
        assert file.text.startswith("Grüße xxx")
        assert file.text.endswith("more characters]")


async def test_a_voice_note_is_put_into_words(data: Path) -> None:
    ear = Ear()
    async with house(data, "I will.", transcriber=ear) as home, home.at_work():
        home.channel.files["f1"] = [OGG]
        await send(home, voice())
        await home.channel.wait_for_sent(1)

        assert ear.heard == [OGG]
        (part,) = parts(home)
        assert "Call me." in part["text"]
        assert home.channel.texts == ["I will."]


async def test_the_bytes_are_kept_for_the_session_and_go_with_it(data: Path) -> None:
    async with house(data, "A cat.", bots=(SEEING,)) as home, home.at_work():
        home.channel.files["f1"] = [PNG]
        await send(home, photo())
        await home.channel.wait_for_sent(1)
        (file,) = await files_of(home)
        (turn,) = await home.turns()

        whole = b"".join([piece async for piece in home.port.open_file(file.ref)])
        await home.store.delete_session(PROJECT, turn.session_id)

        assert whole == PNG
        assert await home.store.file_piece(PROJECT, file.ref, number=0) is None  # type: ignore[arg-type] # a stored file's reference is its id


REFUSED: dict[str, tuple[list[Any], Attachment, str]] = {
    "archive": ([b"PK\x03\x04" + b"z" * 100], attached(name="x.zip"), f"“x.zip”: {CAN_ALL}"),
    "pdf": ([PDF], attached(name="x.pdf"), f"“x.pdf”: {CAN_ALL}"),
    "program that is called a picture": (
        [b"MZ\x90\x00" + b"\xff" * 100],
        photo(),
        f"“cat.png”: {CAN_ALL}",
    ),
    "video": ([], attached(kind="video", name=None), f"the video: {CAN_ALL}"),
    "empty": ([], attached(), "“notes.txt”: it is empty."),
    "only spaces": ([b" \n "], attached(), "“notes.txt”: it is empty."),
    "gone": ([DeliveryRefused("404")], attached(), "“notes.txt”: it is not there any more."),
    "not text after all": (
        [b"a" * 5000, b"\xff\xfe\xff"],
        attached(),
        "“notes.txt”: it is no text that I can read.",
    ),
    "too large as told": (
        [],
        attached(size_bytes=60_000_000),
        "“notes.txt”: it is larger than 50 MB.",
    ),
    "larger than told": (
        [PNG, *[b"p" * 1_000_000] * 11],
        attached(kind="image", name="cat.png", size_bytes=100),
        "“cat.png”: it is larger than 10 MB.",
    ),
    "long text": (
        [b"a" * 1_000_000, b"a" * 100_000],
        attached(),
        "“notes.txt”: it is larger than 1 MB.",
    ),
    "never there in time": (
        [DeliveryLater("not now")],
        attached(),
        "“notes.txt”: it could not be fetched just now. Please send it again.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_file_is_answered_in_words_without_a_model(data: Path, case: str) -> None:
    pieces, file, words = REFUSED[case]
    async with house(data, bots=(SEEING,), transcriber=Ear()) as home, home.at_work():
        home.channel.files["f1"] = pieces
        await send(home, file)
        await home.channel.wait_for_sent(1)

        (turn,) = await home.settled()
        assert home.channel.texts == [f"I could not read {words}"]
        assert home.model.requests == []
        assert turn.state == "done"
        assert [part.state for part in await files_of(home)] == ["refused"]
        await home.sound()


async def test_pictures_and_voice_notes_are_refused_where_they_are_switched_off(
    data: Path,
) -> None:
    async with house(data) as home, home.at_work():
        await send(home, photo(), voice())
        await home.channel.wait_for_sent(1)

        assert home.channel.texts[0].splitlines() == [
            "I could not read “cat.png”: pictures are not switched on here.",
            "I could not read the voice note: voice notes are not switched on here.",
        ]
        assert home.channel.fetches == []


async def test_words_beside_a_refused_file_are_answered_and_the_model_is_told(
    data: Path,
) -> None:
    async with house(data, "Hello!") as home, home.at_work():
        home.channel.files["f1"] = [PDF]
        await send(home, attached(name="x.pdf"), text="Hi, see this.")
        await home.channel.wait_for_sent(2)

        refusal = "I can take text documents."
        assert home.channel.texts == [f"I could not read “x.pdf”: {refusal}", "Hello!"]
        (part,) = parts(home)
        assert part["text"].splitlines() == [
            "Hi, see this.",
            f"[file x.pdf, which cannot be read: {refusal}]",
        ]


async def test_one_of_several_files_may_be_refused(data: Path) -> None:
    async with house(data, "Two things.") as home, home.at_work():
        home.channel.files |= {"f1": [b"words"], "f2": [PDF]}
        await send(home, attached("f1"), attached("f2", name="x.pdf"))
        await home.channel.wait_for_sent(2)

        assert "x.pdf" in home.channel.texts[0]
        assert home.channel.texts[1] == "Two things."


@pytest.mark.parametrize(
    "failure",
    [LATER, DeliveryLater("slow down", retry_after_s=0.05)],
    ids=["later", "throttled"],
)
async def test_a_file_that_cannot_be_had_just_now_is_asked_for_again(
    data: Path, failure: Exception
) -> None:
    async with house(data, "Fine.") as home, home.at_work():
        home.channel.files["f1"] = [b"half", failure]
        await send(home, attached())
        await home.channel.wait_for(lambda one: len(one.fetches) == 1)
        home.channel.files["f1"] = [b"all of it"]
        await home.channel.wait_for_sent(1)

        assert home.channel.texts == ["Fine."]
        assert [part.text for part in await files_of(home)] == ["all of it"]


async def test_a_file_that_comes_too_slowly_is_given_up_and_leaves_nothing(data: Path) -> None:
    limits = replace(QUICK, fetch_s=0.05)
    async with house(data, media_limits=limits) as home, home.at_work():
        home.channel.files["f1"] = [b"x" * (PIECE_BYTES + 1), HeldSend()]
        await send(home, attached())
        await home.channel.wait_for_sent(1)

        assert "could not be fetched" in home.channel.texts[0]
        assert len(home.channel.fetches) == 3
        assert await pieces_left(data) == 0


async def test_the_turns_own_limit_ends_the_waiting(data: Path) -> None:
    limits = MediaLimits(fetch_s=60, turn_s=0.1, retry_delays_s=(60,))
    async with house(data, media_limits=limits) as home, home.at_work():
        home.channel.files["f1"] = [LATER]
        await send(home, attached())
        await home.channel.wait_for_sent(1)

        assert "could not be fetched" in home.channel.texts[0]


async def test_other_sessions_go_on_while_a_file_is_awaited(data: Path) -> None:
    held = HeldSend()
    async with house(data, "Hello!", "Read.") as home, home.at_work():
        home.channel.files["f1"] = [held, b"words"]
        await home.say("", chat="1", attachments=(attached(),))
        await home.channel.wait_for(lambda one: bool(one.fetches))
        await home.say("Hi", chat="2")
        await home.channel.wait_for_sent(1)
        held.release.set()
        await home.channel.wait_for_sent(2)

        assert [(one.address.chat, one.text) for one in home.channel.sent] == [
            ("2", "Hello!"),
            ("1", "Read."),
        ]


async def test_stop_ends_the_fetching(data: Path) -> None:
    async with house(data) as home, home.at_work():
        home.channel.files["f1"] = [b"x" * PIECE_BYTES, HeldSend()]
        await send(home, attached())
        await home.channel.wait_for(lambda one: bool(one.fetches))
        await home.say("/stop")

        turns = await home.settled()

        assert sorted(turn.state for turn in turns) == ["cancelled", "done"]
        assert await pieces_left(data) == 0


async def test_a_second_attempt_neither_fetches_nor_listens_again(data: Path) -> None:
    ear = Ear()
    async with house(data, transcriber=ear, bots=(SEEING,)) as home:
        home.channel.files |= {"f1": [OGG], "f2": [PNG]}
        await send(home, voice(), photo("f2"))
        hold = asyncio.Event()
        home.flaky.holds["commit_turn"] = hold
        home.model.enqueue("First.", "Second.")
        async with home.at_work():
            await home.until(lambda: home.model.requests)
        assert len(home.channel.fetches) == 2

    async with house(data, "Second.", transcriber=ear, bots=(SEEING,), owner="ins_2") as again:
        await again.store.release_abandoned(living=["ins_2"])
        async with again.at_work():
            await again.channel.wait_for_sent(1)

        assert again.channel.fetches == []
        assert len(ear.heard) == 1
        kinds = [part["type"] for part in parts(again)]
        assert kinds == ["text", "text", "image_url"]


async def test_a_refusal_is_told_again_by_a_second_attempt_and_once_only(data: Path) -> None:
    async with house(data) as home:
        home.channel.files["f1"] = [PDF]
        await send(home, attached(name="x.pdf"))
        home.flaky.holds["commit_turn"] = asyncio.Event()
        async with home.at_work():
            await home.until(lambda: home.flaky.calls["commit_turn"])

    async with house(data, owner="ins_2") as again:
        await again.store.release_abandoned(living=["ins_2"])
        async with again.at_work():
            await again.channel.wait_for_sent(1)
            await again.settled()

        assert again.channel.fetches == []
        assert len(again.channel.texts) == 1


async def test_the_same_file_is_fetched_once_for_all_who_send_it(data: Path) -> None:
    async with house(data, "One.", "Two.") as home, home.at_work():
        home.channel.files["f1"] = [b"words"]
        await home.say("a", chat="1", attachments=(attached(),))
        await home.channel.wait_for_sent(1)
        await home.say("b", chat="2", attachments=(attached(),))
        await home.channel.wait_for_sent(2)

        assert home.channel.fetches == ["f1"]
        assert len({part.ref for part in await files_of(home)}) == 1
        await home.sound()


@pytest.mark.parametrize(
    ("failures", "reply", "heard"),
    [
        ([ModelError("busy", transient=True)], "I will.", 2),
        ([ModelError("no", transient=False)], "could not be turned into text", 1),
        ([ModelError("busy", transient=True)] * 3, "could not be turned into text", 3),
        ([""], "no words could be made out", 1),
    ],
    ids=["once", "refused", "always", "silence"],
)
async def test_a_failing_ear_is_asked_again_or_told_of(
    data: Path, failures: list[Any], reply: str, heard: int
) -> None:
    ear = Ear(answers=list(failures))
    async with house(data, "I will.", transcriber=ear) as home, home.at_work():
        home.channel.files["f1"] = [OGG]
        await send(home, voice())
        await home.channel.wait_for_sent(1)

        assert reply in home.channel.texts[0]
        assert len(ear.heard) == heard
        assert len(home.channel.fetches) == 1


async def test_a_store_that_is_away_for_a_moment_only_delays(data: Path) -> None:
    async with house(data, "Fine.") as home, home.at_work():
        home.flaky.away["add_piece"] = 1
        home.flaky.errors["add_piece"] = StoreError("The store is away.")
        home.channel.files["f1"] = [b"words"]
        await send(home, attached())
        await home.channel.wait_for_sent(1)

        assert home.channel.texts == ["Fine."]


async def test_a_file_without_a_channel_that_has_it_is_refused(data: Path) -> None:
    async with house(data, "x") as home, home.at_work():
        await send(home, attached("unknown"))
        await home.channel.wait_for_sent(1)

        assert "is not there any more" in home.channel.texts[0]


@pytest.mark.proves("C-10")
async def test_c_10_the_reference_of_a_file_stands_in_no_log_line(
    data: Path, logs: list[Any]
) -> None:
    async with house(data) as home, home.at_work():
        secret = "bot123:SECRET/photo"
        for pieces in ([PDF], [DeliveryRefused("no")], [LATER]):
            home.channel.files[secret] = list[Any](pieces)
            await send(home, attached(secret))
            await home.settled()

    assert {"file_settled", "file_refused", "file_not_settled_yet"} <= {
        entry["event"] for entry in logs
    }
    assert [entry for entry in logs if "SECRET" in repr(entry)] == []


async def pieces_left(data: Path) -> int:
    """How many pieces of files are in the store of that directory."""
    with closing(sqlite3.connect(data / "gateway.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM file_piece").fetchone()[0])
