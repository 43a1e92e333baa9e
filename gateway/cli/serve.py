"""`bot-gateway serve`: the daemon in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.call import Call, config_option, examples
from gateway.cli.configuration import read_whole_config
from gateway.config.values import Config
from gateway.daemon.life import serve
from gateway.daemon.parts import Parts
from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.telemetry.logs import configure_logs


@click.command(
    "serve",
    epilog=examples(
        "bot-gateway serve --config /etc/bot-gateway/config.toml",
        "bot-gateway serve --demo --config config.example.toml",
    ),
)
@click.option("--demo", is_flag=True, help="Make a demo key and print how to try everything out.")
@config_option
@click.pass_obj
def command(call: Call, demo: bool) -> None:
    """Run the gateway in the foreground.

    SIGTERM or Ctrl-C lets running turns finish (up to server.drain_s), a second one ends at once.
    SIGHUP reads the configuration again. Logs go to standard error.
    """
    registry = Registry()
    config = read_whole_config(call, registry)
    settings = config.settings.log
    configure_logs(level=settings.level, log_format=settings.format, shows_content=settings.content)
    call.keeps_log = True
    asyncio.run(_serve(config, registry, is_demo=demo))


async def _serve(config: Config, registry: Registry, *, is_demo: bool) -> None:
    async with asyncio.TaskGroup() as tasks:

        def tell(parts: Parts) -> None:
            tasks.create_task(_tell(config, parts))

        await serve(config, registry=registry, on_ready=tell if is_demo else None)


async def _tell(config: Config, parts: Parts) -> None:
    # Here and not above: a gateway that is no demo does without it.
    from gateway.cli.demo import announce, default_bot, fresh_key

    bot = default_bot(config)
    if bot is None:
        raise ConfigError(f"{config.path}: there is no bot to show; add [[bots]]")
    announce(config, bot, key=await fresh_key(parts.services.keys, bot.project_id))
