"""Kinds of values that settings are made of, each with the sentence that refuses a wrong one."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field

from gateway.domain.access import web_origin
from gateway.domain.bots import HANDOFF_PREFIX

STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    hide_input_in_errors=True,
    defer_build=True,
)
"""Every table: fixed once read, no unknown keys, `"8"` is no number.

The checks of a table are built when it is first read by itself: mostly it is read within another.
"""

_PORTS = range(65_536)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def split_listen(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 host stands in brackets.

    Raises ValueError for anything else.

    >>> split_listen("127.0.0.1:8080"), split_listen("[::1]:0")
    (('127.0.0.1', 8080), ('::1', 0))
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_bracketed = bare != host
    if not colon or not bare or (":" in bare) != is_bracketed or not port.isascii():
        raise ValueError('must be "HOST:PORT", like "127.0.0.1:8080" or "[::1]:8080"')
    if not port.isdigit() or int(port) not in _PORTS:
        raise ValueError("the port must be a number from 0 to 65535 (0 = any free one)")
    return bare, int(port)


def _listen(text: str) -> str:
    split_listen(text)
    return text


def _listen_or_off(text: str) -> str:
    return text and _listen(text)


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError('must be an address that starts with "http://" or "https://"')
    return text


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError('must be an address or a network, like "10.0.0.0/8"') from error
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            "must be 1 to 64 letters, digits, dots, hyphens or underscores, a letter or digit first"
        )
    return text


def _tool_name(text: str) -> str:
    if not _TOOL_NAME.fullmatch(text):
        raise ValueError("a tool's name is 1 to 64 letters, digits, hyphens or underscores")
    if text.startswith(HANDOFF_PREFIX):
        raise ValueError(f'names that start with "{HANDOFF_PREFIX}" are kept for hand-offs')
    return text


Listen = Annotated[str, AfterValidator(_listen)]
ListenOrOff = Annotated[str, AfterValidator(_listen_or_off)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Origin = Annotated[str, AfterValidator(web_origin)]
Network = Annotated[str, AfterValidator(_network)]
Name = Annotated[str, AfterValidator(_name)]
ToolName = Annotated[str, AfterValidator(_tool_name)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Object = dict[str, Any]
"""A free JSON object that is passed on as it is (a schema, arguments, a provider's parameters)."""
