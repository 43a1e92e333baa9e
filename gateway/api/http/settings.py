"""What the HTTP side needs to know of the configuration, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from gateway.domain.policy import CallerLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Settings of the HTTP side.

    `trusted_proxies` are addresses or networks, `cors_origins` exact origins. `ping_s` is the
    silence after which a stream says that it lives, `stall_s` how long a reader may take nothing,
    `body_timeout_s` how long a body may take to arrive.
    `turn_wait_s` is how long a plain call waits for its turn before it is told where to look.
    """

    public_url: str
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: frozenset[str] = frozenset()
    limits: CallerLimits = field(default_factory=CallerLimits)
    ping_s: float = 15
    stall_s: float = 10
    body_timeout_s: float = 25.0
    turn_wait_s: float = 310

    def trusts(self, address: str) -> bool:
        """Whether that peer is a configured proxy, whose word about the client counts."""
        if not self.trusted_proxies:
            return False
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in _networks(self.trusted_proxies))


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
