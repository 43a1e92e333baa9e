"""The methods that put something into a channel: post, change, delete, whisper, react.

Takes calls whose arguments are in order. What the app changes is announced to `announce` like what
people do, because an app is told of its own messages too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.testing.slack import events
from gateway.testing.slack.faults import SlackCall, refused
from gateway.testing.slack.messages import MAX_TEXT, Conversations, SlackMessage
from gateway.testing.slack.workspaces import APP_ID, Channel, Directory, Workspace
from gateway.testing.wire import JsonObject

Announce = Callable[[Channel, JsonObject], None]
"""Tells the app of an event in a channel, as far as it hears its own echo."""


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """What only one person sees; it is not in the history."""

    channel: str
    user: str
    text: str
    thread_ts: str | None = None
    blocks: tuple[JsonObject, ...] = ()


class Posting:
    """chat.postMessage, chat.postEphemeral, chat.update, chat.delete and reactions.add."""

    def __init__(
        self, directory: Directory, conversations: Conversations, announce: Announce
    ) -> None:
        self.ephemerals: list[Ephemeral] = []
        self.statuses: dict[tuple[str, str], str] = {}
        self._directory = directory
        self._conversations = conversations
        self.announce = announce

    def post(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.postMessage."""
        channel = self._directory.writable(call.channel, workspace)
        thread_ts = call.params.get("thread_ts")
        self.require_parent(call, channel, thread_ts)
        message = self.add(
            channel,
            new_message(call, workspace, channel, ts=self._conversations.clock.next_ts()),
        )
        return {
            "channel": channel.id,
            "ts": message.ts,
            "message": message.document(workspace.id),
            **_warning(call),
        }

    def add(self, channel: Channel, message: SlackMessage) -> SlackMessage:
        """Let a message of the app stand in the channel; it ends the status of its thread."""
        self._conversations.add(message)
        self.statuses.pop((channel.id, message.thread_ts or message.ts), None)
        self.announce(channel, events.message(message, channel))
        return message

    def require_parent(self, call: SlackCall, channel: Channel, thread_ts: str | None) -> None:
        """Refuse a thread that is not there, remark on one named by a reply."""
        self._conversations.require_thread(channel.id, thread_ts)
        parent = self._conversations.find(channel.id, thread_ts) if thread_ts else None
        if parent is not None and parent.is_reply:
            call.problems.append("thread_ts is that of a reply, not of its parent")

    def whisper(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.postEphemeral."""
        channel = self._directory.writable(call.channel, workspace)
        user = str(call.params["user"])
        if user not in workspace.members:
            raise refused("user_not_in_channel")
        self.ephemerals.append(
            Ephemeral(
                channel=channel.id,
                user=user,
                text=call.text,
                thread_ts=call.params.get("thread_ts"),
                blocks=tuple(call.params.get("blocks") or ()),
            )
        )
        return {"message_ts": self._conversations.clock.next_ts()}

    def update(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.update."""
        channel = self._directory.writable(call.channel, workspace)
        old = self._conversations.existing(channel.id, str(call.params["ts"]))
        if old.bot_id != workspace.bot_id:
            raise refused("cant_update_message")
        if old.is_streaming:
            raise refused("streaming_state_conflict")
        new = new_message(call, workspace, channel, ts=old.ts)
        changes: JsonObject = {"is_markdown": new.is_markdown, "blocks": new.blocks}
        if new.metadata is not None:
            changes["metadata"] = new.metadata
        edited = self._conversations.edit(old, new.text, changes)
        self.announce(channel, events.message_changed(old, edited, channel, self._next_ts()))
        return {
            "channel": channel.id,
            "ts": old.ts,
            "text": edited.text,
            "message": edited.document(workspace.id),
            **_warning(call),
        }

    def delete(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.delete."""
        channel = self._directory.visible(call.channel, workspace)
        old = self._conversations.existing(channel.id, str(call.params["ts"]))
        if old.bot_id != workspace.bot_id or old.is_streaming:
            raise refused("cant_delete_message")
        self._conversations.delete(old)
        self.announce(channel, events.message_deleted(old, channel, self._next_ts()))
        return {"channel": channel.id, "ts": old.ts}

    def react(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """reactions.add."""
        channel = self._directory.visible(call.channel, workspace)
        name = str(call.params["name"]).strip(":")
        message = self._conversations.existing(channel.id, str(call.params["timestamp"]))
        if name in message.reactions:
            raise refused("already_reacted")
        self._conversations.put(replace(message, reactions=(*message.reactions, name)))
        return {}

    def _next_ts(self) -> str:
        return self._conversations.clock.next_ts()


def new_message(
    call: SlackCall, workspace: Workspace, channel: Channel, *, ts: str
) -> SlackMessage:
    """The message a call asks for."""
    params = call.params
    return SlackMessage(
        ts=ts,
        channel=channel.id,
        user=workspace.bot_user,
        bot_id=workspace.bot_id,
        text=call.text[:MAX_TEXT],
        at=call.at,
        thread_ts=params.get("thread_ts"),
        is_markdown=bool(params.get("markdown_text")),
        is_broadcast=bool(params.get("reply_broadcast")),
        metadata=params.get("metadata"),
        blocks=tuple(params.get("blocks") or ()),
        params=params,
        extra={"app_id": APP_ID},
    )


def _warning(call: SlackCall) -> JsonObject:
    if len(call.text) <= MAX_TEXT:
        return {}
    call.problems.append(f"text of {len(call.text)} characters was cut")
    warnings = ["message_truncated"]
    return {"warning": warnings[0], "response_metadata": {"warnings": warnings}}
