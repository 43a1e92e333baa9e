"""Whose address counts: proxies are believed only where they are configured."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.api.http.callers import client_address
from gateway.api.http.settings import ApiSettings


def asked(peer: str, forwarded: str | None) -> web.Request:
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    return make_mocked_request("GET", "/", headers=headers).clone(remote=peer)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", " , ", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "nonsense"),
    ],
)
def test_the_first_hop_that_no_trusted_proxy_vouches_for_is_the_client(
    peer: str, forwarded: str | None, address: str
) -> None:
    settings = ApiSettings(public_url="http://gateway.test", trusted_proxies=("10.0.0.0/24",))

    assert client_address(asked(peer, forwarded), settings) == address
