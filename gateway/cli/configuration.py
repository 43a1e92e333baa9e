"""Reads the configuration for a command."""

from __future__ import annotations

from gateway.cli.call import Call
from gateway.config.load import find_config, load
from gateway.config.values import Config
from gateway.registry import Registry
from gateway.telemetry.logs import configure_logs


def read_config(call: Call) -> Config:
    """What a command beside the daemon needs to know: channels' own keys are not looked at.

    So a mistake in a channel stops no operator, and no platform's library is imported. Logs are
    kept quiet: the output belongs to the command. Raises ConfigError.
    """
    config = load(find_config(call.config_path))
    configure_logs(level="error", log_format=config.settings.log.format)
    return config


def read_whole_config(call: Call, registry: Registry) -> Config:
    """The configuration as a start would read it, with everything checked; raises ConfigError."""
    return load(
        find_config(call.config_path),
        settings_model_of=registry.settings_model,
        imports_functions=True,
    )
