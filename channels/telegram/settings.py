"""What an operator may set for a Telegram channel.

Takes the channel's own keys of the configuration file; the common ones (name, kind, bot, access)
are the gateway's and never come here. Gives a frozen, checked model.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

_SECRET_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""Characters of a webhook secret. Bot API, setWebhook, secret_token; read November 2026."""

_TOKEN = re.compile(r"[0-9A-Za-z:_-]+")
"""Characters of a bot token: it becomes a path segment, so nothing else may stand in it."""

GroupRule = Literal["mention", "all", "off"]


class TelegramSettings(BaseModel):
    """One Telegram bot and how it is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: Annotated[SecretStr, Field(description="The bot's token, from @BotFather.")]
    receive: Annotated[
        Literal["polling", "webhook"],
        Field(description="polling needs no public address; webhook needs HTTPS at public_url."),
    ] = "polling"
    webhook_secret: Annotated[
        SecretStr | None,
        Field(description="1-256 of A-Z a-z 0-9 _ -; proves that a webhook call is Telegram's."),
    ] = None
    api_url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^/\s?#]+[^\s?#]*$",
            description="Address of the Bot API; /bot<token>/ is appended.",
        ),
    ] = "https://api.telegram.org"
    groups: Annotated[
        GroupRule,
        Field(description="In groups: answer when addressed, answer everything, or nothing."),
    ] = "mention"
    link_previews: Annotated[
        bool, Field(description="Whether links in replies unfold into a preview.")
    ] = False
    rich_messages: Annotated[
        bool, Field(description="Whether long replies go as one message with headings and tables.")
    ] = False

    @model_validator(mode="after")
    def _secrets_have_their_form(self) -> Self:
        if not _TOKEN.fullmatch(self.token.get_secret_value()):
            raise ValueError("token is empty or holds characters that no bot token has")
        secret = self.webhook_secret
        if secret is not None and not _SECRET_TOKEN.fullmatch(secret.get_secret_value()):
            raise ValueError("webhook_secret must be 1 to 256 characters of A-Z a-z 0-9 _ -")
        if self.receive == "webhook" and secret is None:
            raise ValueError('receive = "webhook" needs a webhook_secret')
        return self

    @property
    def base_url(self) -> str:
        """`api_url` without a slash at its end."""
        return self.api_url.rstrip("/")
