"""From configured models to models that answer; called once for each configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from gateway.agents.breaker import Breaker, Slots
from gateway.agents.failover import Endpoint, FailoverModel
from gateway.agents.model import Model
from gateway.agents.scripted_model import ScriptedModel
from gateway.agents.transcriber import Transcriber
from gateway.domain.models import ModelSpec, TranscriptionSpec
from gateway.domain.policy import ModelPolicy
from gateway.errors import ConfigError


def build_models(
    specs: Mapping[str, ModelSpec], policy: ModelPolicy, *, used: Collection[str] | None = None
) -> Mapping[str, Model]:
    """The used models (None = all) and their fallbacks, by name; each has to be closed.

    Call it inside the running loop. Raises ConfigError when a name is no model.
    """
    wanted = list(dict.fromkeys(specs if used is None else used))
    for name in tuple(wanted):
        wanted += [other for other in _spec(specs, name).fallback if other not in wanted]
    endpoints = {name: _endpoint(_spec(specs, name), policy) for name in wanted}
    return {
        name: FailoverModel(
            [endpoints[name], *(endpoints[f] for f in specs[name].fallback if f in endpoints)],
            retry_delays_s=policy.retry_delays_s,
        )
        for name in wanted
    }


def build_transcriber(spec: TranscriptionSpec | None, policy: ModelPolicy) -> Transcriber | None:
    """The configured transcriber, or None; it holds nothing that must be closed."""
    if spec is None:
        return None
    # Here and not above: the openai package takes half a second and 30 MiB, which a
    # configuration without voice notes does not pay.
    from gateway.agents.transcribe import OpenAITranscriber  # noqa: PLC0415

    return OpenAITranscriber(spec, policy)


def _spec(specs: Mapping[str, ModelSpec], name: str) -> ModelSpec:
    if name not in specs:
        raise ConfigError(f"there is no model named {name!r}")
    return specs[name]


def _endpoint(spec: ModelSpec, policy: ModelPolicy) -> Endpoint:
    breaker = Breaker(
        failures=policy.breaker_failures,
        open_s=policy.breaker_open_s,
        clock=asyncio.get_running_loop().time,
    )
    return Endpoint(spec.name, _model(spec, policy), breaker, Slots(spec.max_concurrent))


def _model(spec: ModelSpec, policy: ModelPolicy) -> Model:
    if spec.provider == "scripted":
        return ScriptedModel(spec.rules, name=spec.name)
    # Here and not above: the openai package takes half a second and 30 MiB, which a
    # configuration without such a model does not pay.
    from gateway.agents.openai_model import OpenAIModel  # noqa: PLC0415

    return OpenAIModel(spec, policy)
