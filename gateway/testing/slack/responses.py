"""The response_url of an interaction: an address the app may answer to five times in 30 minutes.

Takes the JSON posted there: a message for the person alone (the default) or for the channel, or a
change of the message that was pressed. Numbers from docs.slack.dev, "Handling user interaction".
"""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.testing.slack.faults import SlackCall, refused
from gateway.testing.slack.messages import Conversations
from gateway.testing.slack.posting import Ephemeral, Posting, new_message
from gateway.testing.slack.workspaces import Channel, Directory
from gateway.testing.wire import JsonObject

MAX_USES: Final = 5
LIVES_S: Final = 1800.0


@dataclass(slots=True)
class ResponseUrl:
    """Where one interaction came from, and how often it was answered."""

    channel: Channel
    user: str
    message_ts: str
    made_at: float
    uses: int = 0


class ResponseUrls:
    """All addresses that were given out; `url` gives the address of the fake."""

    def __init__(
        self,
        directory: Directory,
        conversations: Conversations,
        posting: Posting,
        url: Callable[[], str],
    ) -> None:
        self._directory = directory
        self._conversations = conversations
        self._posting = posting
        self._url = url
        self._open: dict[str, ResponseUrl] = {}

    def new(self, channel: Channel, user: str, message_ts: str) -> str:
        """A fresh address."""
        path = f"/actions/{channel.team}/{uuid.uuid4().hex}"
        self._open[path] = ResponseUrl(channel, user, message_ts, time.monotonic())
        return self._url() + path

    def answer(self, path: str, call: SlackCall) -> None:
        """The app answers; refused when it may not (any more)."""
        origin = self._open.get(path)
        if origin is None:
            raise refused("invalid_url")
        if time.monotonic() - origin.made_at > LIVES_S:
            raise refused("expired_url")
        if origin.uses >= MAX_USES:
            raise refused("used_url")
        origin.uses += 1
        if call.params.get("delete_original"):
            self._delete(origin)
        elif call.params.get("replace_original"):
            self._replace(origin, call)
        else:
            self._say(origin, call)

    def _say(self, origin: ResponseUrl, call: SlackCall) -> None:
        channel = origin.channel
        if call.params.get("response_type") != "in_channel":
            thread_ts = call.params.get("thread_ts")
            self._posting.ephemerals.append(
                Ephemeral(channel.id, origin.user, call.text, thread_ts=thread_ts)
            )
            return
        workspace = self._directory.workspaces[channel.team]
        ts = self._conversations.clock.next_ts()
        self._posting.add(channel, new_message(call, workspace, channel, ts=ts))

    def _replace(self, origin: ResponseUrl, call: SlackCall) -> None:
        old = self._conversations.existing(origin.channel.id, origin.message_ts)
        blocks = tuple(call.params.get("blocks") or ())
        self._conversations.edit(old, call.text, {"blocks": blocks})

    def _delete(self, origin: ResponseUrl) -> None:
        self._conversations.delete(
            self._conversations.existing(origin.channel.id, origin.message_ts)
        )


def read_response(body: bytes) -> JsonObject:
    """The document that was posted; refused when it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        raise refused("invalid_payload") from None
    if not isinstance(found, dict):
        raise refused("invalid_payload")
    return found
