"""Keys: make, list, read, change, rotate, revoke."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native import ids
from gateway.api.native.lists import asked_page, dated_cursor, links, slice_dated
from gateway.api.native.wire.common import ListOut, PageQuery
from gateway.api.native.wire.keys import (
    FIXED_KINDS,
    KeyIn,
    KeyOut,
    KeyPatch,
    LimitsDoc,
    MadeKeyOut,
    RotateIn,
    key_out,
    made_key_out,
)
from gateway.domain.access import ApiKey, KeyLimits
from gateway.errors import FieldError, Forbidden, Unprocessable
from gateway.service.keys import MadeKey, NewKey


async def create_key(call: Call) -> Answer:
    """Make a key; its secret is in this answer and nowhere else."""
    body = await call.body(KeyIn)
    new = NewKey(
        name=body.name,
        kind=body.kind,
        role=body.role,
        scopes=None if body.scopes is None else frozenset(body.scopes),
        bots=frozenset(body.bots),
        origins=tuple(body.origins),
        limits=_limits(body.limits),
        owner=body.owner,
        expires_at=body.expires_at,
    )
    call.services.keys.check_grant(call.principal, new)
    _check_bots(call, body.bots)
    made = await call.services.keys.create(call.principal.project_id, new)
    return _made(made)


async def list_keys(call: Call) -> Answer:
    """The keys of the project, revoked ones included."""
    query = call.query(PageQuery)
    page = asked_page(call, query)
    listing = slice_dated(await call.services.keys.keys(call.principal.project_id), page)
    cursor = dated_cursor(call, query, listing)
    body = ListOut[KeyOut](
        data=[key_out(key) for key in listing.items],
        has_more=listing.has_more,
        next_cursor=cursor,
    )
    return Answer(document=body, headers=links(call, query, cursor))


async def read_key(call: Call) -> Answer:
    """One key."""
    return Answer(document=key_out(await _key(call)))


async def change_key(call: Call) -> Answer:
    """Change what is given."""
    body = await call.body(KeyPatch)
    key = await _key(call)
    changes = _changes(body)
    call.services.keys.check_grant(call.principal, _as_new(key, changes))
    _check_fit(key, body)
    _check_bots(call, body.bots or [])
    changed = await call.services.keys.change(key.project_id, key.id, changes)
    return Answer(document=key_out(changed))


async def rotate_key(call: Call) -> Answer:
    """Give a key a new secret; the old one opens for the overlap."""
    body = await call.body(RotateIn)
    key = await _key(call)
    call.services.keys.check_grant(call.principal, _as_new(key, {}))
    made = await call.services.keys.rotate(
        key.project_id, key.id, overlap=timedelta(seconds=body.overlap_s)
    )
    return _made(made)


async def revoke_key(call: Call) -> Answer:
    """Close a key for good."""
    key = await _key(call)
    if key.kind == "admin" and call.principal.kind != "admin":
        raise Forbidden("Only an admin key closes an admin key.")
    await call.services.keys.revoke(key.project_id, key.id)
    return Answer(status=204)


def restore_key(call: Call, kept: bytes) -> MadeKeyOut:
    """The answer that made a key, with its secret put back in place of the nonce."""
    document = MadeKeyOut.model_validate_json(kept)
    text = call.services.keys.text(document.kind, document.key)
    return document.model_copy(update={"key": text})


async def _key(call: Call) -> ApiKey:
    return await call.services.keys.key(call.principal.project_id, ids.key_id(call.path("id")))


def _made(made: MadeKey) -> Answer:
    document = made_key_out(made.key, made.text)
    return Answer(
        status=201,
        document=document,
        headers={"Location": f"/v1/keys/{made.key.id}"},
        kept=document.model_copy(update={"key": made.nonce}),
    )


def _check_bots(call: Call, slugs: Sequence[str]) -> None:
    """Raise Unprocessable for a bot that is not there: its key would open nothing."""
    known = {bot.slug for bot in call.services.bots.bots(call.principal)}
    wrong = [number for number, slug in enumerate(slugs) if slug not in known]
    if wrong:
        fields = [FieldError(f"/bots/{n}", "unknown", "there is no such bot") for n in wrong]
        raise Unprocessable("The request is not valid.", fields=fields)


def _check_fit(key: ApiKey, body: KeyPatch) -> None:
    """Raise Unprocessable for a change that no key of that kind may have."""
    kind, sentence = key.kind, "not of a key of this kind"
    is_fixed = kind in FIXED_KINDS
    wrong = {
        "/role": body.role is not None
        and (is_fixed or (body.role == "admin") != (kind == "admin")),
        "/scopes": body.scopes is not None and is_fixed,
        "/origins": bool(body.origins) and kind != "publishable",
    }
    fields = [FieldError(place, "not_of_kind", sentence) for place, it_is in wrong.items() if it_is]
    if fields:
        raise Unprocessable("The request is not valid.", fields=fields)


def _limits(document: LimitsDoc) -> KeyLimits:
    return KeyLimits(
        requests_per_minute=document.requests_per_minute,
        requests_per_hour=document.requests_per_hour,
    )


def _changes(body: KeyPatch) -> dict[str, Any]:
    """The fields of a key to replace, as the domain knows them."""
    given = body.model_fields_set
    changes: dict[str, Any] = {}
    if body.name is not None:
        changes["name"] = body.name
    if body.role is not None:
        changes["role"] = body.role
    if body.scopes is not None:
        changes["scopes"] = frozenset(body.scopes)
    if body.bots is not None:
        changes["bots"] = frozenset(body.bots)
    if body.origins is not None:
        changes["origins"] = tuple(body.origins)
    if body.limits is not None:
        changes["limits"] = _limits(body.limits)
    if "expires_at" in given:
        changes["expires_at"] = body.expires_at
    return changes


def _as_new(key: ApiKey, changes: dict[str, Any]) -> NewKey:
    """A key as it will be, for the question whether the caller may give that away."""
    return NewKey(
        kind=key.kind,
        role=changes.get("role", key.role),
        scopes=changes.get("scopes", key.scopes),
        bots=changes.get("bots", key.bots),
        workspace=key.workspace,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/keys",
        handler=create_key,
        name="createKey",
        summary="Make a key; its secret is shown once",
        tag="Keys",
        demands="keys:manage",
        body=KeyIn,
        answers={201: MadeKeyOut},
        errors=(409,),
        takes_repeat_key=True,
        once=True,
        restore=restore_key,
    ),
    Endpoint(
        method="GET",
        path="/v1/keys",
        handler=list_keys,
        name="listKeys",
        summary="List keys",
        tag="Keys",
        demands="keys:manage",
        query=PageQuery,
        answers={200: ListOut[KeyOut]},
    ),
    Endpoint(
        method="GET",
        path="/v1/keys/{id}",
        handler=read_key,
        name="readKey",
        summary="Read a key",
        tag="Keys",
        demands="keys:manage",
        answers={200: KeyOut},
        errors=(404,),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/keys/{id}",
        handler=change_key,
        name="changeKey",
        summary="Change a key",
        tag="Keys",
        demands="keys:manage",
        body=KeyPatch,
        answers={200: KeyOut},
        errors=(404,),
    ),
    Endpoint(
        method="POST",
        path="/v1/keys/{id}/rotate",
        handler=rotate_key,
        name="rotateKey",
        summary="Give a key a new secret",
        tag="Keys",
        demands="keys:manage",
        body=RotateIn,
        body_is_optional=True,
        answers={201: MadeKeyOut},
        errors=(404, 409),
        takes_repeat_key=True,
        once=True,
        restore=restore_key,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/keys/{id}",
        handler=revoke_key,
        name="revokeKey",
        summary="Revoke a key",
        tag="Keys",
        demands="keys:manage",
        answers={204: None},
        errors=(404,),
    ),
)
