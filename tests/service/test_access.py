"""Who is it: keys and tokens, what is believed about them and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.access import KeyLimits, new_key_text
from gateway.domain.ids import ProjectId
from gateway.domain.policy import CallerLimits
from gateway.errors import Forbidden, NotFound, Unauthorized
from gateway.service.access import AccessService
from gateway.service.keys import KeyService, NewKey
from gateway.service.signing import Signer
from gateway.store.protocol import Store
from tests.service.conftest import FixedClock

DEMO = ProjectId("demo")
STALE_S = 2.0
"""How old a belief about a key may be, at most."""


class Office:
    """Access and keys over one store, as one process has them."""

    def __init__(self, store: Store, clock: FixedClock, **limits: int) -> None:
        signer = Signer(b"a secret")
        self.store = store
        self.access = AccessService(store, signer, limits=CallerLimits(**limits), clock=clock)
        self.keys = KeyService(store, signer, access=self.access)


async def test_a_key_opens_what_it_was_made_for(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey(name="ci", bots=frozenset({"support"})))

    principal = await office.access.authenticate(made.text)

    assert (principal.id, principal.project_id) == (made.key.id, DEMO)
    assert principal.may("chat")
    assert not principal.may("keys:manage")
    assert principal.owner == "ci@demo.local"


async def test_an_admin_key_may_everything_and_a_viewer_only_read(
    store: Store, clock: FixedClock
) -> None:
    office = Office(store, clock)
    admin = await office.keys.create(DEMO, NewKey(kind="admin"))
    viewer = await office.keys.create(DEMO, NewKey(role="viewer"))

    assert (await office.access.authenticate(admin.text)).may("participants:erase")
    assert not (await office.access.authenticate(viewer.text)).may("sessions:write")


async def test_a_key_revoked_elsewhere_is_refused_within_two_seconds(
    store: Store, clock: FixedClock
) -> None:
    here, elsewhere = Office(store, clock), Office(store, clock)
    made = await here.keys.create(DEMO, NewKey())
    await here.access.authenticate(made.text)

    await elsewhere.keys.revoke(DEMO, made.key.id)
    clock.now += STALE_S

    with pytest.raises(Unauthorized, match="revoked"):
        await here.access.authenticate(made.text)


async def test_a_key_revoked_here_is_refused_at_once(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())
    await office.access.authenticate(made.text)

    await office.keys.revoke(DEMO, made.key.id)

    with pytest.raises(Unauthorized):
        await office.access.authenticate(made.text)


async def test_a_narrowed_key_is_narrower_at_once(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())
    await office.access.authenticate(made.text)

    await office.keys.change(DEMO, made.key.id, {"scopes": frozenset({"chat"})})

    assert not (await office.access.authenticate(made.text)).may("sessions:read")


async def test_a_believed_key_costs_no_look_into_the_store(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())
    first = await office.access.authenticate(made.text)

    again = await office.access.authenticate(made.text)

    assert again is first


async def test_the_use_of_a_key_is_noted(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())

    await office.access.authenticate(made.text)

    used = (await office.keys.key(DEMO, made.key.id)).last_used_at
    assert used is not None
    assert datetime.now(UTC) - used < timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    ["", "x", "gw_sk_", new_key_text("secret"), new_key_text("admin")],
    ids=["empty", "a letter", "a prefix", "a secret key", "an admin key"],
)
async def test_an_unknown_key_is_refused(store: Store, clock: FixedClock, text: str) -> None:
    with pytest.raises(Unauthorized):
        await Office(store, clock).access.authenticate(text)


async def test_an_old_secret_closes_when_its_overlap_is_over(
    store: Store, clock: FixedClock
) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())
    await office.keys.rotate(DEMO, made.key.id, overlap=timedelta(seconds=-1))

    with pytest.raises(Unauthorized, match="replaced"):
        await office.access.authenticate(made.text)


async def test_the_quota_of_a_key_goes_before_the_configured_one(
    store: Store, clock: FixedClock
) -> None:
    office = Office(store, clock, requests_per_minute=100)
    limits = KeyLimits(requests_per_minute=0, requests_per_hour=7)
    made = await office.keys.create(DEMO, NewKey(limits=limits))

    allowances = office.access.take(await office.access.authenticate(made.text))

    assert [(a.name, a.quota) for a in allowances] == [("hour", 7)]


async def test_origins_of_publishable_keys_are_known_until_they_are_revoked(
    store: Store, clock: FixedClock
) -> None:
    office = Office(store, clock)
    site = "https://example.com"
    made = await office.keys.create(DEMO, NewKey(kind="publishable", origins=(site,)))

    assert await office.access.knows_origin(site)
    assert not await office.access.knows_origin("https://evil.example")
    await office.keys.revoke(DEMO, made.key.id)
    assert not await office.access.knows_origin(site)


async def test_the_text_of_a_key_follows_from_its_nonce_and_the_secret_alone(
    store: Store, clock: FixedClock
) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())

    assert office.keys.text("secret", made.nonce) == made.text
    other = KeyService(store, Signer(b"another"), access=office.access)
    assert other.text("secret", made.nonce) != made.text


async def test_a_key_of_another_project_cannot_be_touched(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey())
    other = ProjectId("other")

    for attempt in (
        office.keys.key(other, made.key.id),
        office.keys.change(other, made.key.id, {"name": "x"}),
        office.keys.rotate(other, made.key.id),
        office.keys.revoke(other, made.key.id),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_only_an_admin_key_makes_an_admin_key(store: Store, clock: FixedClock) -> None:
    office = Office(store, clock)
    made = await office.keys.create(DEMO, NewKey(scopes=frozenset({"keys:manage"}), role="editor"))
    giver = await office.access.authenticate(made.text)

    for new in (
        NewKey(kind="admin"),
        NewKey(role="admin"),
        NewKey(workspace="w", scopes=frozenset()),
    ):
        with pytest.raises(Forbidden):
            office.keys.check_grant(giver, new)
