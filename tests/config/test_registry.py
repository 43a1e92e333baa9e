"""Kinds of channels: found, checked by their own settings model, made into instances."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from gateway.contract import (
    Address,
    Capabilities,
    Channel,
    ChannelHost,
    Json,
    OutboundMessage,
    Receipt,
)
from gateway.domain.channels import ChannelSpec
from gateway.domain.ids import ProjectId
from gateway.errors import ConfigError
from gateway.registry import Registry
from tests.config.conftest import BOT, ConfigFile


class PigeonSettings(BaseModel):
    """What a pigeon needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr
    flock: tuple[str, ...] = ()
    receive: Literal["loft", "field"] = "loft"

    @model_validator(mode="after")
    def _field_needs_a_flock(self) -> "PigeonSettings":
        if self.receive == "field" and not self.flock:
            raise ValueError('receive = "field" needs a flock')
        return self


class PigeonChannel(Channel):
    """A channel that does nothing, and is made like any other."""

    kind = "pigeon"
    settings_model = PigeonSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(on_ambiguous="hold")

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        yield

    def render(self, message: OutboundMessage) -> list[Json]:
        return [{"text": message.text}]

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        return Receipt()


REGISTRY = Registry({"pigeon": PigeonChannel})
CHANNEL = '[[channels]]\nname = "p"\nkind = "pigeon"\nbot = "support"\n'


def problems(config_file: ConfigFile, channel: str) -> Sequence[str]:
    """What is wrong with a channel that starts in line 12."""
    return config_file.problems(BOT + "\n" + channel, settings_model_of=REGISTRY.settings_model)


def spec(**changes: object) -> ChannelSpec:
    """A channel as the configuration gives it."""
    values: dict = {"name": "p", "kind": "pigeon", "bot": "b", "project_id": ProjectId("x")}
    return ChannelSpec(**{**values, "own": {"token": "t"}, **changes})


def test_a_missing_key_of_the_kind_is_told_at_the_table(config_file: ConfigFile) -> None:
    assert problems(config_file, CHANNEL) == ["12: channels.token: is missing and has no default"]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ('tokn = "x"', 'channels.tokn: this version knows no such key; did you mean "token"?'),
        (
            "requird = true",
            'channels.requird: this version knows no such key; did you mean "required"?',
        ),
        ('receive = "sky"', 'channels.receive: must be one of "loft" or "field"'),
        ('own = "x"', "channels.own: this version knows no such key; the nearest valid key is"),
    ],
)
def test_a_wrong_key_of_the_kind_is_told_with_its_line(
    config_file: ConfigFile, key: str, problem: str
) -> None:
    (found,) = problems(config_file, CHANNEL + f'token = "t"\n{key}\n')

    assert found.startswith(f"17: {problem}")


def test_what_the_kind_says_of_itself_is_told_at_the_table(config_file: ConfigFile) -> None:
    assert problems(config_file, CHANNEL + 'token = "t"\nreceive = "field"\n') == [
        '12: channels: receive = "field" needs a flock'
    ]


def test_an_unknown_kind_is_told_with_the_nearest_one(config_file: ConfigFile) -> None:
    (found,) = problems(config_file, CHANNEL.replace("pigeon", "pidgeon"))

    assert found == (
        '14: channels.kind: there is no kind of channel "pidgeon"; did you mean "pigeon"?'
    )


def test_a_secret_of_a_channel_is_refused_from_a_file_others_may_read(
    config_file: ConfigFile,
) -> None:
    file = config_file.path.parent / "token"
    file.touch(mode=0o644)
    file.chmod(0o644)

    (found,) = problems(config_file, CHANNEL + 'token = "file:token"\n')

    assert found.startswith(f"16: channels.token: {file} holds a secret and others may read it")


def test_mistakes_of_channels_and_of_the_rest_are_told_together(config_file: ConfigFile) -> None:
    found = problems(config_file, CHANNEL.replace("support", "suport"))

    assert [problem.split(": ")[1] for problem in found] == ["channels.token", "channels.bot"]


def test_a_channel_that_is_off_needs_no_key_of_its_kind(config_file: ConfigFile) -> None:
    text = BOT + CHANNEL + "enabled = false\n"

    config = config_file.read(text, settings_model_of=REGISTRY.settings_model)

    assert REGISTRY.bind(config.channels(), public_url="http://x") == {}


def test_a_channel_is_made_with_its_settings_and_rules() -> None:
    bound = REGISTRY.bind(
        [spec(allow=frozenset({"7"}), access="allow", live="off", own={"token": "t", "flock": []})],
        public_url="https://x.example",
    )

    made = bound["p"]

    assert isinstance(made.channel, PigeonChannel)
    assert (made.channel.name, made.channel.public_url) == ("p", "https://x.example")
    assert isinstance(made.channel.settings, PigeonSettings)
    assert (made.bot, made.project_id, made.access) == ("b", "x", "allow")
    assert made.live == "off"
    assert made.on_ambiguous == "hold"


def test_what_happens_after_a_doubtful_send_can_be_set() -> None:
    bound = REGISTRY.bind([spec(on_ambiguous="resend")], public_url="http://x")

    assert bound["p"].on_ambiguous == "resend"


def test_a_channel_that_does_not_fit_is_refused_without_its_values() -> None:
    with pytest.raises(ConfigError, match=r"channel p: receive: ") as caught:
        REGISTRY.bind([spec(own={"token": "canary", "receive": "canary"})], public_url="http://x")

    assert "canary" not in str(caught.value)


def test_installed_kinds_are_known_without_being_imported() -> None:
    assert "telegram" in Registry().kinds


def test_without_any_kind_the_remedy_is_to_install() -> None:
    with pytest.raises(LookupError, match="none is installed; run pip install bot-gateway"):
        Registry({}).settings_model("telegram")
