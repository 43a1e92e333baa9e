"""One talk of a person or a script with a bot: lines in, turns shown, Ctrl-C stops a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click

from gateway.cli.chat_output import Output
from gateway.cli.terminal import read_line
from gateway.domain.access import Principal
from gateway.domain.bots import Bot
from gateway.domain.conversation import Session, TextPart
from gateway.domain.ids import SessionId, TurnId
from gateway.domain.people import IdentityKey
from gateway.errors import RequestError, Unavailable
from gateway.service.chat import SendRequest, Started
from gateway.service.listing import Page
from gateway.service.services import Services

PROMPT = "you: "
NOBODY_THERE = (
    "The process that holds the data directory answers nobody. The message is kept: it is answered"
    " when a gateway starts."
)
ATTENDED_CHECK_S = 3.0
SHOWN_BEFORE = 10
"""How many messages of an earlier talk are shown again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Who talks with which bot. Without a `session` the first message makes one."""

    principal: Principal
    bot: Bot
    identity: IdentityKey
    session: Session | None


class Talk:
    """A session being talked in.

    `is_attended` tells whether the process that runs the turns is still there; None = it is ours.
    """

    def __init__(
        self,
        services: Services,
        opening: Opening,
        *,
        output: Output,
        is_attended: Callable[[], Awaitable[bool]] | None,
    ) -> None:
        self.output = output
        self._services = services
        self._principal = opening.principal
        self._bot = opening.bot
        self._identity = opening.identity
        self._is_attended = is_attended
        self._session_id: SessionId | None = opening.session.id if opening.session else None
        self._running: TurnId | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._interrupts = 0
        self._left = asyncio.Event()

    async def answer_lines(self) -> None:
        """Answer each line of the input, until its end."""
        while (line := await read_line("")) is not None:
            if line.strip():
                await self._turn(line)

    async def converse(self) -> None:
        """Talk with a person until Ctrl-D, or Ctrl-C twice."""
        await self._greet()
        leaving = asyncio.create_task(self._left.wait())
        while not self._left.is_set():
            reading = asyncio.create_task(read_line(PROMPT))
            await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
            line = reading.result() if reading.done() else None
            if line is None:
                reading.cancel()
                break
            self._interrupts = 0
            if line.strip():
                await self._turn(line)
        leaving.cancel()
        click.echo()
        if self._session_id is not None:
            click.echo(f"Go on later: bot-gateway chat --session {self._session_id}")

    def interrupt(self) -> None:
        """Ctrl-C: stop the running turn; with none, say how to leave, and leave the second time."""
        if self._running is not None:
            if self._cancelling is None:
                self._cancelling = asyncio.create_task(self._cancel(self._running))
            return
        self._interrupts += 1
        if self._interrupts > 1:
            self._left.set()
        else:
            click.echo("\n(Ctrl-D leaves.)")

    async def _turn(self, text: str) -> None:
        """Say something and show what comes back; a refusal is shown and the talk goes on."""
        chat = self._services.chat
        request = SendRequest(
            content=(TextPart(text),),
            bot=self._bot.slug,
            session_id=self._session_id,
            identity=self._identity,
            wants_stream=True,
        )
        try:
            started = await chat.send(self._principal, request)
            self._session_id, self._running = started.turn.session_id, started.turn.id
            await self._while_attended(self._follow(started))
        except RequestError as error:
            self.output.has_failed = True
            click.echo(f"error: {error.message}", err=True)
        finally:
            self._running = None
            if self._cancelling is not None:
                await self._cancelling
                self._cancelling = None

    async def _follow(self, started: Started) -> None:
        async for numbered in self._services.chat.events(self._principal, started):
            self.output.show(numbered.event)

    async def _while_attended(self, following: Coroutine[Any, Any, None]) -> None:
        """Follow a turn; raises Unavailable when the process that should run it is gone."""
        task = asyncio.create_task(following)
        try:
            while not (await asyncio.wait((task,), timeout=ATTENDED_CHECK_S))[0]:
                if self._is_attended is not None and not await self._is_attended():
                    raise Unavailable(NOBODY_THERE, retry_after_s=ATTENDED_CHECK_S)
            task.result()
        finally:
            task.cancel()

    async def _cancel(self, turn_id: TurnId) -> None:
        with suppress(RequestError):
            await self._services.chat.cancel(self._principal, turn_id)

    async def _greet(self) -> None:
        """Say who answers, and show the end of an earlier talk again."""
        click.echo(f"{self._bot.name}. Ctrl-C stops an answer, Ctrl-D leaves.")
        if self._session_id is None:
            click.echo(self._bot.greeting)
            return
        page = Page(limit=SHOWN_BEFORE)
        listing = await self._services.history.messages(
            self._principal, self._session_id, page=page
        )
        click.echo(f"(going on with {self._session_id}; --new begins anew)")
        for message in reversed(listing.items):
            speaker = "you" if message.role == "user" else message.agent or message.role
            click.echo(f"{speaker}: {message.text}")
