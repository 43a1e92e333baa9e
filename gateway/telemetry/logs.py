"""Logging: one line an event, JSON unless a person looks on, and never a secret.

Everything goes through structlog; the standard library's loggers (SDKs, aiohttp) are routed into
the same lines. SDK loggers that print URLs with tokens are kept at warning.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

TALKATIVE = ("httpx", "httpx2", "httpcore", "telegram", "openai", "aiosqlite", "asyncio")
"""Loggers that print addresses with tokens, bodies or headers below warning."""

MASK = "***"
OWN_KEYS = frozenset(
    {"event", "level", "timestamp", "turn_id", "session_id", "delivery_id", "request_id", "outcome"}
)
"""Keys whose values are made here and hold no secret."""

_SECRET = re.compile(
    r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"  # Telegram bot token, also inside an URL
    r"|\bgw_(?:sk|adm|pk|st|oat)_[A-Za-z0-9_.\-]+"
    r"|\bcrn_conv_[A-Za-z0-9]+"
    r"|\bsk-[A-Za-z0-9_\-]{8,}"
    r"|\bx(?:ox[a-z]|app)-[A-Za-z0-9-]+"
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/=\-]+"
)


def configure_logs(*, level: Level, log_format: Format, shows_content: bool = False) -> None:
    """Set logging up for the process; called again after a reload, loggers follow.

    `shows_content` lets the texts of messages and the names of people into debug lines.
    """
    is_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if is_console else structlog.processors.JSONRenderer()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        *(() if shows_content else (hide_content,)),
        mask_secrets,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_standard_library(shared, renderer, number)


def hide_content(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what people wrote and what they are called: the keys `text` and `name`.

    >>> hide_content(None, "debug", {"event": "x", "text": "Hi", "name": "Ann"})
    {'event': 'x'}
    """
    event.pop("text", None)
    event.pop("name", None)
    return event


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what looks like a key or a token in every text of a line.

    >>> mask_secrets(None, "info", {"event": "x", "url": "https://a/bot123456789:" + "A" * 35})
    {'event': 'x', 'url': 'https://a/bot***'}
    """
    for key, value in event.items():
        if key in OWN_KEYS:
            continue
        if isinstance(value, str) and len(value) > 8:
            event[key] = _SECRET.sub(MASK, value)
        elif isinstance(value, list):
            event[key] = [_SECRET.sub(MASK, str(item)) for item in value]
    return event


def _route_standard_library(shared: list[Processor], renderer: Processor, level: int) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
