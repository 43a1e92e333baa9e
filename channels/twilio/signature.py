"""Is a webhook call Twilio's? Both ways in which Twilio signs. Pure: no network, no clock.

Takes the public address that Twilio called, the raw body and the two headers. The signature is over
the address as configured at Twilio (never over what Host or X-Forwarded-* say) and, for forms, over
every field; a JSON body has its hash in the address. Header X-Twilio-Webhooks-Signature-Settings
tells when a shared key signed in place of the auth token. Twilio, "Webhooks security" and "Sign
webhooks with shared keys"; read November 2026.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from channels.twilio.forms import Form

BODY_HASH: Final = "bodySHA256"

__all__ = ["BODY_HASH", "Call", "Secrets", "is_genuine", "read_call"]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What may have signed: auth tokens (the present and former ones), shared keys by their id."""

    tokens: Sequence[str]
    shared_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A webhook call; `url` with its query as it was percent-encoded, `form` None for JSON."""

    url: str
    body: bytes
    form: Form | None
    signature: str | None
    settings: str | None = None


def read_call(url: str, body: bytes, *, headers: Mapping[str, str]) -> Call:
    """A call from its raw parts; ValueError when its body is no form and should be one."""
    is_form = "json" not in headers.get("Content-Type", "").lower()
    return Call(
        url=url,
        body=body,
        form=Form.read(body) if is_form else None,
        signature=headers.get(SIGNATURE_HEADER),
        settings=headers.get(SIGNATURE_SETTINGS_HEADER),
    )


def is_genuine(call: Call, secrets: Secrets) -> bool:
    """Whether one of our secrets made the signature; in constant time for each of them."""
    if not call.signature or not call.url.isascii() or not _body_fits(call):
        return False
    algorithm = get_signature_algorithm(call.settings).upper()
    if algorithm not in (HMAC_SHA1, HMAC_SHA256):
        return False
    given = call.signature.encode("utf-8", "surrogateescape")
    wanted = [
        RequestValidator(secret).compute_signature(url, call.form or {}, algorithm).encode()
        for secret in _candidates(call.settings, secrets)
        for url in _with_and_without_port(call.url)
    ]
    matches = [hmac.compare_digest(given, one) for one in wanted]
    return any(matches)


def _body_fits(call: Call) -> bool:
    """A body that is no form is covered by its hash in the address, and only by that."""
    if call.form is not None:
        return True
    hashes = parse_qs(urlsplit(call.url).query).get(BODY_HASH, [""])
    wanted = hashlib.sha256(call.body).hexdigest().encode()
    return hmac.compare_digest(wanted, hashes[0].lower().encode("utf-8", "surrogateescape"))


def _candidates(settings: str | None, secrets: Secrets) -> Sequence[str]:
    """The secrets that the call says it was signed with: one shared key, or our tokens."""
    for part in (settings or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "key" and value.strip():
            key = secrets.shared_keys.get(value.strip())
            return [key] if key is not None else []
    return secrets.tokens


def _with_and_without_port(url: str) -> tuple[str, ...]:
    """The address as given, and with the port its scheme has anyway: Twilio signs either."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    if default is None or parts.port not in (None, default):
        return (url, _at(url, parts, port=None)) if parts.port else (url,)
    return (_at(url, parts, port=None), _at(url, parts, port=default))


def _at(url: str, parts: SplitResult, *, port: int | None) -> str:
    """The same address with that port; everything behind the host stays as it was written."""
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        host = host.rpartition(":")[0]
    rest = url[len(parts.scheme) + 3 + len(parts.netloc) :]
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{rest}"
