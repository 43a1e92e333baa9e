"""How the app gets into workspaces: codes, bot tokens, and their rotation (oauth.v2.access).

A person approves the app (`approve` gives the code that the browser would carry back), the app
exchanges the code once. With `rotates`, bot tokens come with a refresh token that works once; the
old token works until it expires (`SlackServer.expire_tokens`).
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from gateway.testing.slack.faults import SlackCall, refused
from gateway.testing.slack.workspaces import APP_ID, Directory, Workspace
from gateway.testing.wire import JsonObject

TOKEN_LIVES_S: Final = 43_200
"""A rotating token lives 12 hours (docs.slack.dev, "Using token rotation")."""

FAKE_CLIENT_CREDENTIAL: Final = "fake-client-credential"

DEFAULT_SCOPES: Final = "app_mentions:read,assistant:write,chat:write,im:history,users:read"


@dataclass(frozen=True, slots=True)
class Approval:
    """What a code stands for."""

    team: str
    user: str
    redirect_uri: str = ""


class Installs:
    """Codes and tokens of all workspaces of one app."""

    def __init__(self, directory: Directory, *, rotates: bool) -> None:
        self.client_id = "123.456"
        self.client_secret = FAKE_CLIENT_CREDENTIAL
        self._directory = directory
        self._rotates = rotates
        self._codes: dict[str, Approval | None] = {}
        self._made = 0

    def approve(self, workspace: Workspace, user: str, redirect_uri: str) -> str:
        """Somebody lets the app in; gives the code for oauth.v2.access."""
        code = f"{self._next()}.code"
        self._codes[code] = Approval(workspace.id, user, redirect_uri)
        return code

    def new_token(self, workspace: Workspace) -> str:
        """A further bot token that works."""
        token = f"{'xoxe.xoxb' if self._rotates else 'xoxb'}-{workspace.id}-{self._next()}"
        workspace.tokens[token] = ""
        return token

    def access(self, call: SlackCall) -> JsonObject:
        """oauth.v2.access."""
        self._require_client(call)
        if call.params.get("grant_type") == "refresh_token":
            return self._refresh(str(call.params.get("refresh_token") or ""))
        return self._exchange(str(call.params.get("code") or ""), call)

    def _exchange(self, code: str, call: SlackCall) -> JsonObject:
        if code not in self._codes:
            raise refused("invalid_code")
        approval = self._codes[code]
        if approval is None:
            raise refused("code_already_used")
        if str(call.params.get("redirect_uri") or "") != approval.redirect_uri:
            raise refused("bad_redirect_uri")
        self._codes[code] = None
        workspace = self._directory.workspaces[approval.team]
        return self._grant(workspace) | {"authed_user": {"id": approval.user}}

    def _refresh(self, refresh_token: str) -> JsonObject:
        for workspace in self._directory.workspaces.values():
            if refresh_token and workspace.refresh_token == refresh_token:
                return self._grant(workspace)
        raise refused("invalid_refresh_token")

    def _grant(self, workspace: Workspace) -> JsonObject:
        token = self.new_token(workspace)
        rotation: JsonObject = {}
        if self._rotates:
            workspace.refresh_token = f"xoxe-1-{self._next()}"
            rotation = {"refresh_token": workspace.refresh_token, "expires_in": TOKEN_LIVES_S}
        return {
            "app_id": APP_ID,
            "access_token": token,
            "token_type": "bot",
            "scope": ",".join(sorted(workspace.scopes or ())) or DEFAULT_SCOPES,
            "bot_user_id": workspace.bot_user,
            **_place(workspace),
            **rotation,
        }

    def _require_client(self, call: SlackCall) -> None:
        client_id, client_secret = _credentials(call)
        if client_id != self.client_id:
            raise refused("invalid_client_id")
        if client_secret != self.client_secret:
            raise refused("bad_client_secret")

    def _next(self) -> str:
        self._made += 1
        return f"{self._made:04}"


def _place(workspace: Workspace) -> JsonObject:
    """A workspace, or all of an enterprise (docs.slack.dev, oauth.v2.access)."""
    if workspace.enterprise:
        enterprise = {"id": workspace.enterprise, "name": workspace.name}
        return {"team": None, "enterprise": enterprise, "is_enterprise_install": True}
    team = {"id": workspace.id, "name": workspace.name}
    return {"team": team, "enterprise": None, "is_enterprise_install": False}


def _credentials(call: SlackCall) -> tuple[str, str]:
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return client_id, secret
    return str(call.params.get("client_id") or ""), str(call.params.get("client_secret") or "")
