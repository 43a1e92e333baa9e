"""A refused request leaves nothing behind: its body goes with the answer."""

import gc

from gateway.errors import BadRequest, NotFound
from tests.api.native.gateway import Gateway


async def test_what_was_read_of_a_refused_body_is_not_kept_for_the_collector(
    gateway: Gateway,
) -> None:
    gc.collect()
    gc.disable()
    try:
        reply = await gateway.api.call("POST", "/v1/chat", raw=b"[" * 1_000_000)
        missing = await gateway.api.get("/v1/turns/turn_none")

        kept = [each for each in gc.get_objects() if isinstance(each, BadRequest | NotFound)]
    finally:
        gc.enable()

    assert (reply.status, missing.status) == (400, 404)
    assert kept == []
