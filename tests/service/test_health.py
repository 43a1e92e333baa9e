"""Readiness: every check is told, and none can hold up or break the others."""

import asyncio
from datetime import UTC, datetime

from gateway.errors import StoreError
from gateway.service.health import Build, Check, HealthService

BUILD = Build(version="1", started_at=datetime.now(UTC))


async def fine() -> str | None:
    return None


async def full() -> str | None:
    return "The disk is full."


async def broken() -> str | None:
    raise StoreError("The store is away.")


async def hanging() -> str | None:
    await asyncio.Event().wait()
    return None


async def test_every_check_says_what_is_wrong() -> None:
    probes = {"fine": fine, "full": full, "broken": broken, "hanging": hanging}

    checks = await HealthService(BUILD, checks=probes, limit_s=0.05).readiness()

    assert checks == [
        Check("fine", None),
        Check("full", "The disk is full."),
        Check("broken", "The store is away."),
        Check("hanging", "No answer within 0.05 s."),
        Check("draining", None),
    ]


async def test_a_stopping_process_is_not_ready() -> None:
    service = HealthService(BUILD, checks={"fine": fine})

    service.is_draining = True

    assert (await service.readiness())[-1].problem == "The gateway is stopping."
