"""What all channels have in common; the rest of a channel's table belongs to its kind.

The common keys are checked here. The others are kept as they are in `own`, and the registry checks
them with the settings model of that kind of channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from gateway.config.fields import STRICT, Amount, Name, Object, Text
from gateway.domain.channels import BUILT_IN_CHANNELS, Access, WhenBusy


def _channel_name(text: str) -> str:
    if text in BUILT_IN_CHANNELS:
        raise ValueError(f'every project has a channel "{text}" already; choose another name')
    return text


class ChannelSettings(BaseModel):
    """One of `[[channels]]`: the common keys, and `own` for those of its kind."""

    model_config = STRICT

    name: Annotated[Name, AfterValidator(_channel_name)]
    kind: Text
    bot: Text
    enabled: bool = True
    required: bool = False
    access: Access = "open"
    allow: tuple[str, ...] = ()
    debounce_s: Amount = 0
    when_busy: WhenBusy = "queue"
    on_ambiguous: Literal["resend", "hold"] | None = None
    live: Literal["auto", "signal", "off"] = "auto"
    own: Object = Field(default_factory=dict)


COMMON_KEYS = frozenset(ChannelSettings.model_fields) - {"own"}
"""The keys every `[[channels]]` table may hold, whatever its kind."""


def with_own_keys_apart(tree: Mapping[str, object]) -> dict[str, object]:
    """The file's tree with each channel's own keys moved to its `own`."""
    channels = tree.get("channels")
    if not isinstance(channels, list):
        return dict(tree)
    return {**tree, "channels": [_apart(channel) for channel in channels]}


def _apart(channel: object) -> object:
    if not isinstance(channel, dict):
        return channel
    common = {key: value for key, value in channel.items() if key in COMMON_KEYS}
    own = {key: value for key, value in channel.items() if key not in COMMON_KEYS}
    return {**common, "own": own}
