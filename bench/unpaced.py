"""`gateway serve` without the platforms' own limits, which would hold every server alike.

A chat takes one message a second; what a reply costs cannot be seen at that pace. Everything else
is the product as it is.
"""

from __future__ import annotations

import sys
from importlib import import_module

from gateway.__main__ import main
from gateway.contract import Pace


def lift(module: str) -> None:
    """Take the pace out of an adapter."""
    import_module(module).PACE = Pace()  # type: ignore[attr-defined] # every paced adapter has one


if __name__ == "__main__":
    lift(sys.argv.pop(1))
    main()
