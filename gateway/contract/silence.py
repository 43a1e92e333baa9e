"""Calls that ended without an answer: whether the platform may have taken them.

For every channel that calls with aiohttp. What was surely not written may be sent again; the rest
is in doubt.
"""

from __future__ import annotations

from typing import Final

import aiohttp

_NEVER_WRITTEN: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


def may_be_taken(error: Exception) -> bool:
    """Whether a request that ended with this error may have reached the platform.

    >>> may_be_taken(aiohttp.ServerDisconnectedError()), may_be_taken(aiohttp.InvalidURL("x"))
    (True, False)
    """
    return not isinstance(error, _NEVER_WRITTEN)
