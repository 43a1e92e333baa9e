"""Tools that are Python functions of the operator: `module:name`, found once at start.

An `async` function runs on the event loop; any other runs in a thread of its own, so that it may
block. A parameter named `context` receives the `ToolContext`; all others are the arguments.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any

import structlog

from gateway.agents.tools.context import ToolContext
from gateway.domain.bots import ToolSpec
from gateway.errors import ConfigError, ToolError

log = structlog.get_logger(__name__)

IMPORT_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a module of an operator may raise when it is imported."""

MAX_THREADS = 32
"""Calls of one tool at work at once; a function that hangs keeps its thread until it returns."""


class PythonTool:
    """Runs one function.

    Raises ConfigError when it cannot be found or called. What it gives back is text as it is, or
    any value that JSON can hold.
    """

    def __init__(self, spec: ToolSpec) -> None:
        self._name = spec.name
        self._function = _find(spec)
        self._is_async = inspect.iscoroutinefunction(self._function)
        self._wants_context = "context" in inspect.signature(self._function).parameters
        self._threads = threading.BoundedSemaphore(MAX_THREADS)

    async def __call__(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """The result as text; raises ToolError when the function raised."""
        extra = {"context": context} if self._wants_context else {}
        call = partial(self._function, **{**arguments, **extra})
        outcome: asyncio.Future[object] = (
            asyncio.ensure_future(_waited(call)) if self._is_async else self._in_thread(call)
        )
        try:
            await asyncio.wait({outcome})
        finally:
            outcome.cancel()
        if outcome.cancelled():
            raise ToolError("The tool was cancelled.", code="tool_raised")
        if (error := outcome.exception()) is not None:
            raise self._explained(error) from error
        return _text(outcome.result())

    def _in_thread(self, call: Callable[[], object]) -> asyncio.Future[object]:
        if not self._threads.acquire(blocking=False):
            raise ToolError("The tool is busy, try again later.", code="tool_busy")
        future: Future[object] = Future()
        work = partial(contextvars.copy_context().run, _settle, future, call, self._threads)
        threading.Thread(target=work, name=f"tool-{self._name}", daemon=True).start()
        return asyncio.wrap_future(future)

    def _explained(self, error: BaseException) -> ToolError:
        if isinstance(error, ToolError):
            return error
        log.error("python_tool_raised", tool=self._name, exc_info=error)
        return ToolError(f"The tool failed ({type(error).__name__}).", code="tool_raised")


async def _waited(call: Callable[[], object]) -> object:
    result = call()
    return await result if inspect.isawaitable(result) else result


def _find(spec: ToolSpec) -> Callable[..., object]:
    module_name, _, name = (spec.target or "").partition(":")
    place = f"tools.{spec.name}.function"
    try:
        found = getattr(importlib.import_module(module_name), name)
    except IMPORT_FAILURES as error:
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{place}: {spec.target!r} cannot be imported: {what}") from error
    if not callable(found):
        raise ConfigError(f"{place}: {spec.target!r} is not a function")
    function: Callable[..., object] = found
    return function


class _Settling:
    """Gives the future what its block raises, whatever it is: a thread has nobody to raise to."""

    def __init__(self, future: Future[object]) -> None:
        self._future = future

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True


def _settle(
    future: Future[object], call: Callable[[], object], threads: threading.BoundedSemaphore
) -> None:
    try:
        with _Settling(future):
            if future.set_running_or_notify_cancel():
                future.set_result(call())
    finally:
        threads.release()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError("The tool gave a value that is not JSON.", code="bad_result") from error
