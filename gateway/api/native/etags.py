"""ETags: versions of things as callers hand them back (RFC 9110, 8.8.3 and 13.1)."""

from __future__ import annotations

import re
from datetime import datetime

from gateway.api.http.endpoints import Answer, Call
from gateway.errors import PreconditionFailed

_TAG = re.compile(r'"([^"]*)"')
_CACHE = "private, no-cache"


def etag(version: int | datetime) -> str:
    """The ETag of a version.

    >>> etag(3)
    '"3"'
    """
    if isinstance(version, datetime):
        return f'"{int(version.timestamp() * 1_000_000)}"'
    return f'"{version}"'


def tagged(call: Call, answer: Answer, version: int | datetime) -> Answer:
    """The answer with its ETag; 304 without a document where the caller has that version."""
    headers = {**answer.headers, "ETag": etag(version), "Cache-Control": _CACHE}
    known = call.request.headers.get("If-None-Match")
    is_read = call.request.method in ("GET", "HEAD")
    if known is not None and is_read and (known.strip() == "*" or etag(version) in known):
        return Answer(status=304, headers=headers)
    return Answer(status=answer.status, document=answer.document, headers=headers)


def wanted_version(call: Call) -> int | None:
    """The version `If-Match` demands; None = any. Raises PreconditionFailed for no version."""
    header = call.request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    found = _TAG.fullmatch(header)
    if found is None or not found[1].isascii() or not found[1].isdigit() or len(found[1]) > 18:
        raise PreconditionFailed("This is not the present version.")
    return int(found[1])
