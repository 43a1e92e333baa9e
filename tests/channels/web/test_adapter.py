"""The pull channel: connected at once, never sending."""

import pytest
from pydantic import ValidationError

from channels.web.adapter import WebChannel, WidgetSettings
from gateway.contract import Address, OutboundMessage
from gateway.errors import DeliveryRefused
from gateway.testing.host import FakeHost

HERE = Address("web", "1")


def channel() -> WebChannel:
    return WebChannel("web", WidgetSettings(), public_url="http://127.0.0.1:8080")


def test_it_is_read_and_pushes_nothing():
    assert not channel().capabilities.delivers
    assert channel().capabilities.live == "none"
    assert channel().render(OutboundMessage(address=HERE, text="hello")) == []
    assert channel().routes() == []


async def test_it_is_connected_as_soon_as_it_is_entered():
    host = FakeHost()
    async with channel().connected(host), channel().receiving():
        assert host.states == [("connected", None)]


async def test_a_delivery_is_refused():
    with pytest.raises(DeliveryRefused):
        await channel().deliver(HERE, {}, delivery_id="dlv_1")


async def test_there_is_nothing_to_probe():
    assert "nothing to check" in await channel().probe()


def test_a_widget_asks_for_a_session_token_unless_told_otherwise():
    assert WidgetSettings().level == "session_token"
    assert WidgetSettings.model_validate(
        {"embed_key": "site-key-1", "allowed_domains": ["x.example"], "level": "embed_key"}
    ).allowed_domains == ("x.example",)


@pytest.mark.parametrize("values", [{"level": "open"}, {"embed_key": ""}, {"embed": "x"}])
def test_settings_that_mean_nothing_are_refused(values):
    with pytest.raises(ValidationError):
        WidgetSettings.model_validate(values)
