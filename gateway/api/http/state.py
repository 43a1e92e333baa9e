"""What is known about a request while it is answered: kept on the request under one typed key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.domain.ids import new_request_id
from gateway.service.rates import Allowance

_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class RequestState:
    """The request's id, and what is left of its caller's quotas once the caller is known.

    `has_begun`: a stream was begun as its answer, so that no other answer can be given any more.
    """

    request_id: str
    allowances: Sequence[Allowance] = ()
    has_begun: bool = False


STATE = web.RequestKey("gateway_state", RequestState)


def begin(request: web.Request) -> RequestState:
    """Give a request its state: the caller's own id if it is a good one, else a new one."""
    offered = request.headers.get("X-Request-Id")
    is_good = offered is not None and _GOOD_ID.fullmatch(offered)
    state = RequestState(offered if offered and is_good else new_request_id())
    request[STATE] = state
    return state
