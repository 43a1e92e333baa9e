"""Makes the plain channel known to a gateway of a test, as an installed package would.

A kind of channel is found by an entry point. That of this kind is no part of the product, so it
stands in a folder of the test, which only the gateway that gets the environment looks into.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gateway.testing.plain.server import PlainServer

METADATA: Final = "Metadata-Version: 2.1\nName: bot-gateway-plain\nVersion: 0\n"
ENTRY_POINTS: Final = "[gateway.channels]\nplain = gateway.testing.plain.channel:PlainChannel\n"


def installed(folder: Path) -> dict[str, str]:
    """The environment for `GatewayProcess` in which channels of kind `plain` exist."""
    place = folder / "plain-channel"
    package = place / "bot_gateway_plain-0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text(METADATA)
    (package / "entry_points.txt").write_text(ENTRY_POINTS)
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(place), *([others] if others else [])])}


def on_plain(plain: PlainServer, *, bot: str = "support", shows: str = "message") -> str:
    """A channel `plain` at a fake platform, for a configuration."""
    return f"""
[[channels]]
name = "plain"
kind = "plain"
bot = "{bot}"
token = "{plain.token}"
api_url = "{plain.api_url}"
shows = "{shows}"
"""
