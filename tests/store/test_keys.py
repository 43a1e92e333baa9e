"""Keys: found by hash, changed, rotated, revoked, with a record of each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.domain.access import ApiKey, KeyLimits
from gateway.domain.ids import KeyId, new_key_id
from gateway.store.protocol import Store
from tests.store.builders import OTHER_PROJECT, PROJECT
from tests.store.worlds import World

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNKNOWN = KeyId("key_none")


def key(**fields: Any) -> ApiKey:
    """A key."""
    values: dict[str, Any] = {
        "id": new_key_id(),
        "project_id": PROJECT,
        "kind": "secret",
        "name": "ci",
        "hint": "gw_sk_ab",
        "owner": "ci@p1.local",
        "created_at": NOON,
    }
    return ApiKey(**{**values, **fields})


async def test_a_key_is_found_by_its_hash_with_everything_it_has(store: Store) -> None:
    made = key(
        role="viewer",
        scopes=frozenset({"chat"}),
        bots=frozenset({"b", "a"}),
        origins=("https://a.example",),
        is_personal=True,
        workspace="w",
        limits=KeyLimits(requests_per_minute=5, messages_per_month=0),
        expires_at=NOON + timedelta(days=1),
        last_used_at=NOON,
    )
    await store.add_key(made, key_hash=b"h1")

    found = await store.find_key(b"h1")

    assert found is not None
    assert (found.key, found.by_previous) == (made, False)
    assert await store.find_key(b"h2") is None


async def test_keys_are_listed_oldest_first_by_project(store: Store) -> None:
    young = key(created_at=NOON + timedelta(hours=1))
    old, other = key(), key(project_id=OTHER_PROJECT)
    for number, made in enumerate((young, old, other)):
        await store.add_key(made, key_hash=bytes([number]))

    assert await store.keys(PROJECT) == [old, young]
    assert len(await store.keys(None)) == 3
    assert await store.key(OTHER_PROJECT, old.id) is None
    assert await store.key(None, old.id) == old


async def test_fields_of_a_key_are_replaced_by_name(store: Store) -> None:
    made = key()
    await store.add_key(made, key_hash=b"h")

    changed = await store.change_key(
        PROJECT, made.id, {"name": "new", "scopes": frozenset({"chat"})}
    )

    assert changed == replace(made, name="new", scopes=frozenset({"chat"}))
    assert await store.key(PROJECT, made.id) == changed
    assert await store.change_key(OTHER_PROJECT, made.id, {"name": "x"}) is None


async def test_a_rotated_key_opens_by_both_secrets(store: Store) -> None:
    made, until = key(), NOON + timedelta(hours=1)
    await store.add_key(made, key_hash=b"old")

    rotated = await store.rotate_key(
        PROJECT, made.id, key_hash=b"new", hint="gw_sk_cd", previous_until=until
    )

    by_new, by_old = await store.find_key(b"new"), await store.find_key(b"old")
    assert rotated == replace(made, hint="gw_sk_cd", previous_until=until)
    assert by_new is not None
    assert by_old is not None
    assert (by_new.key, by_new.by_previous) == (rotated, False)
    assert (by_old.key, by_old.by_previous) == (rotated, True)


async def test_only_the_last_secret_before_is_remembered(store: Store) -> None:
    made = key()
    await store.add_key(made, key_hash=b"1")
    for name in (b"2", b"3"):
        await store.rotate_key(PROJECT, made.id, key_hash=name, hint="h", previous_until=NOON)

    assert await store.find_key(b"1") is None
    assert await store.find_key(b"2") is not None


async def test_a_key_is_revoked_once(store: Store) -> None:
    made = key()
    await store.add_key(made, key_hash=b"h")

    first = await store.revoke_key(PROJECT, made.id, at=NOON)
    second = await store.revoke_key(PROJECT, made.id, at=NOON + timedelta(days=1))

    assert first == second == replace(made, revoked_at=NOON)
    assert await store.revoke_key(PROJECT, UNKNOWN, at=NOON) is None


async def test_every_change_of_a_key_is_recorded(store: Store, world: World) -> None:
    made = key()
    await store.add_key(made, key_hash=b"h")
    await store.change_key(PROJECT, made.id, {"name": "new"})
    await store.change_key(PROJECT, made.id, {"last_used_at": NOON})
    await store.rotate_key(PROJECT, made.id, key_hash=b"i", hint="h", previous_until=NOON)
    await store.revoke_key(PROJECT, made.id, at=NOON)
    await store.revoke_key(PROJECT, made.id, at=NOON)

    recorded = world.execute("SELECT action, target FROM audit ORDER BY audit_id")

    assert recorded == [
        ("key_created", made.id),
        ("key_changed", made.id),
        ("key_rotated", made.id),
        ("key_revoked", made.id),
    ]
