"""The gateway itself: alive, ready, version."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from gateway.api.http.callers import bearer, client_address
from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native.wire.catalogue import AliveOut, CheckOut, ReadyOut, VersionOut
from gateway.api.native.wire.common import timestamp
from gateway.errors import Unauthorized
from gateway.service.health import Check


async def read_alive(_call: Call) -> Answer:
    """200 while the process answers at all."""
    return Answer(document=AliveOut())


async def read_ready(call: Call) -> Answer:
    """200 when the process should be sent work, else 503."""
    checks = await call.services.health.readiness()
    is_ready = all(check.problem is None for check in checks)
    document = ReadyOut(
        status="ok" if is_ready else "unavailable",
        checks=_checks_out(checks) if await _may_see_checks(call) else None,
    )
    headers = {} if is_ready else {"Retry-After": "5"}
    return Answer(status=200 if is_ready else 503, document=document, headers=headers)


async def read_version(call: Call) -> Answer:
    """What is running, and since when."""
    build = call.services.health.build
    document = VersionOut(
        version=build.version, commit=build.commit, started_at=timestamp(build.started_at)
    )
    return Answer(document=document)


def _checks_out(checks: Sequence[Check]) -> list[CheckOut]:
    return [CheckOut(name=c.name, ok=c.problem is None, detail=c.problem) for c in checks]


async def _may_see_checks(call: Call) -> bool:
    """Whether the caller is an admin or sits on this machine."""
    if _is_loopback(client_address(call.request, call.settings)):
        return True
    try:
        principal = await call.services.access.authenticate(bearer(call.request))
    except Unauthorized:
        return False
    return principal.role == "admin" and principal.kind == "admin"


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/healthz",
        handler=read_alive,
        name="readAlive",
        summary="Whether the process is alive",
        tag="Health",
        demands="nothing",
        answers={200: AliveOut},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=read_ready,
        name="readReady",
        summary="Whether the process should be sent work",
        tag="Health",
        demands="nothing",
        answers={200: ReadyOut, 503: ReadyOut},
    ),
    Endpoint(
        method="GET",
        path="/v1/version",
        handler=read_version,
        name="readVersion",
        summary="What is running",
        tag="Health",
        demands="nothing",
        answers={200: VersionOut},
    ),
)
