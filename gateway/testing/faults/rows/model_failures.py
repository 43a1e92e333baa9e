"""F7: whatever a model endpoint does, the turn ends in time, and the session goes on.

Each way to fail meets a caller who waits, one who reads a stream, and a person on Telegram; each of
them has a bot with an endpoint of its own, so that one failure does not count for another. What
can be mended is asked again after the documented pauses and answered; what cannot fails with one
apology. Nothing of a broken attempt is in history, save text that somebody was shown until the
turn's time was up: it is kept, and marked `incomplete`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.model_faults import CASES, Case
from gateway.testing.kills.settled import wait_until_settled
from gateway.testing.kills.witness import Violation, answer_to
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer
from gateway.testing.openai.replies import Answer, Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import Caller, text_of
from gateway.testing.telegram.endpoint import TelegramServer

APOLOGY: Final = "Sorry, that did not work."
FIRST: Final = "first"
AGAIN: Final = "again"
DEFAULT: Final = "nobody-speaks-to-me"
LATE_S: Final = 15.0
"""What a busy machine may add to the time of a turn."""

Way = Literal["plain", "stream", "telegram"]
WAYS: Final[tuple[Way, ...]] = ("plain", "stream", "telegram")


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the bot's in history."""

    text: str
    is_incomplete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a turn whose model failed in one way, and of the message after it.

    `told` is what the caller got, None for an error. `calls` are the moments of the model's calls
    for it. `history` holds both turns; `sent` is how many messages a platform was sent for them.
    """

    case: Case
    way: Way
    seconds: float
    told: str | None
    calls: Sequence[float]
    history: Sequence[Said]
    sent: int | None = None

    @property
    def where(self) -> str:
        """The failure and the caller."""
        return f"{self.case.name}, {self.way}"


def judge_turns(ended: Sequence[Ended], *, limit_s: float) -> list[Violation]:
    """Every turn that took too long, ended otherwise than documented, or left something behind."""
    return [violation for each in ended for violation in _judge(each, limit_s)]


def _judge(ended: Ended, limit_s: float) -> list[Violation]:
    case, found = ended.case, []
    if ended.seconds > limit_s + LATE_S:
        seen = f"{ended.seconds:.0f} s, the limit is {limit_s:.0f} s"
        found.append(Violation("a turn ends in time", ended.where, seen))
    good = answer_to(FIRST)
    if (ended.told == good) is not case.is_mended:
        found.append(Violation("mended or failed as documented", ended.where, f"{ended.told!r}"))
    if case.calls is not None and len(ended.calls) != case.calls:
        seen = f"{len(ended.calls)} calls instead of {case.calls}"
        found.append(Violation("asked as often as documented", ended.where, seen))
    pauses = [later - earlier for earlier, later in zip(ended.calls, ended.calls[1:], strict=False)]
    if pauses and pauses[0] < case.pause_s:
        seen = f"{pauses[0]:.2f} s instead of {case.pause_s} s"
        found.append(Violation("a pause before it is asked again", ended.where, seen))
    *first, last = [*ended.history] or [Said("")]
    if last != Said(answer_to(AGAIN)):
        found.append(Violation("the session goes on", ended.where, f"{last}"))
    expected = [Said(good)] if case.is_mended else [Said(APOLOGY)]
    whole = [said for said in first if not (said.is_incomplete and ended.way != "plain")]
    allowed = [expected] if case.is_mended else [[], expected]
    if ended.sent not in (None, 2):
        seen = f"{ended.sent} messages for two turns"
        found.append(Violation("one message for each turn", ended.where, seen))
    if whole not in allowed:
        found.append(Violation("nothing broken is in history", ended.where, f"{first}"[:200]))
    return found


# ---------------------------------------------------------------- the run


async def _run(stage: Stage) -> Observation:
    limit_s = float(stage.pick(8, 300))
    calls: dict[str, list[ModelCall]] = defaultdict(list)
    async with (
        OpenAIServer(lambda call: _answer(call, calls)) as model,
        AsyncExitStack() as stack,
    ):
        platforms = {
            case.slug: await stack.enter_async_context(TelegramServer(token=_token(number)))
            for number, case in enumerate(CASES)
        }
        config = _config(model, platforms, limit_s=limit_s)
        gateway = await stack.enter_async_context(GatewayProcess(stage.folder, config=config))
        key = await gateway.create_key()
        await gateway.start()
        caller = await stack.enter_async_context(_patient(gateway, key, limit_s + 60))
        talks = [_Talk(case, way, caller, platforms[case.slug]) for case in CASES for way in WAYS]
        stage.tell(f"{len(talks)} turns, at most {limit_s:.0f} s each")
        ended = await asyncio.gather(*(talk.run(calls, limit_s) for talk in talks))
        found = judge_turns(ended, limit_s=limit_s)
        found += await wait_until_settled(gateway, patience_s=60)
    mended = sum(each.told == answer_to(FIRST) for each in ended)
    longest_s = max(each.seconds for each in ended)
    seen = f"{len(ended)} turns, {mended} mended, the longest {longest_s:.0f} s"
    return Observation(seen, found)


class _Talk:
    """Somebody who says two things to a bot whose model fails at the first."""

    def __init__(self, case: Case, way: Way, caller: Caller, platform: TelegramServer) -> None:
        self._case = case
        self._way = way
        self._caller = caller
        self._platform = platform
        self._bot = f"{case.slug}-{way}"

    async def run(self, calls: dict[str, list[ModelCall]], limit_s: float) -> Ended:
        began = monotonic()
        told = await self._say_first(limit_s)
        seconds = monotonic() - began
        asked = [call.at for call in calls[self._bot]]
        session = await self._session()
        await self._say_again(session, limit_s)
        page = await self._caller.get(f"/v1/sessions/{session}/messages?order=asc&limit=100")
        said = [one for one in page["data"] if one["role"] == "assistant"]
        return Ended(
            case=self._case,
            way=self._way,
            seconds=seconds,
            told=told,
            calls=asked,
            history=[Said(text_of(one), one["incomplete"]) for one in said],
            sent=len(self._platform.sent()) if self._way == "telegram" else None,
        )

    async def _say_first(self, limit_s: float) -> str | None:
        body = {"input": FIRST, "bot": self._bot}
        match self._way:
            case "plain":
                answer = await self._caller.call("POST", "/v1/chat", body)
                return answer.json["output_text"] if answer.status == 200 else None
            case "stream":
                events = [e async for e in self._caller.stream({**body, "stream": True})]
                last = events[-1]
                return last.data["turn"]["output_text"] if last.type == "turn.completed" else None
            case "telegram":
                self._platform.post_text(1, 1, FIRST)
                sent = await self._platform.wait_for_sent(1, timeout_s=limit_s + 60)
                return sent[0].text if sent[0].text != APOLOGY else None

    async def _say_again(self, session: str, limit_s: float) -> None:
        if self._way == "telegram":
            before = len(self._platform.sent())
            self._platform.post_text(1, 1, AGAIN)
            await self._platform.wait_for_sent(before + 1, timeout_s=limit_s + 60)
        else:
            path = f"/v1/sessions/{session}/messages"
            await self._caller.call("POST", path, {"input": AGAIN})

    async def _session(self) -> str:
        page = await self._caller.get(f"/v1/sessions?bot={self._bot}")
        return str(page["data"][0]["id"])


def _answer(call: ModelCall, calls: dict[str, list[ModelCall]]) -> Answer:
    """The failure of the endpoint's case, as often as it is to fail; else a good answer."""
    case = next(case for case in CASES if case.slug == call.model.rpartition("-")[0])
    if call.last_text == FIRST:
        calls[call.model].append(call)
        if case.times is None or len(calls[call.model]) <= case.times:
            return case.answer
    return Reply(answer_to(call.last_text))


