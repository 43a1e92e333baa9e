"""What callers see of the channels."""

from datetime import UTC, datetime

from gateway.domain.access import Principal
from gateway.domain.ids import ProjectId
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.host import ChannelHealth
from gateway.service.bots import BotsService
from gateway.testing.channels import FakeChannel

PROJECT = ProjectId("default")
PRINCIPAL = Principal(
    id="key_1", project_id=PROJECT, kind="secret", role="viewer", scopes=frozenset()
)
HEARD_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
SENT_AT = datetime(2026, 1, 1, 13, tzinfo=UTC)


async def test_a_channel_shows_when_it_last_heard_and_last_sent_something() -> None:
    binding = ChannelBinding(channel=FakeChannel("tg"), project_id=PROJECT, bot="support")
    health = ChannelHealth(
        state="connected", since=HEARD_AT, last_in_at=HEARD_AT, ignored_events={"poll": 2}
    )
    bots = BotsService(
        lambda: Catalogue(bots={}, channels={"tg": binding}),
        lambda: {"tg": health},
        last_out_at=lambda: {"tg": SENT_AT},
    )

    seen = await bots.channel(PRINCIPAL, "tg")

    assert (seen.last_in_at, seen.last_out_at) == (HEARD_AT, SENT_AT)
    assert seen.ignored_events == {"poll": 2}
    assert (await bots.channel(PRINCIPAL, "web")).last_out_at is None
