"""The one HTTP client for addresses that are not ours: tools, webhooks, media.

An address is judged when a socket for it is about to be opened, after its name was resolved, so
that neither a redirect (never followed), a number in disguise nor a name that changes its mind
leads to a machine inside. Bounded in time and size. Speaks http and https, keeps no cookies, reads
no proxy settings from the environment, and unpacks nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from gateway.errors import FetchError

MAX_CONNECTIONS: Final = 100
READ_BYTES: Final = 65_536

NEVER: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "169.254.0.0/16",  # link-local, with the metadata services of most clouds
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "168.63.129.16/32",  # platform services, Azure
        "fd00:ec2::254/128",  # metadata, AWS over IPv6
        "fe80::/10",  # link-local
        "::/128",
    )
)
"""Addresses that no setting opens."""

EMBEDDED: Final = ip_network("64:ff9b::/96")
"""IPv4 behind NAT64 (RFC 6052)."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back: status, header names in lower case, body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class HttpClient:
    """A pool of connections; an async context manager. Built inside the running loop."""

    def __init__(self) -> None:
        self._outside = _session(allow_private=False)
        self._anywhere = _session(allow_private=True)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        max_bytes: int,
        allow_private_network: bool = False,
    ) -> HttpAnswer:
        """Ask once; any status is an answer, also a redirect.

        `allow_private_network` opens loopback and private addresses. Raises FetchError.
        """
        session = self._anywhere if allow_private_network else self._outside
        try:
            async with session.request(
                method,
                _address(url),
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                received = await _read(response, max_bytes)
        except TimeoutError as error:
            raise FetchError(
                f"No answer within {timeout_s:g} s.", transient=True, code="timed_out"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from error
        names = {name.lower(): value for name, value in response.headers.items()}
        return HttpAnswer(response.status, names, received)

    async def aclose(self) -> None:
        """Close all connections; may be called twice."""
        await self._outside.close()
        await self._anywhere.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet, also where it hides another.

    >>> [is_public(a) for a in ("93.184.215.14", "127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::")]
    [True, False, False, False]
    """
    ip = _plain(address)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not _is_never(ip)


def is_private(address: str) -> bool:
    """Whether an IP address is a machine's own or of a private network, and may be opened.

    >>> [is_private(a) for a in ("127.0.0.1", "192.168.1.1", "169.254.169.254", "8.8.8.8")]
    [True, True, False, False]
    """
    ip = _plain(address)
    return not ip.is_global and not ip.is_multicast and not _is_never(ip)


class _Blocked(OSError):
    """The socket was not opened. An OSError, so that the connector tries the next address."""


def _session(*, allow_private: bool) -> aiohttp.ClientSession:
    def open_socket(
        info: tuple[int, int, int, str, tuple[Any, ...]],
    ) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        if not (is_public(host) or (allow_private and is_private(host))):
            raise _Blocked("address not allowed")
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, socket_factory=open_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    )


def _address(url: str) -> URL:
    try:
        address = URL(url)
    except ValueError as error:
        raise FetchError("It is no address.", transient=False, code="bad_address") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise FetchError("It is no http address.", transient=False, code="bad_address")
    return address


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchError("The answer is packed, which was not asked for.", transient=False)
    received = bytearray()
    async for piece in response.content.iter_chunked(READ_BYTES):
        received += piece
        if len(received) > max_bytes:
            raise FetchError(
                f"The answer is larger than {max_bytes} bytes.",
                transient=False,
                code="answer_too_large",
            )
    return bytes(received)


def _translated(error: aiohttp.ClientError | OSError) -> FetchError:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, _Blocked):
        return FetchError("The address is not allowed.", transient=False, code="address_blocked")
    if isinstance(error, aiohttp.InvalidURL | aiohttp.ClientSSLError):
        return FetchError("The address cannot be used.", transient=False, code="bad_address")
    return FetchError(f"The connection failed ({type(error).__name__}).", transient=True)


def _plain(address: str) -> IPv4Address | IPv6Address:
    """The address itself, or the IPv4 address that it stands for."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip
    if ip in EMBEDDED:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo
    return ip.ipv4_mapped or ip.sixtofour or (teredo[1] if teredo else None) or ip


def _is_never(ip: IPv4Address | IPv6Address) -> bool:
    return any(ip in network for network in NEVER)
