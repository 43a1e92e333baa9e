"""Removing a session in which a message grows on the platform at that moment."""

from pathlib import Path

from gateway.contract import Capabilities
from gateway.service.history import HistoryService
from gateway.store.protocol.history import Page, SessionFilter
from gateway.testing.channels import HeldSend
from gateway.testing.models import Hold
from tests.flow.house import PRINCIPAL, PROJECT, House, house

MESSAGE = Capabilities(live="message")


async def remove_the_session(home: House, *, patience_s: float = 5) -> None:
    service = HistoryService(
        home.store,
        lambda: home.catalogue,
        cancel=home.chat.cancel,
        end_patience_s=patience_s,
    )
    [session] = await home.store.sessions(PROJECT, SessionFilter(), page=Page())
    await service.delete(PRINCIPAL, session.id)


async def test_a_growing_message_gets_its_end_before_its_session_is_removed(tmp_path: Path) -> None:
    hold = Hold(text="Once upon", rest=" a time.")
    async with house(tmp_path, hold, "Hello.", capabilities=MESSAGE) as home, home.at_work():
        await home.say("a story")
        await home.channel.wait_for(lambda one: "show: Once upon" in one.live_log)

        await remove_the_session(home)

        [end] = home.channel.sent
        assert end.open_ref is not None
        assert await home.deliveries() == []
        await home.say("hi")
        await home.channel.wait_for_sent(2)
        await home.sound()

    assert list(home.channel.platform.messages.values()) == ["Once upon", "Hello."]


async def test_a_platform_that_hangs_holds_up_the_removal_for_a_while_only(tmp_path: Path) -> None:
    hold, held = Hold(text="Once upon", rest=" a time."), HeldSend()
    async with house(tmp_path, hold, capabilities=MESSAGE) as home, home.at_work():
        home.channel.fail(held)
        await home.say("a story")
        await home.channel.wait_for(lambda one: "show: Once upon" in one.live_log)

        await remove_the_session(home, patience_s=0.3)

        assert await home.deliveries() == []
        held.release.set()
