"""The methods that only look: auth.test, conversations.*, users.info."""

import base64
import binascii
from typing import Final

from gateway.testing.slack.faults import SlackCall, refused
from gateway.testing.slack.messages import Conversations, SlackMessage, within
from gateway.testing.slack.workspaces import Directory, Workspace
from gateway.testing.wire import JsonObject

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 999


class Reading:
    """Answers from what there is; `conversations.open` may make a direct message."""

    def __init__(self, directory: Directory, conversations: Conversations) -> None:
        self._directory = directory
        self._conversations = conversations

    def who_am_i(self, _: SlackCall, workspace: Workspace) -> JsonObject:
        """auth.test."""
        return {
            "url": f"https://{workspace.id.lower()}.slack.com/",
            "team": workspace.name,
            "user": "fakebot",
            "team_id": workspace.id,
            "user_id": workspace.bot_user,
            "bot_id": workspace.bot_id,
            "is_enterprise_install": bool(workspace.enterprise),
            **({"enterprise_id": workspace.enterprise} if workspace.enterprise else {}),
        }

    def history(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """conversations.history: newest first."""
        channel = self._directory.visible(call.channel, workspace)
        if not channel.has_bot:
            raise refused("not_in_channel")
        return self._page(call, self._conversations.top_level(channel.id))

    def replies(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """conversations.replies: the parent, then oldest first."""
        channel = self._directory.visible(call.channel, workspace)
        if not channel.has_bot:
            raise refused("not_in_channel")
        return self._page(call, self._conversations.thread(channel.id, str(call.params["ts"])))

    def info(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """conversations.info."""
        return {"channel": self._directory.visible(call.channel, workspace).document}

    def open(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """conversations.open, for one person."""
        if call.channel:
            return {"channel": self._directory.visible(call.channel, workspace).document}
        users = [user for user in str(call.params.get("users") or "").split(",") if user]
        if len(users) != 1:
            raise refused("users_list_not_supplied" if not users else "not_enough_users")
        member = workspace.members.get(users[0])
        if member is None:
            raise refused("user_not_found")
        if member.is_bot:
            raise refused("cannot_dm_bot")
        channel = self._directory.direct_message(workspace.id, member.id)
        full = bool(call.params.get("return_im"))
        return {"channel": channel.document if full else {"id": channel.id}}

    def user(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """users.info."""
        member = workspace.members.get(str(call.params["user"]))
        if member is None:
            raise refused("user_not_found")
        return {"user": member.document(workspace.id)}

    def _page(self, call: SlackCall, messages: list[SlackMessage]) -> JsonObject:
        params = call.params
        chosen = within(
            messages,
            oldest=str(params.get("oldest") or ""),
            latest=str(params.get("latest") or ""),
            inclusive=bool(params.get("inclusive")),
        )
        start = _start_of(str(params.get("cursor") or ""))
        limit = _limit_of(params.get("limit"))
        page = chosen[start : start + limit]
        has_more = start + limit < len(chosen)
        with_metadata = bool(params.get("include_all_metadata"))
        return {
            "messages": [m.document(call.team, with_metadata=with_metadata) for m in page],
            "has_more": has_more,
            "response_metadata": {"next_cursor": _cursor(start + limit) if has_more else ""},
        }


def _limit_of(value: object) -> int:
    try:
        limit = int(str(value or DEFAULT_PAGE))
    except ValueError:
        raise refused("invalid_limit") from None
    if not 1 <= limit <= LARGEST_PAGE:
        raise refused("invalid_limit")
    return limit


def _cursor(start: int) -> str:
    return base64.b64encode(f"next:{start}".encode()).decode()


def _start_of(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (binascii.Error, ValueError):
        raise refused("invalid_cursor") from None
