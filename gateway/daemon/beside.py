"""What an operator's command needs: the store beside a running daemon, or without one.

Takes no lock (but to migrate), starts no worker, connects to no platform. A missing store is made
and brought up to the schema.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.config.values import Config
from gateway.daemon.secret import server_secret
from gateway.domain.ids import SessionId
from gateway.service.access import AccessService
from gateway.service.dead_letters import DeadLetterService
from gateway.service.keys import KeyService
from gateway.service.operations import OperationsService
from gateway.service.signing import Signer
from gateway.service.standing import StandingService
from gateway.service.stuck import StuckTurns
from gateway.store.copies import Backup, Restored, Tell
from gateway.store.open import backup_store, migrate_store, open_store, restore_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The services of an operator."""

    keys: KeyService
    operations: OperationsService
    dead_letters: DeadLetterService
    stuck: StuckTurns
    standing: StandingService


@asynccontextmanager
async def beside(config: Config) -> AsyncIterator[Desk]:
    """The operator's services while inside; raises StoreError and ConfigError."""
    signer = Signer(server_secret(config))
    async with open_store(config.settings.store.url, lock=False) as store:
        access = AccessService(store, signer, limits=config.policy().callers)
        projects = [project.id for project in config.projects()]
        bots = {bot.slug for bot in config.bots()}
        channels = {channel.name for channel in config.channels() if channel.is_enabled}
        yield Desk(
            keys=KeyService(store, signer, access=access),
            operations=OperationsService(store, projects=projects),
            dead_letters=DeadLetterService(store, channels=channels),
            stuck=StuckTurns(store, bots=bots, channels=channels),
            standing=StandingService(store, signer, stop=_nothing_runs_here),
        )


def _nothing_runs_here(session_id: SessionId) -> None:
    """A daemon beside us learns from the store what is to stop, with its next heartbeat."""


def migrate(config: Config) -> list[int]:
    """Bring the store up to this program's schema, alone; the numbers of the steps taken.

    Raises HeldElsewhere while a daemon runs, StoreError and ConfigError.
    """
    return migrate_store(config.settings.store.url)


def backup(config: Config, to: Path, *, overwrite: bool, with_findings: bool, tell: Tell) -> Backup:
    """Copy the store to a new file, also beside a running daemon.

    Raises GatewayError when the file cannot be written or the copy is not sound, StoreError.
    """
    return backup_store(
        config.settings.store.url, to, overwrite=overwrite, with_findings=with_findings, tell=tell
    )


def restore(config: Config, source: Path, *, resume: bool, tell: Tell) -> Restored:
    """Put a backup in the place of the store, alone.

    Raises HeldElsewhere while a daemon runs, GatewayError when the backup cannot be used.
    """
    return restore_store(config.settings.store.url, source, resume=resume, tell=tell)
