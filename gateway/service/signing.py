"""Signatures with the server's secret: one derived key a purpose, none fits another's lock.

Takes bytes, gives texts that can be handed out and recognised later. Encrypts nothing: what is
sealed can be read by whoever holds it, and changed by nobody.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode


class Signer:
    """Signs and recognises with keys derived from one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    def sign(self, purpose: str, data: bytes) -> bytes:
        """The 32 bytes of HMAC-SHA256 over the data, under the key of that purpose."""
        key = self._keys.get(purpose)
        if key is None:
            key = hmac.digest(self._secret, b"bot-gateway " + purpose.encode(), "sha256")
            self._keys[purpose] = key
        return hmac.digest(key, data, "sha256")

    def seal(self, purpose: str, payload: bytes) -> str:
        """The payload and its signature as one URL-safe text.

        >>> signer = Signer(b"secret")
        >>> signer.unseal("cursor", signer.seal("cursor", b"7"))
        b'7'
        """
        return f"{_encode(payload)}.{_encode(self.sign(purpose, payload))}"

    def unseal(self, purpose: str, text: str) -> bytes | None:
        """The payload of a sealed text, or None when it was not sealed here for that purpose."""
        head, dot, tail = text.partition(".")
        if not dot or not text.isascii():
            return None
        try:
            payload = urlsafe_b64decode(head + "=" * (-len(head) % 4))
        except binascii.Error:
            return None
        is_ours = hmac.compare_digest(tail, _encode(self.sign(purpose, payload)))
        return payload if is_ours and _encode(payload) == head else None


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
