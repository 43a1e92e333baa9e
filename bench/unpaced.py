"""`gateway serve` without the platforms' own limits, which would hold every server alike.

A chat takes one message a second; what a reply costs cannot be seen at that pace. Everything else
is the product as it is.
"""

from __future__ import annotations

from unittest.mock import patch

from gateway.__main__ import main
from gateway.contract import Pace
from gateway.flow.pace import Pacer

_init = Pacer.__init__


def _unpaced(self: Pacer, _pace: Pace, *, now: float) -> None:
    _init(self, Pace(), now=now)


if __name__ == "__main__":
    with patch.object(Pacer, "__init__", _unpaced):
        main()
