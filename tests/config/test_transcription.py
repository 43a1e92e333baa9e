"""`[transcription]`: who puts voice notes into text; and whether a bot is shown pictures."""

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.values import Config
from gateway.errors import ConfigError

BOT = """
[models.blind]
provider = "scripted"
rules = [{ reply = "Hello." }]

[models.seeing]
provider = "openai"
model = "m"
images = true

[[bots]]
slug = "support"
model = "blind"
[[bots.agents]]
name = "Desk"
[[bots.agents]]
name = "Looker"
model = "blind"
"""


def config(folder: Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return load(path)


def test_nobody_listens_unless_it_is_configured(tmp_path: Path) -> None:
    assert config(tmp_path, BOT).transcription() is None


def test_an_endpoint_is_taken_as_it_stands(tmp_path: Path) -> None:
    section = '[transcription]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "w"\napi_key = "sk-1"\n'

    spec = config(tmp_path, section + BOT).transcription()

    assert spec is not None
    assert (spec.base_url, spec.model) == ("http://127.0.0.1:9/v1", "w")
    assert spec.api_key is not None
    assert spec.api_key.reveal() == "sk-1"


def test_openai_is_meant_when_no_endpoint_is_named(tmp_path: Path) -> None:
    spec = config(tmp_path, '[transcription]\nmodel = "w"\n' + BOT).transcription()

    assert spec is not None
    assert spec.base_url == "https://api.openai.com/v1"


def test_an_endpoint_without_a_model_is_a_mistake(tmp_path: Path) -> None:
    section = '[transcription]\nbase_url = "http://127.0.0.1:9/v1"\n'

    with pytest.raises(ConfigError, match="transcription needs a model"):
        config(tmp_path, section + BOT)


@pytest.mark.parametrize(("looker", "takes"), [("blind", False), ("seeing", True)])
def test_a_bot_is_shown_pictures_when_one_of_its_agents_sees(
    tmp_path: Path, looker: str, takes: bool
) -> None:
    text = BOT.replace('"Looker"\nmodel = "blind"', f'"Looker"\nmodel = "{looker}"')

    (bot,) = config(tmp_path, text).bots()

    assert bot.takes_pictures is takes
