"""VisitService: visitors of a page, each with a session of its own and a token for it.

Behind `POST /v1/widget/sessions` and the hosted chat page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.domain.bots import Bot
from gateway.domain.conversation import Session
from gateway.domain.ids import KeyId, ProjectId, new_participant_id, new_session_id
from gateway.domain.people import IdentityKey
from gateway.errors import NotFound, Unauthorized
from gateway.flow.catalogue import Catalogue
from gateway.service import tokens
from gateway.service.access import AccessService
from gateway.service.signing import Signer
from gateway.service.tokens import TOKEN_LIFE, SessionGrant
from gateway.store.protocol import Store
from gateway.store.protocol.history import NewSession

__all__ = ["SessionGrant", "Visit", "VisitService"]

CHANNEL = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A visitor's session, what the token says, and the token: a Bearer for that session."""

    session: Session
    grant: SessionGrant
    token: str


class VisitService:
    """Opens sessions for visitors and prolongs their tokens."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        *,
        access: AccessService,
        catalogue: Callable[[], Catalogue],
    ) -> None:
        self._store = store
        self._signer = signer
        self._access = access
        self._catalogue = catalogue

    async def open(self, bot: Bot, *, key_id: KeyId | None = None) -> Visit:
        """A new visitor of a bot, with a session; `key_id` is the publishable key used."""
        person = IdentityKey(platform=CHANNEL, external_id=new_participant_id())
        participant, _ = await self._store.put_participant(bot.project_id, person)
        new = NewSession(
            id=new_session_id(),
            project_id=bot.project_id,
            bot=bot.slug,
            channel=CHANNEL,
            account=CHANNEL,
            participant_id=participant.id,
        )
        session = await self._store.create_session(new)
        expires_at = (datetime.now(UTC) + TOKEN_LIFE).replace(microsecond=0)
        grant = SessionGrant(
            project_id=bot.project_id,
            session_id=session.id,
            participant_id=participant.id,
            bot=bot.slug,
            expires_at=expires_at,
            key_id=key_id,
        )
        return Visit(session=session, grant=grant, token=self.token(grant))

    async def renew(self, token: str) -> Visit:
        """A fresh token for the same session; the old one may have ended up to 30 days ago.

        Raises Unauthorized when the token is not ours, too old, or came by a key that was closed;
        NotFound when the session or its bot is gone.
        """
        grant = tokens.read(self._signer, token)
        if grant is None:
            raise Unauthorized("This token was not made here.")
        await self._access.check_open(grant)
        fresh = tokens.prolong(grant, now=datetime.now(UTC))
        if fresh is None:
            raise Unauthorized("This token has expired.", code="expired_credentials")
        session = await self._store.session(grant.project_id, grant.session_id)
        if session is None or self._catalogue().bot(grant.project_id, grant.bot) is None:
            raise NotFound("This session is gone.")
        return Visit(session=session, grant=fresh, token=self.token(fresh))

    def default_bot(self, project_id: ProjectId) -> Bot | None:
        """The bot a visitor of that project meets when nothing else is said."""
        return self._catalogue().default_bot(project_id)

    def token(self, grant: SessionGrant) -> str:
        """The token of a grant; the same grant always gives the same text."""
        return tokens.issue(self._signer, grant)
