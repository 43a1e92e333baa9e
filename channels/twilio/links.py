"""Addresses under which Twilio fetches a file that is to be sent. Pure: the clock comes in.

An address holds what file it is and until when it works, signed with the auth token; it can be made
by nobody else, and there is nothing to look up or to list.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

VALID_S: Final = 3600

_PURPOSE: Final = b"bot-gateway media link\0"


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """The file an address stands for."""

    ref: str
    mime: str | None


class FileLinks:
    """Makes and reads the last step of such addresses."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(_PURPOSE + secret.encode()).digest()

    def token(self, file: LinkedFile, *, now: datetime) -> str:
        """What stands at the end of the address."""
        expires_at = int(now.timestamp()) + VALID_S
        payload = json.dumps([file.ref, file.mime, expires_at]).encode()
        return f"{_text(payload)}.{_text(self._mac(payload))}"

    def read(self, token: str, *, now: datetime) -> LinkedFile | None:
        """The file, None for an address that we did not make or that is too old."""
        head, _, tail = token.partition(".")
        try:
            payload, given = _bytes(head), _bytes(tail)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(self._mac(payload), given):
            return None
        ref, mime, expires_at = json.loads(payload)
        return LinkedFile(ref, mime) if now.timestamp() < expires_at else None

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
