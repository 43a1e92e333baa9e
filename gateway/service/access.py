"""AccessService: who is it, and how much may they ask.

Turns a Bearer text into a `Principal`. What the store said is believed for `BELIEVED_S`, so that a
key revoked anywhere is refused a moment later and an ordinary request reads nothing. Makes and
changes no keys: `keys.py` does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog

from gateway.domain.access import (
    PREFIXES,
    SESSION_SCOPES,
    ApiKey,
    Principal,
    hash_key,
    is_well_formed_key,
)
from gateway.domain.ids import KeyId
from gateway.domain.policy import CallerLimits
from gateway.errors import StoreError, Unauthorized
from gateway.service import tokens
from gateway.service.rates import Allowance, Buckets
from gateway.service.signing import Signer
from gateway.service.tokens import SessionGrant
from gateway.store.protocol import Store

log = structlog.get_logger(__name__)

BELIEVED_S = 1.5
ORIGINS_BELIEVED_S = 3.0
USE_NOTED_EVERY = timedelta(minutes=1)
MAX_REMEMBERED = 10_000
MINUTE_S = 60
VISITS_PER_MINUTE = 60
"""New visitors from one address: each is a row on disk before anybody has shown a key."""
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as the store last told, and until when (monotonic seconds) that is believed."""

    principal: Principal
    until: float


class AccessService:
    """Authentication and caller limits of one process."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        *,
        limits: CallerLimits,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._signer = signer
        self._limits = limits
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._open_keys: OrderedDict[KeyId, float] = OrderedDict()
        self._origins: tuple[frozenset[str], float] = (frozenset(), float("-inf"))
        self._buckets = Buckets()
        self._strangers = Buckets()

    async def authenticate(self, text: str) -> Principal:
        """Who holds that key or session token.

        Raises Unauthorized (`invalid_credentials`, `expired_credentials`).
        """
        if text.startswith(PREFIXES["session"]):
            return await self._visitor(text)
        digest = hash_key(text)
        known = self._known.get(digest)
        if known is not None and known.until > self._clock():
            return known.principal
        return await self._look_up(text, digest)

    def take(self, principal: Principal) -> list[Allowance]:
        """Count one request of a caller; one entry a quota, none where all are off."""
        limits, own = self._limits, principal.limits
        per_minute = own.requests_per_minute
        if per_minute is None:
            per_minute = limits.requests_per_minute
        wanted = (("minute", per_minute, MINUTE_S), ("hour", own.requests_per_hour or 0, HOUR_S))
        now = self._clock()
        return [
            self._buckets.take(principal.id, name=name, quota=quota, window_s=window_s, now=now)
            for name, quota, window_s in wanted
            if quota > 0
        ]

    def note_stranger(self, address: str) -> float | None:
        """Count a wrong key from an address; seconds to wait when there were too many."""
        quota = self._limits.bad_keys_per_minute
        if quota == 0 or self._limits.requests_per_minute == 0:
            return None
        allowance = self._strangers.take(
            address, name="wrong keys", quota=quota, window_s=MINUTE_S, now=self._clock()
        )
        return allowance.retry_after_s

    def note_visitor(self, address: str) -> float | None:
        """Count a visit that a page opens without a key; seconds to wait after too many."""
        if self._limits.requests_per_minute == 0:
            return None
        allowance = self._strangers.take(
            f"visitor {address}",
            name="visits",
            quota=VISITS_PER_MINUTE,
            window_s=MINUTE_S,
            now=self._clock(),
        )
        return allowance.retry_after_s

    async def knows_origin(self, origin: str) -> bool:
        """Whether some publishable key in use names that origin."""
        origins, until = self._origins
        if until <= self._clock():
            now = datetime.now(UTC)
            keys = [k for k in await self._store.keys(None) if k.kind == "publishable"]
            origins = frozenset(o for k in keys if _refusal(k, now) is None for o in k.origins)
            self._origins = (origins, self._clock() + ORIGINS_BELIEVED_S)
        return origin in origins

    def forget(self, key_id: KeyId) -> None:
        """Believe nothing more about a key: it was changed here."""
        self._open_keys.pop(key_id, None)
        self._origins = (frozenset(), float("-inf"))
        for digest in [d for d, known in self._known.items() if known.principal.id == key_id]:
            del self._known[digest]

    async def _look_up(self, text: str, digest: bytes) -> Principal:
        self._known.pop(digest, None)
        found = await self._store.find_key(digest) if is_well_formed_key(text) else None
        if found is None:
            raise Unauthorized("This key is not known.")
        now = datetime.now(UTC)
        refusal = _refusal(found.key, now, by_previous=found.by_previous)
        if refusal is not None:
            raise refusal
        await self._note_use(found.key, now)
        ends = [found.key.expires_at, found.key.previous_until if found.by_previous else None]
        believed_s = min([BELIEVED_S, *((end - now).total_seconds() for end in ends if end)])
        principal = _principal(found.key)
        self._known[digest] = _Known(principal, self._clock() + believed_s)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def _note_use(self, key: ApiKey, now: datetime) -> None:
        """Write when a key was last used, at most once a minute; a full disk does not matter."""
        if key.last_used_at is not None and now - key.last_used_at < USE_NOTED_EVERY:
            return
        try:
            await self._store.change_key(key.project_id, key.id, {"last_used_at": now})
        except StoreError as error:
            log.warning("key_use_not_noted", key_id=key.id, code=error.code)

    async def _visitor(self, text: str) -> Principal:
        grant = tokens.read(self._signer, text)
        if grant is None:
            raise Unauthorized("This token was not made here.")
        if grant.expires_at <= datetime.now(UTC):
            raise Unauthorized("This token has expired: renew it.", code="expired_credentials")
        if grant.key_id is not None:
            await self.check_open(grant)
        return Principal(
            id=grant.session_id,
            project_id=grant.project_id,
            kind="session",
            role="viewer",
            scopes=SESSION_SCOPES,
            bots=frozenset({grant.bot}),
            session_id=grant.session_id,
            participant_id=grant.participant_id,
        )

    async def check_open(self, grant: SessionGrant) -> None:
        """Raise Unauthorized when the publishable key a token came by was closed."""
        if grant.key_id is None or self._open_keys.get(grant.key_id, 0.0) > self._clock():
            return
        key = await self._store.key(grant.project_id, grant.key_id)
        if key is None:
            raise Unauthorized("The key behind this token is gone.")
        refusal = _refusal(key, datetime.now(UTC))
        if refusal is not None:
            raise refusal
        self._open_keys[grant.key_id] = self._clock() + BELIEVED_S
        if len(self._open_keys) > MAX_REMEMBERED:
            self._open_keys.popitem(last=False)


def _refusal(key: ApiKey, now: datetime, *, by_previous: bool = False) -> Unauthorized | None:
    """Why a known key does not open now, or None."""
    if key.revoked_at is not None:
        return Unauthorized("This key was revoked.")
    if by_previous and (key.previous_until is None or key.previous_until <= now):
        return Unauthorized("This key was replaced by a newer one.")
    if key.expires_at is not None and key.expires_at <= now:
        return Unauthorized("This key has expired.", code="expired_credentials")
    return None


def _principal(key: ApiKey) -> Principal:
    return Principal(
        id=key.id,
        project_id=key.project_id,
        kind=key.kind,
        role=key.role,
        scopes=key.scopes,
        bots=key.bots,
        owner=key.owner,
        origins=key.origins,
        limits=key.limits,
    )
