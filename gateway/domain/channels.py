"""Channels as the configuration names them: which kind, which bot answers, who may write.

Pure values. The registry turns each into an adapter to its platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.domain.ids import ProjectId

Access = Literal["open", "allow", "pairing"]
"""Who may write: everybody; who is on a list; or who redeemed a link code."""

WhenBusy = Literal["queue", "collect", "interrupt"]
"""What a message does while a turn of its session runs or waits: it waits its turn; it joins the
next one; or it stops what runs, and what was said since is the next one."""

BUILT_IN_CHANNELS = frozenset({"api", "web"})
"""Channels of every project that nobody configures: callers of the API, and the chat page. Their
replies are read, not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """One entry of `[[channels]]`.

    `own` holds the keys of its kind as they stand in the file, references followed; it may hold
    secrets and is therefore not shown. `on_ambiguous` None = the adapter's own rule.
    """

    name: str
    kind: str
    project_id: ProjectId
    bot: str
    is_enabled: bool = True
    is_required: bool = False
    access: Access = "open"
    allow: frozenset[str] = frozenset()
    debounce_s: float = 0
    when_busy: WhenBusy = "queue"
    on_ambiguous: Literal["resend", "hold"] | None = None
    live: Literal["auto", "signal", "off"] = "auto"
    own: Mapping[str, Any] = field(default_factory=dict, repr=False)
