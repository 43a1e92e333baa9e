"""Voice notes put into text by an endpoint: what is sent, what comes back, what may go wrong."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from gateway.agents.models import build_transcriber
from gateway.agents.transcribe import OpenAITranscriber
from gateway.agents.transcriber import Recording, Transcriber
from gateway.domain.models import Secret, TranscriptionSpec
from gateway.domain.policy import ModelPolicy
from gateway.errors import ModelError, NotFound
from gateway.testing.openai.endpoint import OpenAIServer
from gateway.testing.openai.replies import Garbage, HangUp, HttpError, Silence

POLICY = ModelPolicy(connect_s=1)


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(api_key="sk-ear") as server:
        yield server


def spec(endpoint: OpenAIServer, key: str | None = "sk-ear") -> TranscriptionSpec:
    secret = Secret(key) if key else None
    return TranscriptionSpec(base_url=endpoint.base_url, model="whisper-1", api_key=secret)


def transcriber(endpoint: OpenAIServer, *, within_s: float = 5) -> Transcriber:
    return OpenAITranscriber(spec(endpoint), POLICY, within_s=within_s)


def recording(*pieces: bytes, mime: str = "audio/ogg") -> Recording:
    async def data() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    return Recording(mime=mime, size_bytes=sum(map(len, pieces)), data=data())


async def test_the_recording_arrives_whole_under_a_name_the_endpoint_understands(
    endpoint: OpenAIServer,
) -> None:
    endpoint.ear.enqueue("Good morning.")

    text = await transcriber(endpoint).text(recording(b"OggS", b"x" * 300_000, b"end"))

    assert text == "Good morning."
    (call,) = endpoint.ear.calls
    assert call.data == b"OggS" + b"x" * 300_000 + b"end"
    assert (call.model, call.name, call.mime) == ("whisper-1", "voice.ogg", "audio/ogg")
    assert call.headers["content-length"]
    assert "transfer-encoding" not in call.headers


@pytest.mark.parametrize(
    "mime", ["audio/ogg", "audio/mpeg", "audio/wav", "audio/mp4", "audio/flac", "audio/webm"]
)
async def test_every_kind_of_sound_we_know_is_taken(endpoint: OpenAIServer, mime: str) -> None:
    assert await transcriber(endpoint).text(recording(b"words", mime=mime)) == "words"


@pytest.mark.parametrize(
    ("answer", "is_transient"),
    [
        (HttpError(500), True),
        (HttpError(429, retry_after="1"), True),
        (HttpError(400, "I quote the key sk-ear"), False),
        (HttpError(401), False),
        (Garbage(), True),
        (Garbage(body='{"txt": 1}'), True),
        (HangUp(), True),
    ],
    ids=["500", "429", "400", "401", "garbage", "no text", "hang up"],
)
async def test_a_failure_says_whether_it_may_pass(
    endpoint: OpenAIServer, answer: HttpError | Garbage | HangUp, is_transient: bool
) -> None:
    endpoint.ear.enqueue(answer)

    with pytest.raises(ModelError) as caught:
        await transcriber(endpoint).text(recording(b"words"))

    assert caught.value.transient is is_transient
    assert "sk-ear" not in str(caught.value)


async def test_an_endpoint_that_never_answers_is_given_up(endpoint: OpenAIServer) -> None:
    endpoint.ear.enqueue(Silence())

    with pytest.raises(ModelError) as caught:
        await transcriber(endpoint, within_s=0.2).text(recording(b"words"))

    assert caught.value.transient


async def test_an_endpoint_that_is_not_there_may_come_back() -> None:
    gone = TranscriptionSpec(base_url="http://127.0.0.1:9/v1", model="whisper-1")

    with pytest.raises(ModelError) as caught:
        await OpenAITranscriber(gone, POLICY).text(recording(b"words"))

    assert caught.value.transient


async def test_a_recording_that_is_gone_stays_our_own_error(endpoint: OpenAIServer) -> None:
    async def gone() -> AsyncGenerator[bytes, None]:
        yield b"half"
        raise NotFound("The file is gone.")

    broken = Recording(mime="audio/ogg", size_bytes=8, data=gone())

    with pytest.raises(NotFound):
        await transcriber(endpoint).text(broken)


async def test_without_a_section_nobody_listens(endpoint: OpenAIServer) -> None:
    assert build_transcriber(None, POLICY) is None
    assert build_transcriber(spec(endpoint), POLICY) is not None
