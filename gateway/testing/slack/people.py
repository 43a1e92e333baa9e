"""The people on the other side of the fake Slack: what they write, change, share, press and leave.

Turns a few words of a test into events with ids and timestamps and hands them to the deliveries.
Each deed gives back what the app is told, so that a test can deliver it again. Channels and people
come into being when they are first named: C... a channel, G... a private one, D... a direct
message; in the first workspace, unless they were added to another one before.
"""

import time
import uuid

from gateway.testing.slack import events
from gateway.testing.slack.messages import SlackMessage
from gateway.testing.slack.workspaces import APP_ID, Channel
from gateway.testing.slack.world import World
from gateway.testing.wire import JsonObject


class People:
    """Everybody who talks to one app."""

    def __init__(self, world: World) -> None:
        self._directory = world.directory
        self._conversations = world.conversations
        self._deliveries = world.deliveries
        self._files = world.files
        self._responses = world.responses
        self._event_number = 0

    def post_event(self, event: JsonObject, *, team: str = "") -> JsonObject:
        """Tell the app of an inner event of any kind; gives the outer document."""
        workspace = self._directory.workspaces[team or self._directory.first.id]
        self._event_number += 1
        payload = events.envelope(
            event,
            workspace,
            event_id=f"Ev{self._event_number:08}",
            event_time=int(time.time()),
        )
        self._deliveries.send("events_api", payload)
        return payload

    def post_message(
        self,
        channel: str,
        user: str,
        text: str,
        *,
        thread_ts: str | None = None,
        extra: JsonObject | None = None,
    ) -> JsonObject:
        """Somebody writes; `extra` is laid over the message (subtype, blocks, bot_id ...)."""
        place, said = self._say(channel, user, text, thread_ts=thread_ts, extra=extra)
        return self.post_event(events.message(said, place), team=place.team)

    def mention(
        self, channel: str, user: str, text: str, *, thread_ts: str | None = None
    ) -> list[JsonObject]:
        """Somebody names the app in a channel: a `message` and an `app_mention` with one ts.

        Of a channel it is not in, the app gets the mention alone.
        """
        place, said = self._say(channel, user, text, thread_ts=thread_ts, extra=None, mention=True)
        told = [events.app_mention(said, place)]
        if place.has_bot:
            told.insert(0, events.message(said, place))
        return [self.post_event(event, team=place.team) for event in told]

    def post_bot_message(
        self, channel: str, text: str, *, bot_id: str = "B0OTHERBOT"
    ) -> JsonObject:
        """Another bot writes."""
        extra = {"subtype": "bot_message", "bot_id": bot_id, "username": "otherbot"}
        return self.post_message(channel, "U0OTHERBOT", text, extra=extra)

    def post_file(
        self,
        channel: str,
        user: str,
        text: str = "",
        *,
        name: str = "photo.jpg",
        content: bytes = b"\xff\xd8\xff\xe0 a photo",
        size_bytes: int | None = None,
        redirect_to: str = "",
        thread_ts: str | None = None,
    ) -> JsonObject:
        """Somebody shares a file; its bytes can be downloaded.

        `size_bytes` makes it claim another size than it has, `redirect_to` sends downloads away.
        """
        place = self.channel(channel, user=user)
        size = len(content) if size_bytes is None else size_bytes
        file = self._files.add(place.team, name, content, size_bytes=size)
        file.user, file.redirect_to = user, redirect_to
        extra = {"subtype": "file_share", "upload": False, "files": [self._files.document(file)]}
        return self.post_message(channel, user, text, thread_ts=thread_ts, extra=extra)

    def edit_message(self, told: JsonObject, text: str) -> JsonObject:
        """Somebody changes the message of an earlier event; the same text: a link got a preview."""
        place, old = self._message_of(told)
        new = self._conversations.edit(old, text, {}) if text != old.text else old
        event = events.message_changed(old, new, place, self._conversations.clock.next_ts())
        return self.post_event(event, team=place.team)

    def delete_message(self, told: JsonObject) -> JsonObject:
        """Somebody takes the message of an earlier event back."""
        place, old = self._message_of(told)
        self._conversations.delete(old)
        event = events.message_deleted(old, place, self._conversations.clock.next_ts())
        return self.post_event(event, team=place.team)

    def press(self, message: SlackMessage, user: str, *, action_id: str) -> JsonObject:
        """Somebody presses a button of a message; LookupError when it has no such button."""
        place = self._directory.channels[message.channel]
        self._directory.member(place.team, user)
        ts = self._conversations.clock.next_ts()
        action = events.find_button(message, action_id) | {"action_ts": ts}
        payload = events.button_press(
            message, place, user, action=action, addresses=self._addresses(place, user, message.ts)
        )
        self._deliveries.send("interactive", payload)
        return payload

    def command(self, channel: str, user: str, command: str, text: str = "") -> JsonObject:
        """Somebody types a slash command."""
        place = self.channel(channel, user=user)
        self._directory.member(place.team, user)
        payload = events.slash_command(
            place, user, command, text=text, addresses=self._addresses(place, user, "")
        )
        self._deliveries.send("slash_commands", payload)
        return payload

    def open_home(self, user: str, *, tab: str = "home", team: str = "") -> JsonObject:
        """Somebody opens the app's page; `tab` is "home" or "messages"."""
        place = self._directory.direct_message(team or self._directory.first.id, user)
        self._directory.member(place.team, user)
        ts = self._conversations.clock.next_ts()
        event = events.app_home_opened(place, user, tab=tab, event_ts=ts)
        return self.post_event(event, team=place.team)

    def open_assistant(self, user: str, *, team: str = "", is_told: bool = True) -> JsonObject:
        """Somebody opens a thread in the assistant's pane (apps with `assistant_view`).

        `is_told` False: the thread is there, and the app has not subscribed to the event.
        """
        place = self._directory.direct_message(team or self._directory.first.id, user)
        self._directory.member(place.team, user)
        workspace = self._directory.workspaces[place.team]
        root = self._conversations.add(
            SlackMessage(
                ts=self._conversations.clock.next_ts(),
                channel=place.id,
                user=workspace.bot_user,
                bot_id=workspace.bot_id,
                text="New Assistant Thread",
                at=time.monotonic(),
                extra={"subtype": "assistant_app_thread"},
            )
        )
        event = events.assistant_thread_started(place, user, thread_ts=root.ts)
        return self.post_event(event, team=place.team) if is_told else {"event": event}

    def uninstall(self, team: str = "") -> list[JsonObject]:
        """The app is removed: its tokens end, and it is told so twice, as by Slack."""
        workspace = self._directory.workspaces[team or self._directory.first.id]
        workspace.end_tokens("account_inactive")
        told = [events.tokens_revoked(workspace), {"type": "app_uninstalled"}]
        return [self.post_event(event, team=workspace.id) for event in told]

    def revoke_tokens(self, team: str = "") -> JsonObject:
        """The app's tokens are taken away, the app stays."""
        workspace = self._directory.workspaces[team or self._directory.first.id]
        workspace.end_tokens("token_revoked")
        return self.post_event(events.tokens_revoked(workspace), team=workspace.id)

    def limit_events(self, team: str = "") -> JsonObject:
        """Slack holds events back, because there were more than 30,000 in an hour."""
        workspace = self._directory.workspaces[team or self._directory.first.id]
        payload = events.app_rate_limited(workspace, minute=int(time.time()) // 60 * 60)
        self._deliveries.send("events_api", payload)
        return payload

    def channel(self, channel: str, *, user: str = "", team: str = "") -> Channel:
        """The channel with that id, made when it is new; its fields may be changed."""
        return self._directory.channel(channel, user=user, team=team)

    def _say(
        self,
        channel: str,
        user: str,
        text: str,
        *,
        thread_ts: str | None,
        extra: JsonObject | None,
        mention: bool = False,
    ) -> tuple[Channel, SlackMessage]:
        place = self.channel(channel, user=user)
        self._directory.member(place.team, user)
        self._conversations.require_thread(channel, thread_ts)
        name = f"<@{self._directory.workspaces[place.team].bot_user}>"
        if mention and name not in text:
            text = f"{name} {text}"
        said = SlackMessage(
            ts=self._conversations.clock.next_ts(),
            channel=channel,
            user=user,
            text=text,
            at=time.monotonic(),
            thread_ts=thread_ts,
            extra=extra or {},
        )
        return place, self._conversations.add(said)

    def _message_of(self, told: JsonObject) -> tuple[Channel, SlackMessage]:
        event = told["event"]
        ts = event.get("message", event)["ts"]
        found = self._conversations.existing(event["channel"], ts)
        return self._directory.channels[found.channel], found

    def _addresses(self, place: Channel, user: str, message_ts: str) -> JsonObject:
        return {
            "api_app_id": APP_ID,
            "trigger_id": f"{uuid.uuid4().int % 10**13}.{place.team}",
            "response_url": self._responses.new(place, user, message_ts),
        }
