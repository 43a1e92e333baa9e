"""What the HTTP side needs to know of the configuration, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from gateway.domain.policy import CallerLimits

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Settings of the HTTP side.

    `ping_s` is the silence after which a stream says that it lives. `turn_wait_s` is how long a
    plain call waits for its turn before it is told where to look.
    """

    public_url: str
    trusted_proxies: tuple[Network, ...] = ()
    cors_origins: frozenset[str] = frozenset()
    limits: CallerLimits = field(default_factory=CallerLimits)
    ping_s: float = 15
    stall_s: float = 20
    turn_wait_s: float = 310

    def trusts(self, address: str) -> bool:
        """Whether that peer is a configured proxy, whose word about the client counts."""
        if not self.trusted_proxies:
            return False
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self.trusted_proxies)
