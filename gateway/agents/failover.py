"""A model that does not give up at once: retries, a circuit breaker, fallback models.

One call goes in rounds. In each round the endpoints are asked in order, the own one first, the
fallbacks after it, until one answers; one whose breaker is open is left out. Between rounds it
waits 1, 4, 15 and 45 s (`ModelPolicy.retry_delays_s`), longer where the provider wishes, but never
past the deadline of the request. What no retry can mend ends the call: a refused request at once,
any other permanent error (wrong key, unknown model) when no fallback answered either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from gateway.agents.breaker import Breaker, Slots
from gateway.agents.model import (
    Model,
    ModelDone,
    ModelEvent,
    ModelRequest,
    ModelRestarted,
    ModelText,
)
from gateway.errors import ModelError

log = structlog.get_logger(__name__)

REFUSED = "model_refused_request"
UNAVAILABLE = "model_unavailable"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model with its breaker and its slots, shared by all that fall back to it."""

    name: str
    model: Model
    breaker: Breaker
    slots: Slots


@dataclass(slots=True)
class _Call:
    """What a call has learnt so far."""

    has_given_text: bool = False
    error: ModelError | None = None
    wait_s: float = 0
    permanent: set[str] = field(default_factory=set)

    def note(self, endpoint: Endpoint, error: ModelError) -> None:
        self.error = error
        if not error.transient:
            self.permanent.add(endpoint.name)
        self.wait_s = max(self.wait_s, error.retry_after_s or 0)


class FailoverModel:
    """Asks `endpoints` in order, in rounds. Clock and sleep are those of the event loop."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        retry_delays_s: Sequence[float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._delays = tuple(retry_delays_s)
        self._sleep = sleep
        self._clock = clock or asyncio.get_running_loop().time

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer as events. `ModelRestarted` stands wherever an attempt broke off after text.

        Raises ModelError: the last one, or `model_unavailable` when every breaker is open.
        """
        call = _Call()
        for delay_s in (0, *self._delays):
            if delay_s and not await self._has_waited(request, call, delay_s):
                break
            call.wait_s = 0
            for endpoint in self._endpoints:
                if endpoint.breaker.blocked_s() or endpoint.name in call.permanent:
                    continue
                async with aclosing(self._ask(endpoint, request, call)) as events:
                    async for event in events:
                        yield event
                if call.error is None:
                    return
                if call.error.code == REFUSED:
                    raise call.error
            if call.error is None or len(call.permanent) == len(self._endpoints):
                break
        raise call.error or self._unavailable()

    async def aclose(self) -> None:
        """Close the own endpoint; a fallback is the own endpoint of another model."""
        await self._endpoints[0].model.aclose()

    async def _ask(
        self, endpoint: Endpoint, request: ModelRequest, call: _Call
    ) -> AsyncGenerator[ModelEvent, None]:
        call.error = None
        breaker = endpoint.breaker
        is_judged = True  # as long as it only waits for a slot
        try:
            async with endpoint.slots.one(), aclosing(endpoint.model.stream(request)) as events:
                is_judged = False
                breaker.begin()
                if call.has_given_text:
                    call.has_given_text = False
                    yield ModelRestarted()
                async for event in events:
                    if isinstance(event, ModelText):
                        call.has_given_text = True
                    elif isinstance(event, ModelDone):
                        is_judged = True
                        breaker.succeeded()
                    yield event
        except ModelError as error:
            is_judged = True
            _judge(breaker, error)
            call.note(endpoint, error)
            log.warning(
                "model_failed",
                model=endpoint.name,
                code=error.code,
                status=error.status,
                transient=error.transient,
            )
        finally:
            if not is_judged:
                breaker.given_up()

    async def _has_waited(self, request: ModelRequest, call: _Call, delay_s: float) -> bool:
        """Wait for the next round; False when it would begin after the deadline."""
        wait_s = max(delay_s, call.wait_s)
        if request.deadline is not None and self._clock() + wait_s >= request.deadline:
            return False
        await self._sleep(wait_s)
        return True

    def _unavailable(self) -> ModelError:
        return ModelError(
            "The model is out of order at the moment.",
            transient=True,
            code=UNAVAILABLE,
            retry_after_s=min(endpoint.breaker.blocked_s() for endpoint in self._endpoints),
        )


def _judge(breaker: Breaker, error: ModelError) -> None:
    """An endpoint that says no, or not now, is not down."""
    if error.transient and error.status != 429:
        breaker.failed()
    else:
        breaker.succeeded()
