"""The headers of a request are bounded together, not only one by one."""

from gateway.api.http.headers import MAX_HEAD_BYTES
from tests.api.native.gateway import Gateway

PIECE = "x" * 4096


def headers(size_bytes: int) -> dict[str, str]:
    return {f"X_Piece_{number}": PIECE for number in range(size_bytes // len(PIECE))}


async def test_headers_that_are_too_much_together_are_refused(gateway: Gateway) -> None:
    reply = await gateway.api.get("/v1/bots", **headers(MAX_HEAD_BYTES + len(PIECE)))

    assert (reply.status, reply.code) == (431, "headers_too_large")


async def test_headers_below_the_bound_are_taken(gateway: Gateway) -> None:
    reply = await gateway.api.get("/v1/bots", **headers(MAX_HEAD_BYTES - len(PIECE)))

    assert reply.status == 200
