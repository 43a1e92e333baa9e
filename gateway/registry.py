"""Kinds of channels: finds their classes by entry point and makes instances of those configured.

A package offers a kind by an entry point of the group `gateway.channels`, named after the kind. A
class is imported when a channel of its kind is configured, never before: platform libraries are
large. Knows no kind by name and connects to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Protocol

from pydantic import BaseModel, ValidationError

from gateway.contract import Channel
from gateway.domain.channels import ChannelSpec
from gateway.errors import ConfigError
from gateway.flow.catalogue import ChannelBinding

ENTRY_POINT_GROUP = "gateway.channels"


class EntryPoint(Protocol):
    """What is used of `importlib.metadata.EntryPoint`."""

    @property
    def value(self) -> str:
        """Where the object is: `module:name`."""
        ...

    def load(self) -> object:
        """The object; raises ImportError, AttributeError."""
        ...


class Registry:
    """The kinds of channels there are.

    `classes` given = these and no others (tests, embedding); else the installed entry points.
    """

    def __init__(self, classes: Mapping[str, type[Channel]] | None = None) -> None:
        self._classes = dict(classes or {})
        self._is_open = classes is None

    @cached_property
    def _installed(self) -> Mapping[str, EntryPoint]:
        if not self._is_open:
            return {}
        # Here and not above: looking through the installed packages is for those with channels.
        from importlib.metadata import entry_points  # noqa: PLC0415

        return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind that may be configured, sorted."""
        return tuple(sorted({*self._classes, *self._installed}))

    def channel_class(self, kind: str) -> type[Channel]:
        """The class of that kind, imported now if it was not yet.

        Raises LookupError with a sentence when there is none or it cannot be used.
        """
        if kind not in self._classes:
            self._classes[kind] = self._import(kind)
        return self._classes[kind]

    def settings_model(self, kind: str) -> type[BaseModel]:
        """What the channels of that kind may set; raises LookupError as `channel_class`."""
        return self.channel_class(kind).settings_model

    def bind(self, specs: Iterable[ChannelSpec], *, public_url: str) -> dict[str, ChannelBinding]:
        """An adapter for every channel that is switched on, by name; connects to nothing.

        Raises ConfigError when a channel does not fit its kind (after `load` with
        `settings_model`, none does).
        """
        return {
            spec.name: self._bind(spec, public_url=public_url) for spec in specs if spec.is_enabled
        }

    def _bind(self, spec: ChannelSpec, *, public_url: str) -> ChannelBinding:
        try:
            made = self.channel_class(spec.kind)
            settings = made.settings_model.model_validate(dict(spec.own))
        except LookupError as error:
            raise ConfigError(f"channel {spec.name}: {error.args[0]}") from error
        except ValidationError as error:
            raise ConfigError(f"channel {spec.name}: {_first_problem(error)}") from error
        return bound(made(spec.name, settings, public_url=public_url), spec)

    def _import(self, kind: str) -> type[Channel]:
        if kind not in self._installed:
            raise LookupError(f'there is no kind of channel "{kind}"; {self._suggestion(kind)}')
        point = self._installed[kind]
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise LookupError(
                f'channels of kind "{kind}" cannot be used here: {point.value}: {error}'
            ) from error
        if not (isinstance(found, type) and issubclass(found, Channel)):
            raise LookupError(  # noqa: TRY004 - one error for every kind that cannot be used
                f'the entry point of kind "{kind}", {point.value}, is no Channel'
            )
        return found

    def _suggestion(self, kind: str) -> str:
        if not self.kinds:
            return "none is installed; run pip install bot-gateway"
        # Here and not above: it is for files with mistakes only.
        from difflib import get_close_matches  # noqa: PLC0415

        close = get_close_matches(kind, self.kinds, n=1)
        return f'did you mean "{close[0]}"?' if close else f"known: {', '.join(self.kinds)}"


def bound(channel: Channel, spec: ChannelSpec) -> ChannelBinding:
    """That adapter with what the configuration says about its use."""
    return ChannelBinding(
        channel=channel,
        project_id=spec.project_id,
        bot=spec.bot,
        access=spec.access,
        allow=spec.allow,
        debounce_s=spec.debounce_s,
        when_busy=spec.when_busy,
        live=spec.live,
        is_required=spec.is_required,
        on_ambiguous=spec.on_ambiguous or channel.capabilities.on_ambiguous,
    )


def _first_problem(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