@asynccontextmanager
async def _patient(gateway: GatewayProcess, key: str, wait_s: float) -> AsyncIterator[Caller]:
    """A caller who waits as long as the longest turn takes."""
    timeout, connector = aiohttp.ClientTimeout(total=wait_s), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client:
        yield Caller(client, gateway.url, key)


def _token(number: int) -> str:
    return f"{100_000_000 + number}:AAFakeTokenOfAFakeTelegramServer{number:02}"


def _config(model: OpenAIServer, platforms: dict[str, TelegramServer], *, limit_s: float) -> str:
    parts = [
        "[limits]\nrequests_per_minute = 0\n",
        _bot(DEFAULT, model, limit_s=limit_s, more="default = true"),
    ]
    for slug, platform in platforms.items():
        parts += [_bot(f"{slug}-{way}", model, limit_s=limit_s) for way in WAYS]
        parts.append(
            f'[[channels]]\nname = "{slug}"\nkind = "telegram"\nbot = "{slug}-telegram"\n'
            f'token = "{platform.token}"\nreceive = "polling"\napi_url = "{platform.api_url}"\n'
        )
    return "\n".join(parts)


def _bot(slug: str, model: OpenAIServer, *, limit_s: float, more: str = "") -> str:
    return (
        f'[models.{slug}]\nprovider = "openai"\nbase_url = "{model.base_url}"\n'
        f'api_key = "none"\nmodel = "{slug}"\n\n'
        f'[[bots]]\nslug = "{slug}"\napology = "{APOLOGY}"\n{more}\n'
        f"turn_timeout_s = {limit_s:.0f}\n"
        f'[[bots.agents]]\nname = "Desk"\nmodel = "{slug}"\n'
    )


MODEL_FAILURES: Final = Fault(
    id="F7",
    name="model failures",
    promise="mended or failed in time, the session goes on",
    injected="500, 429, 401, silence, garbage, cut, 10 MB, 1 byte/s",
    run=_run,
)
