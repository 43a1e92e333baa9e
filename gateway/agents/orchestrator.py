"""One turn of thinking: model -> tools -> hand-off -> ... -> reply, as one stream of events.

Takes a bot, its transcript and what can answer and act; yields `TurnEvent`s, the last of which is
exactly one `TurnFinished`, `TurnWaiting` or `TurnFailed`. A caller that does not stream drains it.
Stores and sends nothing. Closing the generator stops the model call.

How the kinds of agents differ:

- *external*: the text is shown as it comes, and ends the turn. Text beside tool calls is a message
  of its own, before the (internal) message that carries the calls.
- *internal*: the text is never shown; it goes, as an internal message with a hand-off, to the agent
  on the way back that talks to the person, and that one goes on within the turn.
- *post-process*: where a bot has one, the final text of the talking agent becomes an internal
  draft, and only the rewritten text is streamed and shown, in the name of the talking agent: a
  person meets no editor. Text beside tool calls stays internal.
  If the rewriting fails, the turn fails: a draft is never shown in its place.
- *escalation*: talks like an ordinary agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from gateway.agents.answer import (
    Answer,
    LimitReached,
    handoff_message,
    listen,
    out_of_time,
    tool_message,
)
from gateway.agents.calls import TurnCalls
from gateway.agents.journal import TurnJournal
from gateway.agents.model import Model, ModelRequest
from gateway.agents.offers import offered_tools
from gateway.agents.prompt import Prompt, build_prompt, rewrite_prompt
from gateway.agents.routing import first_agent, handoff_targets, next_agent, parents, way_back
from gateway.agents.tools.context import ToolContext
from gateway.agents.tools.table import ToolTable
from gateway.agents.waiting import answers_of_caller, calls_since_user
from gateway.domain.bots import Agent, Bot, ToolSpec, handoff_tool_name
from gateway.domain.conversation import Message, ToolCall, Usage
from gateway.domain.ids import ParticipantId, SessionId
from gateway.domain.turns import (
    HandedOff,
    MessageCompleted,
    ToolCalled,
    ToolReturned,
    TurnError,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnOptions,
    TurnWaiting,
)
from gateway.errors import ModelError

Events = AsyncGenerator[TurnEvent, None]

NOTHING_TO_REPORT = "(nothing to report)"
ONE_AT_A_TIME = '{"error": "not handed over: one step at a time"}'


def run_turn(
    bot: Bot,
    history: Sequence[Message],
    *,
    models: Mapping[str, Model],
    tools: ToolTable,
    journal: TurnJournal,
    options: TurnOptions | None = None,
    agent: str | None = None,
    state: Mapping[str, Any] | None = None,
    session_id: SessionId | None = None,
    participant_id: ParticipantId | None = None,
    caller_tools: Sequence[ToolSpec] = (),
    wants_stream: bool = True,
    deadline: float | None = None,
    request_id: str | None = None,
) -> Events:
    """The events of one turn.

    `history` is oldest first and ends with what is to be answered. `agent` is who answered last and
    kept the talk; `options.agent` goes before it. `caller_tools` are tools of this call that its
    caller runs, offered to the first agent. `wants_stream` False lets models answer in one piece.
    `deadline` is on the clock of the event loop; the limits of bot and options count from now.

    Raises nothing of its own; errors of the journal pass through.
    """
    options = options or TurnOptions()
    loop_time = asyncio.get_running_loop().time()
    limits = [loop_time + bot.turn_timeout_s]
    limits += [loop_time + options.timeout_s] if options.timeout_s else []
    limits += [deadline] if deadline is not None else []
    first = first_agent(bot, (options.agent, agent))
    context = ToolContext(
        project_id=bot.project_id,
        bot=bot.slug,
        idempotency_key="",
        session_id=session_id,
        participant_id=participant_id,
        context=options.context,
    )
    run = _Run(
        bot=bot,
        transcript=list(history),
        models=models,
        tools=tools,
        calls=TurnCalls(tools, journal, context=context),
        options=options,
        state=state or {},
        caller_tools={spec.name: spec for spec in caller_tools},
        deadline=min(limits),
        wants_stream=wants_stream,
        request_id=request_id,
        agent=first,
        first=first,
        calls_made=calls_since_user(history),
    )
    return run.events()


@dataclass(slots=True, kw_only=True)
class _Run:
    bot: Bot
    transcript: list[Message]
    models: Mapping[str, Model]
    tools: ToolTable
    calls: TurnCalls
    options: TurnOptions
    state: Mapping[str, Any]
    caller_tools: Mapping[str, ToolSpec]
    deadline: float
    wants_stream: bool
    request_id: str | None
    agent: Agent
    first: Agent
    calls_made: int
    hops: int = 0
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    has_shown_text: bool = False
    answer: Answer | None = None
    known_parents: dict[str, str] | None = None

    async def events(self) -> Events:
        """The loop, with whatever ends it early."""
        try:
            async with aclosing(self._rounds()) as events:
                async for event in events:
                    yield event
        except (ModelError, LimitReached) as error:
            for event in self._given_up(error):
                yield event

    async def _rounds(self) -> Events:
        for message, is_ok in answers_of_caller(self.transcript, self.options.tool_results):
            yield ToolReturned(message.tool_call_id or "", message.tool_name or "", is_ok=is_ok)
            yield self._keep(message)
        while True:
            agent = self.agent
            back_to = self._back_to(agent)
            is_drafting = back_to is not None or self.bot.post_process is not None
            answer = Answer(agent.name, is_shown=not is_drafting)
            async with aclosing(self._ask(agent, self._prompt(agent), answer)) as events:
                async for event in events:
                    yield event
            if answer.calls:
                async with aclosing(self._act(agent, answer)) as events:
                    async for event in events:
                        yield event
                        if isinstance(event, TurnWaiting):
                            return
            elif back_to is not None:
                for event in self._give_back(answer, to=back_to):
                    yield event
            else:
                async with aclosing(self._finish(agent, answer)) as events:
                    async for event in events:
                        yield event
                return

    # ------------------------------------------------------------ asking a model

    def _prompt(self, agent: Agent) -> Prompt:
        return build_prompt(
            agent,
            self.transcript,
            window_tokens=self.bot.window_tokens,
            context=self.options.context,
            state=self.state,
        )

    async def _ask(self, agent: Agent, prompt: Prompt, answer: Answer) -> Events:
        model = self.models.get(agent.model)
        if model is None:
            raise ModelError("The model of this agent is not configured.", transient=False)
        self.answer = answer
        request = ModelRequest(
            agent=agent.name,
            messages=prompt,
            tools=self._offers(agent),
            temperature=agent.temperature,
            max_tokens=agent.max_tokens,
            parameters=agent.parameters,
            request_id=self.request_id,
            wants_stream=self.wants_stream and answer.is_shown,
            deadline=self.deadline,
        )
        listening = listen(model, request, answer=answer, deadline=self.deadline)
        async with aclosing(listening):
            async for event in listening:
                yield event
        self.usage += answer.usage or Usage()
        self.model = answer.model

    def _offers(self, agent: Agent) -> list[Mapping[str, Any]]:
        return offered_tools(
            self.bot,
            agent,
            self.tools,
            with_client_tools=self.options.client_tools,
            caller_tools=self.caller_tools.values() if agent is self.first else (),
        )

    # ------------------------------------------------------------ ending

    async def _finish(self, agent: Agent, answer: Answer) -> Events:
        editor = self.bot.post_process
        if not answer.text:
            if not self.has_shown_text:
                raise ModelError("The model gave an empty answer.", transient=True)
        elif editor is None:
            yield self._keep(answer.message(is_incomplete=answer.was_cut))
        else:
            yield self._keep(answer.message(is_internal=True))
            final = Answer(agent.name, is_shown=True)
            prompt = rewrite_prompt(editor, answer.text)
            async with aclosing(self._ask(editor, prompt, final)) as events:
                async for event in events:
                    yield event
            if not final.text:
                raise ModelError("The model gave an empty answer.", transient=True)
            answer.was_cut = answer.was_cut or final.was_cut
            yield self._keep(final.message(is_incomplete=answer.was_cut))
        yield self._finished(agent, is_incomplete=answer.was_cut)

    def _finished(self, agent: Agent, *, is_incomplete: bool) -> TurnFinished:
        return TurnFinished(
            final_agent=agent.name,
            next_agent=next_agent(self.bot, agent, self._parents()),
            usage=self.usage,
            model=self.model,
            is_incomplete=is_incomplete,
        )

    def _given_up(self, error: ModelError | LimitReached) -> list[TurnEvent]:
        """The last events of a turn that broke off; text that was shown is kept at a limit."""
        is_transient = isinstance(error, ModelError) and error.transient
        answer = self.answer
        events: list[TurnEvent] = []
        if isinstance(error, LimitReached):
            if answer is not None and answer.is_started and answer.text:
                events.append(self._keep(answer.message(is_incomplete=True)))
            if self.has_shown_text:
                return [*events, self._finished(self.agent, is_incomplete=True)]
        is_retryable = is_transient or error.code == "turn_timeout"
        failure = TurnError(error.code, error.message, is_retryable=is_retryable)
        return [TurnFailed(failure, self.usage, is_transient=is_transient)]

    # ------------------------------------------------------------ tools and hand-offs

    async def _act(self, agent: Agent, answer: Answer) -> Events:
        """Run the calls of one answer in the model's order; those of the caller come last."""
        targets = handoff_targets(self.bot, agent)
        for_caller = tuple(call for call in answer.calls if self._is_for_caller(agent, call))
        own = tuple(call for call in answer.calls if call not in for_caller)
        self._check_limit(sum(call.name not in targets for call in answer.calls))
        if answer.text:
            yield self._keep(answer.message(is_internal=not answer.is_shown))
        if own:
            yield self._keep(answer.calling(own, has_usage=not for_caller))
        target: Agent | None = None
        for call in own:
            wanted = targets.get(call.name)
            if wanted is None:
                async with aclosing(self._run_tool(agent, call)) as events:
                    async for event in events:
                        yield event
            elif target is not None or for_caller:
                yield self._keep(tool_message(call, ONE_AT_A_TIME))
            else:
                target = wanted
                yield self._keep(handoff_message(call, target))
        if for_caller:
            yield self._keep(answer.calling(for_caller))
            yield TurnWaiting(for_caller, agent.name, agent.name, self.usage, self.model)
        elif target is not None:
            yield self._hand_off(agent, target)

    async def _run_tool(self, agent: Agent, call: ToolCall) -> Events:
        yield ToolCalled(call, agent.name)
        try:
            async with asyncio.timeout_at(self.deadline):
                result = await self.calls.run(call, allowed=agent.tools)
        except TimeoutError as error:
            raise out_of_time() from error
        yield ToolReturned(call.id, call.name, is_ok=result.is_ok)
        yield self._keep(tool_message(call, result.text))

    def _is_for_caller(self, agent: Agent, call: ToolCall) -> bool:
        if call.name in agent.tools:
            return self.options.client_tools and self.bot.tools[call.name].kind == "client"
        return agent is self.first and call.name in self.caller_tools

    def _check_limit(self, calls: int) -> None:
        self.calls_made += calls
        if self.calls_made > self.bot.max_tool_calls:
            raise LimitReached(
                f"The turn reached max_tool_calls ({self.bot.max_tool_calls}).", code="step_limit"
            )

    def _hand_off(self, agent: Agent, target: Agent) -> HandedOff:
        self.hops += 1
        if self.hops > self.bot.max_hops:
            raise LimitReached(
                f"The turn reached max_hops ({self.bot.max_hops}).", code="step_limit"
            )
        self._parents()[target.name] = agent.name
        self.agent = target
        return HandedOff(agent.name, target.name)

    def _give_back(self, answer: Answer, *, to: Agent) -> list[TurnEvent]:
        call = ToolCall(f"call_{answer.message_id}", handoff_tool_name(to.name), "{}")
        said = answer.calling((call,), text=answer.text or NOTHING_TO_REPORT)
        events: list[TurnEvent] = [self._keep(said), self._keep(handoff_message(call, to))]
        events.append(HandedOff(self.agent.name, to.name))
        self.agent = to
        return events

    def _back_to(self, agent: Agent) -> Agent | None:
        """Whom an internal agent reports to; None = it talks to the person."""
        if agent.visibility == "external":
            return None
        return way_back(self.bot, agent, self._parents())

    def _parents(self) -> dict[str, str]:
        if self.known_parents is None:
            self.known_parents = parents(self.bot, self.transcript)
        return self.known_parents

    def _keep(self, message: Message) -> MessageCompleted:
        self.transcript.append(message)
        if message.role == "assistant" and message.visibility == "external":
            self.has_shown_text = True
        if self.answer is not None and message.id == self.answer.message_id:
            self.answer = None
        return MessageCompleted(message)
