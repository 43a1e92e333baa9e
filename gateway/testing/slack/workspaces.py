"""The workspaces of the fake Slack: who and what is in them, and the app's installation in each.

Ids look like Slack's: T... a workspace, U... a person, C... a channel, G... a private group, D...
a direct message. A channel's id is unique over all workspaces, so it also tells the workspace.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.testing.slack.faults import refused
from gateway.testing.wire import JsonObject

APP_ID: Final = "A0FAKEAPP"

ChannelKind = Literal["channel", "group", "im", "mpim"]

KINDS: Final[dict[str, ChannelKind]] = {"C": "channel", "G": "group", "D": "im"}


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a workspace."""

    id: str
    name: str = "ada"
    real_name: str = "Ada Lovelace"
    locale: str = "en-GB"
    is_bot: bool = False

    def document(self, team: str) -> JsonObject:
        """The user object."""
        return {
            "id": self.id,
            "team_id": team,
            "name": self.name,
            "deleted": False,
            "real_name": self.real_name,
            "tz": "Europe/London",
            "locale": self.locale,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "profile": {"real_name": self.real_name, "display_name": self.name, "team": team},
        }


@dataclass(slots=True)
class Channel:
    """A place to talk; `user` is the person of a direct message."""

    id: str
    team: str
    kind: ChannelKind
    name: str = ""
    user: str = ""
    has_bot: bool = True
    is_archived: bool = False

    @property
    def document(self) -> JsonObject:
        """The conversation object."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "channel",
            "is_archived": self.is_archived,
            "is_member": self.has_bot,
            "context_team_id": self.team,
            **({"user": self.user} if self.user else {}),
        }


@dataclass(slots=True)
class Workspace:
    """One workspace and the app's installation there.

    `tokens` maps every bot token that ever was valid to "" while it is, else to the error it gives
    now. `scopes` None: the app has all it needs. `enterprise`: the app was installed in all
    workspaces of that enterprise at once, and this is one of them.
    """

    id: str
    name: str = "Fake Workspace"
    bot_user: str = "U0FAKEBOT"
    bot_id: str = "B0FAKEBOT"
    scopes: frozenset[str] | None = None
    enterprise: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    refresh_token: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    homes: dict[str, JsonObject] = field(default_factory=dict)

    @property
    def bot_token(self) -> str:
        """The bot token that is valid now (the last one when there are several), else ""."""
        return next((token for token, error in reversed(self.tokens.items()) if not error), "")

    def end_tokens(self, error: str) -> None:
        """Every token gives this error from now on."""
        self.tokens = {token: ended or error for token, ended in self.tokens.items()}


class Directory:
    """All workspaces of one app, and where each channel is."""

    def __init__(self, first: Workspace) -> None:
        self.workspaces: dict[str, Workspace] = {}
        self.channels: dict[str, Channel] = {}
        self.first = first
        self.add(first)

    def add(self, workspace: Workspace) -> Workspace:
        """A workspace that installed the app."""
        self.workspaces[workspace.id] = workspace
        bot = Member(workspace.bot_user, name="fakebot", real_name="Fake Bot", is_bot=True)
        workspace.members[bot.id] = bot
        return workspace

    def workspace_of_token(self, token: str) -> Workspace | None:
        """The workspace that token belongs or belonged to."""
        return next((w for w in self.workspaces.values() if token in w.tokens), None)

    def channel(self, channel: str, *, user: str = "", team: str = "") -> Channel:
        """The channel with that id; made when people use one that nobody has seen before."""
        if channel not in self.channels:
            kind = KINDS.get(channel[:1], "channel")
            self.channels[channel] = Channel(
                id=channel,
                team=team or self.first.id,
                kind=kind,
                name="" if kind == "im" else channel.lower(),
                user=user if kind == "im" else "",
            )
        return self.channels[channel]

    def visible(self, channel: str, workspace: Workspace) -> Channel:
        """A channel the app can see from there, also named by the person of a direct message."""
        if channel[:1] in {"U", "W"} and channel in workspace.members:
            return self.direct_message(workspace.id, channel)
        found = self.channels.get(channel)
        if found is None or found.team != workspace.id:
            raise refused("channel_not_found")
        return found

    def writable(self, channel: str, workspace: Workspace) -> Channel:
        """A channel the app can post in."""
        found = self.visible(channel, workspace)
        if not found.has_bot:
            raise refused("not_in_channel")
        if found.is_archived:
            raise refused("is_archived")
        return found

    def member(self, team: str, user: str) -> Member:
        """The person with that id; made when nobody has seen it before."""
        members = self.workspaces[team].members
        if user not in members:
            members[user] = Member(user, name=user.lower(), real_name=f"Person {user}")
        return members[user]

    def direct_message(self, team: str, user: str) -> Channel:
        """The direct message between the app and that person."""
        for channel in self.channels.values():
            if (channel.team, channel.kind, channel.user) == (team, "im", user):
                return channel
        taken = f"D{user[1:]}" in self.channels
        return self.channel(f"D{user[1:]}{team if taken else ''}", user=user, team=team)
