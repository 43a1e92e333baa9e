"""Words to the service manager over its notify socket.

The protocol is one datagram a message (systemd: sd_notify(3), read 2026-11). Without a manager
nothing is sent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(message: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send one message (`READY=1`, `STOPPING=1`, `WATCHDOG=1`); False when nobody listens."""
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(message.encode(), address)
        except OSError:
            return False
    return True


def watchdog_interval_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How often the manager wants a pulse, halved as it advises; None = it wants none.

    >>> watchdog_interval_s({"WATCHDOG_USEC": "30000000"})
    15.0
    """
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 2_000_000 if text.isdigit() and int(text) > 0 else None
