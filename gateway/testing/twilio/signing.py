"""Signs webhooks as Twilio does.

Pure functions over URL and form fields, written from the documentation (twilio.com, "Webhooks
security" and "Sign webhooks with shared keys", read November 2026) and not with Twilio's own
library, so that a receiver built on that library is checked by something else than itself.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

SIGNATURE_HEADER: Final = "X-Twilio-Signature"
SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"

Algorithm = Literal["HMAC_SHA1", "HMAC_SHA256"]
Signed = Literal["right", "wrong", "missing"]
"""How a delivery is signed: by the account's key, by somebody else's, or not at all."""

Fields = Iterable[tuple[str, str]]

_HASHES: Final = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key made for signing webhooks, used instead of the account's auth token."""

    id: str
    secret: str

    @property
    def settings(self) -> str:
        """Value of the header that tells which key signed, and how."""
        return f"key={self.id},algorithm=HMAC_SHA256"


def signature(key: str, url: str, fields: Fields = (), *, algorithm: Algorithm) -> str:
    """The signature of one request: over the URL, then each field's name and value.

    Fields are sorted by name; several values of one name are made unique and sorted.

    >>> signature("12345", "https://example.com/sms", [("Body", ""), ("From", "+1")],
    ...           algorithm="HMAC_SHA1")
    'BUg/asNmeMQ/PA8r6lDLFirirAU='
    """
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(fields)))
    mac = hmac.new(key.encode(), text.encode(), _HASHES[algorithm])
    return base64.b64encode(mac.digest()).decode()


def url_with_body_hash(url: str, body: bytes) -> str:
    """The URL for a JSON body: it carries the body's hash, and the signature is over it alone."""
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}bodySHA256={hashlib.sha256(body).hexdigest()}"


def signature_headers(
    url: str, fields: Fields, *, token: str, shared_key: SharedKey | None, signed: Signed
) -> dict[str, str]:
    """The headers that prove a delivery to be Twilio's, or fail to, as `signed` says."""
    if signed == "missing":
        return {}
    forged = "" if signed == "right" else " of somebody else"
    if shared_key is None:
        value = signature(token + forged, url, fields, algorithm="HMAC_SHA1")
        return {SIGNATURE_HEADER: value}
    value = signature(shared_key.secret + forged, url, fields, algorithm="HMAC_SHA256")
    return {SIGNATURE_HEADER: value, SETTINGS_HEADER: shared_key.settings}
