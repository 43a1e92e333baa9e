"""What an operator may set for a Slack channel.

Takes the channel's own keys of the configuration file; the common ones (name, kind, bot, access)
are the gateway's and never come here. Gives a frozen, checked model. An app is in one workspace by
its `bot_token`, or in any number of them by `client_id`, `client_secret` and an install page.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

NEEDED_SCOPES: Final = (
    *("app_mentions:read", "assistant:write", "chat:write", "commands", "files:read"),
    *("channels:history", "groups:history", "im:history", "mpim:history", "files:write"),
)
"""What the app needs to do everything it can. docs.slack.dev, "Scopes"; read November 2026."""

_CREDENTIAL: Final = re.compile(r"[!-~]{4,1000}")
"""Printable ASCII without spaces: it becomes part of a header."""

_SCOPE: Final = re.compile(r"[a-z_.:]{3,100}")

DmRule = Literal["channel", "thread"]


class SlackSettings(BaseModel):
    """One Slack app and how it is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    bot_token: Annotated[
        SecretStr | None, Field(description="xoxb-...: the app's token in its one workspace.")
    ] = None
    signing_secret: Annotated[
        SecretStr | None, Field(description="Slack proves with it that a call is Slack's.")
    ] = None
    app_token: Annotated[
        SecretStr | None, Field(description="xapp-...: opens the sockets of Socket Mode.")
    ] = None
    receive: Annotated[
        Literal["events", "socket"],
        Field(description="events needs HTTPS at public_url; socket needs no public address."),
    ] = "events"
    api_url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^/\s?#]+(/[^\s?#]*)?/api/?$",
            description="Address of the Web API; ends in /api/.",
        ),
    ] = "https://slack.com/api/"
    client_id: Annotated[
        str | None,
        Field(pattern=r"^[!-~]{3,200}$", description="Of the app, for installs by OAuth."),
    ] = None
    client_secret: Annotated[
        SecretStr | None, Field(description="Of the app, for installs by OAuth.")
    ] = None
    scopes: Annotated[
        tuple[str, ...], Field(description="What an install asks for; without any, what we need.")
    ] = ()
    dm_sessions: Annotated[
        DmRule,
        Field(description="Whether a direct message is one session, or each of its threads."),
    ] = "channel"
    allow_bots: Annotated[
        tuple[str, ...], Field(description="Ids of other bots (B..., U... or A...) to listen to.")
    ] = ()
    unfurl: Annotated[
        bool, Field(description="Whether links in replies unfold into a preview.")
    ] = False

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        """The app is in one workspace by its token, or in several by OAuth."""
        has_client = self.client_id is not None or self.client_secret is not None
        if self.bot_token is not None and has_client:
            raise ValueError(
                "bot_token is for one workspace, client_id and client_secret are for an install "
                "page: leave one of them out"
            )
        if has_client and (self.client_id is None or self.client_secret is None):
            raise ValueError("an install page needs both client_id and client_secret")
        if self.bot_token is None and not has_client:
            raise ValueError("bot_token is needed, or client_id and client_secret")
        if self.scopes and not has_client:
            raise ValueError("scopes belong to an install page; a bot_token has its own already")
        if wrong := [scope for scope in self.scopes if not _SCOPE.fullmatch(scope)]:
            raise ValueError(f"there is no scope {wrong[0][:50]!r}")
        return self

    @model_validator(mode="after")
    def _can_hear(self) -> Self:
        if self.receive == "events" and self.signing_secret is None:
            raise ValueError('receive = "events" needs a signing_secret')
        if self.receive == "socket" and self.app_token is None:
            raise ValueError('receive = "socket" needs an app_token')
        return self

    @model_validator(mode="after")
    def _secrets_have_their_form(self) -> Self:
        for name in ("bot_token", "app_token", "signing_secret", "client_secret"):
            secret = getattr(self, name)
            if secret is not None and not _CREDENTIAL.fullmatch(secret.get_secret_value()):
                raise ValueError(f"{name} is empty or holds characters that none of Slack's has")
        if _starts(self.bot_token, "xapp-"):
            raise ValueError("bot_token is an app-level token (xapp-); it belongs in app_token")
        if _starts(self.app_token, "xoxb-"):
            raise ValueError("app_token is a bot token (xoxb-); it belongs in bot_token")
        return self

    @property
    def base_url(self) -> str:
        """`api_url` with the slash at its end."""
        return self.api_url.rstrip("/") + "/"

    @property
    def asked_scopes(self) -> tuple[str, ...]:
        """What an install asks for."""
        return self.scopes or NEEDED_SCOPES


def _starts(secret: SecretStr | None, prefix: str) -> bool:
    return secret is not None and secret.get_secret_value().startswith(prefix)
