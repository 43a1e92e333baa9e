"""What Slack tells an app: events and interactions as documents, built from a few words.

Pure functions: ids and timestamps go in as arguments. `envelope` puts an inner event into the
outer document of the Events API. Shapes from docs.slack.dev, Events API and interactivity
reference.
"""

import uuid
from typing import Final

from gateway.testing.slack.messages import SlackMessage
from gateway.testing.slack.workspaces import APP_ID, Channel, Workspace
from gateway.testing.wire import JsonObject

VERIFICATION_TOKEN: Final = "fakeVerificationToken"  # noqa: S105 - the fake's own
CHANNEL_TYPES: Final = {"channel": "channel", "group": "group", "im": "im", "mpim": "mpim"}


def envelope(
    event: JsonObject, workspace: Workspace, *, event_id: str, event_time: int
) -> JsonObject:
    """The outer document of an event."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": workspace.id,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": event_time,
        "authorizations": [
            {
                "enterprise_id": workspace.enterprise or None,
                "team_id": None if workspace.enterprise else workspace.id,
                "user_id": workspace.bot_user,
                "is_bot": True,
                "is_enterprise_install": bool(workspace.enterprise),
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{event_id}",
    }


def url_verification(challenge: str) -> JsonObject:
    """The question whether a request URL is the app's: it answers with the challenge."""
    return {"token": VERIFICATION_TOKEN, "challenge": challenge, "type": "url_verification"}


def app_rate_limited(workspace: Workspace, *, minute: int) -> JsonObject:
    """Events of that minute were held back; an outer document without an inner event."""
    return {
        "token": VERIFICATION_TOKEN,
        "type": "app_rate_limited",
        "team_id": workspace.id,
        "minute_rate_limited": minute,
        "api_app_id": APP_ID,
    }


def message(said: SlackMessage, channel: Channel) -> JsonObject:
    """Somebody wrote; `subtype` and more come with the message's own extra."""
    return {
        **said.document(channel.team),
        "client_msg_id": str(uuid.uuid5(uuid.NAMESPACE_OID, said.channel + said.ts)),
        "channel": channel.id,
        "event_ts": said.ts,
        "channel_type": CHANNEL_TYPES[channel.kind],
    }


def app_mention(said: SlackMessage, channel: Channel) -> JsonObject:
    """The same message once more, because it names the app."""
    document = message(said, channel)
    del document["channel_type"]
    return {**document, "type": "app_mention"}


def message_changed(
    old: SlackMessage, new: SlackMessage, channel: Channel, event_ts: str
) -> JsonObject:
    """A message reads differently now (or only got a link preview)."""
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "message": new.document(channel.team),
        "previous_message": old.document(channel.team),
        "channel": channel.id,
        "ts": event_ts,
        "event_ts": event_ts,
        "channel_type": CHANNEL_TYPES[channel.kind],
    }


def message_deleted(old: SlackMessage, channel: Channel, event_ts: str) -> JsonObject:
    """A message is gone."""
    return {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "deleted_ts": old.ts,
        "previous_message": old.document(channel.team),
        "channel": channel.id,
        "ts": event_ts,
        "event_ts": event_ts,
        "channel_type": CHANNEL_TYPES[channel.kind],
    }


def app_home_opened(channel: Channel, user: str, *, tab: str, event_ts: str) -> JsonObject:
    """Somebody opened the app's page: its home or its messages."""
    return {
        "type": "app_home_opened",
        "user": user,
        "channel": channel.id,
        "tab": tab,
        "event_ts": event_ts,
    }


def assistant_thread_started(channel: Channel, user: str, *, thread_ts: str) -> JsonObject:
    """Somebody opened the assistant's pane."""
    return {
        "type": "assistant_thread_started",
        "assistant_thread": {
            "user_id": user,
            "context": {"team_id": channel.team, "enterprise_id": None},
            "channel_id": channel.id,
            "thread_ts": thread_ts,
        },
        "event_ts": thread_ts,
    }


def tokens_revoked(workspace: Workspace) -> JsonObject:
    """The app's tokens were taken away."""
    return {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [workspace.bot_user]}}


def find_button(shown: SlackMessage, action_id: str) -> JsonObject:
    """The button as an action that happened; LookupError when the message shows none of that id."""
    for number, block in enumerate(shown.blocks):
        for element in (*block.get("elements", ()), block.get("accessory") or {}):
            if (element.get("type"), element.get("action_id")) == ("button", action_id):
                kept = {name: element[name] for name in ("text", "value") if name in element}
                block_id = block.get("block_id") or f"block{number}"
                return {"type": "button", "action_id": action_id, "block_id": block_id, **kept}
    raise LookupError(f"the message has no button {action_id}: {shown.blocks}")


def button_press(
    pressed: SlackMessage, channel: Channel, user: str, *, action: JsonObject, addresses: JsonObject
) -> JsonObject:
    """Somebody pressed a button; `addresses` are trigger_id, response_url and api_app_id."""
    return {
        "type": "block_actions",
        "user": {"id": user, "username": user.lower(), "team_id": channel.team},
        "token": VERIFICATION_TOKEN,
        "container": {
            "type": "message",
            "message_ts": pressed.ts,
            "channel_id": channel.id,
            "is_ephemeral": False,
            **({"thread_ts": pressed.thread_ts} if pressed.thread_ts else {}),
        },
        "team": {"id": channel.team, "domain": channel.team.lower()},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message": pressed.document(channel.team),
        "state": {"values": {}},
        "actions": [action],
        **addresses,
    }


def slash_command(
    channel: Channel, user: str, command: str, *, text: str, addresses: JsonObject
) -> JsonObject:
    """Somebody typed a command; the fields of a form."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": channel.team,
        "team_domain": channel.team.lower(),
        "channel_id": channel.id,
        "channel_name": channel.name or "directmessage",
        "user_id": user,
        "user_name": user.lower(),
        "command": command,
        "text": text,
        "is_enterprise_install": "false",
        **addresses,
    }
