"""Who calls: the credentials of a request, its caller's quota, the address it came from."""

from __future__ import annotations

from aiohttp import web

from gateway.api.http.settings import ApiSettings
from gateway.api.http.state import STATE
from gateway.domain.access import Principal
from gateway.errors import TooMany, Unauthorized
from gateway.service.access import AccessService

_SCHEME = "bearer "


class Callers:
    """Recognises callers and counts their requests."""

    def __init__(self, access: AccessService, settings: ApiSettings) -> None:
        self._access = access
        self._settings = settings

    async def principal(self, request: web.Request) -> Principal:
        """Who calls, with this request counted.

        Raises Unauthorized, and TooMany (quota used up, or too many wrong keys from there).
        """
        text = bearer(request)
        try:
            principal = await self._access.authenticate(text)
        except Unauthorized as error:
            wait_s = self._access.note_stranger(client_address(request, self._settings))
            if wait_s is None:
                raise
            raise TooMany("Too many wrong keys from this address.", retry_after_s=wait_s) from error
        self.count(request, principal)
        return principal

    def count(self, request: web.Request, principal: Principal) -> None:
        """Count a request of a known caller; raises TooMany."""
        allowances = self._access.take(principal)
        request[STATE].allowances = allowances
        waits = [a.retry_after_s for a in allowances if a.retry_after_s is not None]
        if waits:
            raise TooMany("Too many requests with this key.", retry_after_s=max(waits))


def bearer(request: web.Request) -> str:
    """The Bearer text of a request; raises Unauthorized (`missing_credentials`)."""
    header = request.headers.get("Authorization")
    if header is None:
        raise Unauthorized(
            "Send your key as `Authorization: Bearer KEY`.", code="missing_credentials"
        )
    if header[: len(_SCHEME)].lower() != _SCHEME or not header.isascii():
        raise Unauthorized("The key must be sent as a Bearer token.")
    return header[len(_SCHEME) :].strip()


def client_address(request: web.Request, settings: ApiSettings) -> str:
    """The address of the client: the peer, or what trusted proxies say about it.

    X-Forwarded-For is read from the right: every trusted proxy appended whom it heard.
    """
    address = request.remote or ""
    if not settings.trusts(address):
        return address
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        address = hop
        if not settings.trusts(hop):
            break
    return address
