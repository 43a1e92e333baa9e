"""A configuration in a file of its own, read with an environment of the test's own."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config.load import SettingsModelOf, load
from gateway.config.values import Config
from gateway.errors import ConfigError

BOT = """
[models.demo]
provider = "scripted"

[[bots]]
slug = "support"
model = "demo"

[[bots.agents]]
name = "Desk"
"""


class ConfigFile:
    """`config.toml` in a folder: written, then read or refused."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.toml"

    def read(
        self,
        text: str,
        *,
        settings_model_of: SettingsModelOf | None = None,
        imports_functions: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Config:
        """The configuration in that text."""
        self.path.write_text(text)
        return load(
            self.path,
            settings_model_of=settings_model_of,
            imports_functions=imports_functions,
            environment=environment or {},
        )

    def problems(
        self,
        text: str,
        *,
        settings_model_of: SettingsModelOf | None = None,
        imports_functions: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> list[str]:
        """What is wrong with that text, each as `LINE: KEY: sentence`."""
        with pytest.raises(ConfigError) as caught:
            self.read(
                text,
                settings_model_of=settings_model_of,
                imports_functions=imports_functions,
                environment=environment,
            )
        return [problem.removeprefix(f"{self.path}:") for problem in caught.value.problems]


@pytest.fixture
def config_file(tmp_path: Path) -> ConfigFile:
    """A configuration file in a folder of its own."""
    return ConfigFile(tmp_path)
