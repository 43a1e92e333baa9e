"""Bots, agents, tools and models as they stand in the configuration file."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, model_validator

from gateway.config.fields import (
    STRICT,
    Amount,
    Count,
    HttpUrl,
    Name,
    Object,
    Positive,
    Seconds,
    Text,
)
from gateway.domain.scripted import ScriptedFailure, ScriptedRule

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class AgentSettings(BaseModel):
    """One of `[[bots.agents]]`. Without a `model` it uses that of its bot."""

    model_config = STRICT

    name: Annotated[str, Field(min_length=1, max_length=100)]
    instructions: str = ""
    description: str = ""
    model: Text | None = None
    handoffs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    control: Literal["retain", "relinquish_to_parent", "relinquish_to_start"] = "retain"
    visibility: Literal["external", "internal"] = "external"
    kind: Literal["conversation", "post_process", "escalation"] = "conversation"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Positive | None = None
    parameters: Object = Field(default_factory=dict)


class BotSettings(BaseModel):
    """One of `[[bots]]`. `start_agent` is the first agent when left out, `name` the slug."""

    model_config = STRICT

    slug: Name
    id: UUID | None = None
    project: Text | None = None
    name: Text | None = None
    description: str = ""
    default: bool = False
    start_agent: Text | None = None
    model: Text | None = None
    greeting: str = "How can I help you today?"
    suggestions: tuple[Text, ...] = ()
    apology: Text = "Sorry, something went wrong on our side. Please try again."
    max_hops: Count = 10
    max_tool_calls: Count = 25
    turn_timeout_s: Seconds = 300
    window_tokens: Positive = 8_000
    session_idle_h: Amount = 0
    agents: Annotated[tuple[AgentSettings, ...], Field(min_length=1)]


class ToolSettings(BaseModel):
    """One of `[tools.*]`: what a model may call, and how it is run."""

    model_config = STRICT

    kind: Literal["client", "http", "python"]
    description: str = ""
    access: Literal["read", "write", "admin"] = "read"
    parameters: Object = Field(default_factory=lambda: {"type": "object", "properties": {}})
    url: HttpUrl | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    function: str | None = None
    timeout_s: Seconds = 20
    max_bytes: Positive = 1_048_576
    idempotent: bool = False
    allow_private_network: bool = False

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> ToolSettings:
        if (self.kind == "http") != (self.url is not None):
            raise ValueError('a tool of kind "http", and no other, has a url')
        if (self.kind == "python") != (self.function is not None):
            raise ValueError('a tool of kind "python", and no other, has a function')
        if self.function is not None and not _FUNCTION.fullmatch(self.function):
            raise ValueError('function must be "module:name", like "bank.tools:get_balance"')
        if self.kind != "http" and (self.headers or self.allow_private_network):
            raise ValueError('headers and allow_private_network belong to kind "http"')
        if self.parameters.get("type") != "object":
            raise ValueError('parameters must be a JSON Schema with type = "object"')
        return self


class RuleSettings(BaseModel):
    """One rule of a scripted model."""

    model_config = STRICT

    text: str | None = None
    agent: Text | None = None
    tool: Text | None = None
    reply: str | None = None
    call: Text | None = None
    arguments: Object = Field(default_factory=dict)
    handoff: Text | None = None
    delay_s: Amount = 0
    chunk_delay_s: Amount = 0
    fail: ScriptedFailure | None = None

    @model_validator(mode="after")
    def _makes_a_rule(self) -> RuleSettings:
        self.rule()
        return self

    def rule(self) -> ScriptedRule:
        """The rule as a domain value; raises ValueError when it makes no sense."""
        return ScriptedRule(**{name: getattr(self, name) for name in RuleSettings.model_fields})


class TranscriptionSettings(BaseModel):
    """`[transcription]`: who puts voice notes into text; nobody, unless `model` is named."""

    model_config = STRICT

    base_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    model: Text | None = None

    @model_validator(mode="after")
    def _names_a_model(self) -> TranscriptionSettings:
        if self.model is None and (self.base_url is not None or self.api_key is not None):
            raise ValueError("transcription needs a model: its name at the endpoint")
        return self


class ModelSettings(BaseModel):
    """One of `[models.*]`."""

    model_config = STRICT

    provider: Literal["openai", "scripted"]
    base_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    model: Text | None = None
    fallback: tuple[str, ...] = ()
    context_tokens: Positive = 32_000
    images: bool = False
    max_concurrent: Count = 0
    price_input: Amount = 0
    price_output: Amount = 0
    rules: tuple[RuleSettings, ...] = ()

    @model_validator(mode="after")
    def _keys_fit_the_provider(self) -> ModelSettings:
        if self.provider == "openai":
            if self.model is None:
                raise ValueError('provider "openai" needs a model: its name at the endpoint')
            if self.rules:
                raise ValueError('rules belong to provider "scripted"')
        elif self.base_url is not None or self.api_key is not None or self.model is not None:
            raise ValueError('base_url, api_key and model belong to provider "openai"')
        return self
