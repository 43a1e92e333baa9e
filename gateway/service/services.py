"""All services of one process, in one value: what every surface is handed."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.service.access import AccessService
from gateway.service.bots import BotsService
from gateway.service.chat import ChatService
from gateway.service.files import FileService
from gateway.service.health import HealthService
from gateway.service.history import HistoryService
from gateway.service.keys import KeyService
from gateway.service.people import PeopleService
from gateway.service.repeats import RepeatService
from gateway.service.sending import SendingService
from gateway.service.signing import Signer
from gateway.service.standing import StandingService
from gateway.service.visits import VisitService

__all__ = ["Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that may be asked of the gateway."""

    chat: ChatService
    history: HistoryService
    people: PeopleService
    files: FileService
    sending: SendingService
    standing: StandingService
    bots: BotsService
    access: AccessService
    keys: KeyService
    visits: VisitService
    repeats: RepeatService
    health: HealthService
    signer: Signer
