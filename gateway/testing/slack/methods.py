"""Which Web API method is done by whom in the fake, and the few that fit nowhere else.

Takes a call that passed the checks and gives what stands beside `ok` in its answer; refusals are
raised. Only what a chat app needs is built; another method is refused as unknown, so that nobody
relies on an invented answer.
"""

from collections.abc import Callable
from typing import Final

from gateway.testing.slack.faults import Refused, SlackCall, SlackError, refused
from gateway.testing.slack.reading import Reading
from gateway.testing.slack.workspaces import Workspace
from gateway.testing.slack.world import World
from gateway.testing.wire import JsonObject

Method = Callable[[SlackCall, Workspace], JsonObject]

SCOPES: Final = {
    "chat.": ("chat:write",),
    "conversations.history": ("im:history", "channels:history", "groups:history", "mpim:history"),
    "conversations.replies": ("im:history", "channels:history", "groups:history", "mpim:history"),
    "conversations.info": ("im:read", "channels:read", "groups:read", "mpim:read"),
    "conversations.open": ("im:write", "mpim:write"),
    "users.info": ("users:read",),
    "assistant.": ("assistant:write", "chat:write"),
    "reactions.add": ("reactions:write",),
    "files.": ("files:write",),
}
"""By method, or beginning of methods: the scopes of which the app needs one."""


class WebMethods:
    """The methods of the Web API that need a bot token."""

    def __init__(self, world: World) -> None:
        self._directory = world.directory
        self._conversations = world.conversations
        self._posting = world.posting
        reading = Reading(world.directory, world.conversations)
        self._table: dict[str, Method] = {
            "auth.test": reading.who_am_i,
            "chat.postMessage": world.posting.post,
            "chat.postEphemeral": world.posting.whisper,
            "chat.update": world.posting.update,
            "chat.delete": world.posting.delete,
            "chat.startStream": world.streams.start,
            "chat.appendStream": world.streams.append,
            "chat.stopStream": world.streams.stop,
            "conversations.history": reading.history,
            "conversations.replies": reading.replies,
            "conversations.info": reading.info,
            "conversations.open": reading.open,
            "users.info": reading.user,
            "assistant.threads.setStatus": self._set_status,
            "assistant.threads.setTitle": self._set_title,
            "assistant.threads.setSuggestedPrompts": self._set_prompts,
            "reactions.add": world.posting.react,
            "files.getUploadURLExternal": world.files.get_upload_url,
            "files.completeUploadExternal": world.files.complete,
            "views.publish": self._publish_home,
        }

    def run(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """Carry the call out; Refused when it cannot be."""
        _require_scope(call.method, workspace)
        return self._table[call.method](call, workspace)

    def _set_status(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        channel = self._directory.writable(call.channel, workspace)
        thread_ts, status = str(call.params["thread_ts"]), str(call.params["status"])
        self._conversations.require_thread(channel.id, thread_ts)
        if status:
            self._posting.statuses[channel.id, thread_ts] = status
        else:
            self._posting.statuses.pop((channel.id, thread_ts), None)
        return {}

    def _set_title(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        channel = self._directory.writable(call.channel, workspace)
        self._conversations.require_thread(channel.id, str(call.params["thread_ts"]))
        return {}

    def _set_prompts(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        channel = self._directory.writable(call.channel, workspace)
        self._conversations.require_thread(channel.id, call.params.get("thread_ts"))
        prompts = call.params["prompts"]
        if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
            raise refused("invalid_arguments", "[ERROR] must be 1 to 4 prompts")
        if not all(isinstance(p, dict) and p.get("title") and p.get("message") for p in prompts):
            raise refused("invalid_arguments", "[ERROR] a prompt needs title and message")
        return {}

    def _publish_home(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        user, view = str(call.params["user_id"]), call.params["view"]
        if user not in workspace.members:
            raise refused("user_not_found")
        if not isinstance(view, dict) or view.get("type") != "home":
            raise refused("invalid_arguments", "[ERROR] view must be of the type home")
        workspace.homes[user] = view
        return {"view": {"id": f"V{user}", "team_id": workspace.id, **view}}


def _require_scope(method: str, workspace: Workspace) -> None:
    if workspace.scopes is None:
        return
    for name, scopes in SCOPES.items():
        if method.startswith(name) and workspace.scopes.isdisjoint(scopes):
            provided = ",".join(sorted(workspace.scopes))
            raise Refused(SlackError("missing_scope", needed=scopes[0], provided=provided))
