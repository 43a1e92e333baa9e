"""Models as the configuration names them: which provider, where, with what limits and prices.

Pure values; `agents` turns each into something that answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.domain.scripted import ScriptedRule

ModelProvider = Literal["openai", "scripted"]


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that never prints itself; `reveal` is the one way to it.

    >>> Secret("sk-1"), f"{Secret('sk-1')}", Secret("sk-1").reveal()
    (Secret(***), 'Secret(***)', 'sk-1')
    """

    _text: str

    def reveal(self) -> str:
        """The text itself: only for the call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One entry of `[models.*]`.

    `base_url`, `api_key` and `model` belong to provider openai, `rules` to provider scripted.
    `fallback` names other models, tried in order when this one is down. `max_concurrent` 0 =
    unbounded. Prices are per million tokens.
    """

    name: str
    provider: ModelProvider
    base_url: str | None = None
    api_key: Secret | None = None
    model: str = ""
    fallback: tuple[str, ...] = ()
    context_tokens: int = 32_000
    images: bool = False
    max_concurrent: int = 0
    price_input: float = 0
    price_output: float = 0
    rules: tuple[ScriptedRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionSpec:
    """`[transcription]`: the endpoint that turns voice notes into text."""

    base_url: str
    model: str
    api_key: Secret | None = None
