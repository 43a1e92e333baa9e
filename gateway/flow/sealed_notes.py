"""Encrypts the notes of channels that hold secrets, such as the tokens of installations.

Takes the server's secret; gives notes that are text to the store and to every backup of it, and
plain again for the channel that kept them. A note is bound to its channel and key: moved to another
place, it opens as little as under another secret. Keeps nothing.
"""

from __future__ import annotations

import hmac
import json
import os
from base64 import b64decode, b64encode
from functools import cached_property
from typing import Final, Protocol

from gateway.contract import Json
from gateway.errors import StoreError

MARK: Final = "$sealed"
"""The one field of a sealed note. Its number says how it was sealed."""

_PURPOSE: Final = b"bot-gateway channel notes"
_HOW: Final = "1:"
_NONCE_BYTES: Final = 12


class _Cipher(Protocol):
    """AES-GCM, as `cryptography` has it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class NoteSeal:
    """Seals and opens with a key derived from the server's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, channel: str, key: str, value: Json) -> Json:
        """The note as it may be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        sealed = self._cipher.encrypt(nonce, data, _place(channel, key))
        return {MARK: _HOW + b64encode(nonce + sealed).decode()}

    def opened(self, channel: str, key: str, note: Json) -> Json:
        """The note as its channel kept it; one that is not sealed is as it is.

        Raises StoreError when it was sealed with another secret, or for another place.
        """
        text = note.get(MARK)
        if text is None:
            return note
        try:
            raw = b64decode(str(text).removeprefix(_HOW), validate=True)
            nonce, sealed = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            opened = json.loads(self._cipher.decrypt(nonce, sealed, _place(channel, key)))
        except (ValueError, self._refusal) as error:
            raise StoreError(
                f"a secret of channel {channel} cannot be read: it was encrypted with another "
                "server.secret; put the former one back, or connect the channel's accounts again",
                transient=False,
                code="wrong_secret",
            ) from error
        return dict(opened)

    @cached_property
    def _cipher(self) -> _Cipher:
        # Here and not above: four megabytes for those only who keep secrets in notes.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        return AESGCM(hmac.digest(self._secret, _PURPOSE, "sha256"))

    @cached_property
    def _refusal(self) -> type[Exception]:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above

        return InvalidTag


def _place(channel: str, key: str) -> bytes:
    """Where a note stands; the length keeps one pair from reading like another."""
    return f"{len(channel)}:{channel}:{key}".encode()
