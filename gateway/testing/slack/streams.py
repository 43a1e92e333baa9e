"""The methods that write a message while people watch: chat.startStream, appendStream, stopStream.

As seen on the real service: an open stream can be neither updated nor deleted, one that is not open
takes nothing more (message_not_in_streaming_state), and Slack closes a stream by itself about five
minutes after its start.
"""

import time
from dataclasses import replace

from gateway.testing.slack import events
from gateway.testing.slack.faults import SlackCall, refused
from gateway.testing.slack.messages import Conversations, SlackMessage
from gateway.testing.slack.posting import Posting, new_message
from gateway.testing.slack.rules import chunk_text
from gateway.testing.slack.workspaces import Channel, Directory, Workspace
from gateway.testing.wire import JsonObject


class Streams:
    """The streaming methods; a stream lives `lasts_s`."""

    def __init__(
        self,
        directory: Directory,
        conversations: Conversations,
        posting: Posting,
        *,
        lasts_s: float,
    ) -> None:
        self._directory = directory
        self._conversations = conversations
        self._posting = posting
        self._lasts_s = lasts_s

    def start(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.startStream."""
        channel = self._directory.writable(call.channel, workspace)
        _require_recipient(call, channel, workspace)
        self._posting.require_parent(call, channel, call.params.get("thread_ts"))
        message = new_message(call, workspace, channel, ts=self._conversations.clock.next_ts())
        opened = replace(message, text=_text_of(call), is_markdown=True, is_streaming=True)
        self._posting.add(channel, opened)
        return {"channel": channel.id, "ts": opened.ts}

    def append(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.appendStream."""
        message = self._open_stream(call, workspace)
        if not call.text and not call.params.get("chunks"):
            raise refused("no_text")
        self._conversations.put(replace(message, text=message.text + _text_of(call)))
        return {"channel": message.channel, "ts": message.ts}

    def stop(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """chat.stopStream."""
        old = self._open_stream(call, workspace)
        message = self._conversations.put(
            replace(
                old,
                text=old.text + _text_of(call),
                is_streaming=False,
                blocks=(*old.blocks, *(call.params.get("blocks") or ())),
                metadata=call.params.get("metadata") or old.metadata,
            )
        )
        channel = self._directory.channels[message.channel]
        ts = self._conversations.clock.next_ts()
        self._posting.announce(channel, events.message_changed(old, message, channel, ts))
        document = message.document(workspace.id)
        return {"channel": message.channel, "ts": message.ts, "message": document}

    def close_old(self) -> None:
        """Close the streams whose time is over, as Slack does by itself."""
        now = time.monotonic()
        for message in self._conversations.streaming:
            if now - message.at > self._lasts_s:
                self._conversations.put(replace(message, is_streaming=False))

    def _open_stream(self, call: SlackCall, workspace: Workspace) -> SlackMessage:
        channel = self._directory.writable(call.channel, workspace)
        self.close_old()
        message = self._conversations.existing(channel.id, str(call.params["ts"]))
        if message.bot_id != workspace.bot_id:
            raise refused("message_not_owned_by_app")
        if not message.is_streaming:
            raise refused("message_not_in_streaming_state")
        return message


def _require_recipient(call: SlackCall, channel: Channel, workspace: Workspace) -> None:
    params = call.params
    if channel.kind == "im":
        if not params.get("thread_ts"):
            raise refused("invalid_arguments", "[ERROR] missing required field: thread_ts")
        return
    for name in ("recipient_team_id", "recipient_user_id"):
        if not params.get(name):
            raise refused(f"missing_{name}")
    if params["recipient_user_id"] not in workspace.members:
        raise refused("user_not_found")
    if params["recipient_team_id"] != workspace.id:
        raise refused("team_not_found")


def _text_of(call: SlackCall) -> str:
    return str(call.params.get("markdown_text") or "") + chunk_text(call.params)
