"""Tells the gateway how the channel is, when that changes."""

from gateway.contract import ChannelHost, HealthState


class HealthTeller:
    """Remembers what was told last, so that a state is told once and not with every round."""

    def __init__(self, host: ChannelHost) -> None:
        self._host = host
        self._told: tuple[HealthState, str | None] | None = None

    def tell(self, state: HealthState, reason: str | None = None) -> None:
        """Pass a state on if it is another than before."""
        if self._told != (state, reason):
            self._told = (state, reason)
            self._host.health(state, reason=reason)
