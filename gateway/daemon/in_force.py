"""The configuration in force: the bots, channels and models that new turns begin with.

`InForce` holds one `Setup` and replaces it as a whole. A turn that runs keeps what it began with,
so models outlive their setup: whoever replaced it closes them once no such turn is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.agents.model import Model
from gateway.agents.models import build_models, build_transcriber
from gateway.agents.transcriber import Transcriber
from gateway.config.values import Config
from gateway.daemon.catalogue import bind_again, load_bots, load_tables, thinking
from gateway.flow.attempt import Think
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.http_client import HttpClient
from gateway.registry import Registry
from gateway.store.protocol import Store

Models = Mapping[str, Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One configuration, made ready to work."""

    config: Config
    catalogue: Catalogue
    models: Models
    think: Think
    transcriber: Transcriber | None = None


class InForce:
    """Holds the setup in force. Close it: its models keep connections."""

    def __init__(self, setup: Setup, store: Store, *, http: HttpClient) -> None:
        self._setup = setup
        self._store = store
        self._http = http
        self._open: list[Models] = [setup.models]

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._setup.config

    def catalogue(self) -> Catalogue:
        """Bots and channels in force."""
        return self._setup.catalogue

    def think(self) -> Think:
        """How bots of the catalogue in force think."""
        return self._setup.think

    def transcriber(self) -> Transcriber | None:
        """Who puts voice notes into text, if anybody does."""
        return self._setup.transcriber

    async def replace(self, config: Config) -> Models | None:
        """Let new turns begin with that configuration; its channels are those at work.

        Gives the models that nothing new uses any more, to be closed with `close`. Raises
        ConfigError and StoreError, and then nothing has changed.
        """
        old = self._setup
        is_same = config.models() == old.config.models()
        self._setup = await _setup(
            config,
            self._store,
            channels=bind_again(old.catalogue.channels, config),
            models=old.models if is_same else None,
            http=self._http,
        )
        if is_same:
            return None
        self._open.append(self._setup.models)
        return old.models

    async def close(self, models: Models) -> None:
        """Close models that `replace` gave back."""
        for model in models.values():
            await model.aclose()
        self._open.remove(models)

    async def aclose(self) -> None:
        """Close all models that are still open."""
        while self._open:
            await self.close(self._open[-1])


async def put_in_force(
    config: Config, store: Store, *, registry: Registry, http: HttpClient
) -> InForce:
    """The first setup of a process, with an adapter for every channel that is switched on."""
    channels = registry.bind(config.channels(), public_url=config.settings.server.shown_url)
    return InForce(await _setup(config, store, channels=channels, http=http), store, http=http)


async def _setup(
    config: Config,
    store: Store,
    *,
    channels: Mapping[str, ChannelBinding],
    models: Models | None = None,
    http: HttpClient,
) -> Setup:
    """Make it ready; `models` None = make new ones, last, so that an error leaves none open."""
    tools = load_tables(config.bots(), http=http)
    bots = await load_bots(config, store)
    if models is None:
        models = build_models(config.models(), config.policy().model)
    return Setup(
        config=config,
        catalogue=Catalogue(bots=bots, channels=channels),
        models=models,
        think=thinking(tools, models),
        transcriber=build_transcriber(config.transcription(), config.policy().model),
    )
