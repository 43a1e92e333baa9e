"""How Slack signs what it sends to an app.

From Slack's documentation ("Verifying requests from Slack"): `v0=` and the hexadecimal HMAC-SHA256
of `v0:{timestamp}:{raw body}` under the app's signing secret.
"""

import hashlib
import hmac
import time


def signature_of(body: bytes, *, secret: str, timestamp: str) -> str:
    """The value of X-Slack-Signature.

    >>> signature_of(b"{}", secret="s", timestamp="1531420618")[:10]
    'v0=ab10ca3'
    """
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def signed_headers(body: bytes, *, secret: str, age_s: float = 0.0) -> dict[str, str]:
    """Both headers, signed now; `age_s` puts the timestamp into the past (below 0: the future)."""
    timestamp = str(int(time.time() - age_s))
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature_of(body, secret=secret, timestamp=timestamp),
    }
