"""One set of tests that every channel must pass, whoever wrote it.

    class TestMyChannel(ChannelConformance, WebhookConformance):
        def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
            return my_rig(public_url)

A `Rig` is your channel together with a fake of its platform: see `rig.py` for what it must be able
to play. Take the further classes for what your channel can do. Needs pytest and pytest-asyncio
(`pip install "bot-gateway[testing]"`).
"""

import pytest

pytest.register_assert_rewrite(
    "gateway.testing.conformance.abilities",
    "gateway.testing.conformance.files",
    "gateway.testing.conformance.suite",
)

from gateway.testing.conformance.abilities import (
    AskableConformance,
    GrowingConformance,
    WebhookConformance,
)
from gateway.testing.conformance.files import FileRig, FilesConformance
from gateway.testing.conformance.rig import ALL_FAULTS, GrowingRig, PlatformFault, Rig, WebhookRig
from gateway.testing.conformance.suite import ChannelConformance

__all__ = [
    "ALL_FAULTS",
    "AskableConformance",
    "ChannelConformance",
    "FileRig",
    "FilesConformance",
    "GrowingConformance",
    "GrowingRig",
    "PlatformFault",
    "Rig",
    "WebhookConformance",
    "WebhookRig",
]
