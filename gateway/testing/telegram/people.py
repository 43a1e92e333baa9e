"""The people on the other side of the fake Telegram: what they write, send, press and block.

Turns a few words of a test into updates with ids and times and hands them to the queue, or to the
webhook when one is set. Each `post...` gives the Update back, so that a test can deliver it again.
"""

import time

from gateway.testing.telegram import updates
from gateway.testing.telegram.chats import Chats, SentMessage
from gateway.testing.telegram.methods import BotMethods, StoredFile
from gateway.testing.telegram.queue import UpdateQueue
from gateway.testing.telegram.updates import Person
from gateway.testing.wire import JsonObject


class People:
    """Everybody who talks to one bot."""

    def __init__(self, bot: Person, chats: Chats, queue: UpdateQueue, methods: BotMethods) -> None:
        self.bot = bot
        self._chats = chats
        self._queue = queue
        self._methods = methods

    def post(self, content: JsonObject) -> JsonObject:
        """Queue an update of any kind, `{"message": {...}}` without its id; gives the Update.

        A kind the bot did not ask for by `allowed_updates` gets no id and is not queued. Builders
        for the content are in `telegram_updates`.
        """
        update = self._queue.add(content)
        if update is None:
            return content
        if self._methods.courier is not None and not self._queue.is_holding:
            self._methods.courier.carry(update)
        return update

    def post_text(
        self, chat: int, user: int | Person, text: str, *, extra: JsonObject | None = None
    ) -> JsonObject:
        """Somebody writes; `extra` is laid over the Message (entities, reply_to_message ...)."""
        sender = _person(user)
        number, now = self._chats.new_id(chat), int(time.time())
        return self.post(
            updates.text_message(chat, sender, text, message_id=number, date=now, extra=extra)
        )

    def post_photo(
        self, chat: int, user: int | Person, caption: str = "", *, extra: JsonObject | None = None
    ) -> JsonObject:
        """Somebody sends a photo; its bytes can be downloaded."""
        number, now = self._chats.new_id(chat), int(time.time())
        file_id = self.add_file(b"\xff\xd8\xff\xe0 a photo", name=f"photo_{number}.jpg")
        return self.post(
            updates.photo_message(
                chat,
                _person(user),
                caption,
                file_id=file_id,
                message_id=number,
                date=now,
                extra=extra,
            )
        )

    def post_edit(self, update: JsonObject, text: str) -> JsonObject:
        """Somebody edits the message of an earlier update."""
        now = int(time.time())
        return self.post(updates.edited_message(update["message"], text, edit_date=now))

    def press(self, sent: SentMessage, user: int | Person, data: str) -> JsonObject:
        """Somebody presses a button below a message of the bot."""
        query_id = f"query-{self._queue.next_id}"
        self._chats.open_queries.add(query_id)
        on = self._chats.document(sent.message_id)
        return self.post(
            updates.callback_query(_person(user), data, query_id=query_id, on_message=on)
        )

    def block(self, user: int | Person) -> JsonObject:
        """Somebody blocks the bot: it is told, and sending to that chat is refused with 403."""
        return self._change_membership(_person(user), blocked=True)

    def unblock(self, user: int | Person) -> JsonObject:
        """Somebody lets the bot in again."""
        return self._change_membership(_person(user), blocked=False)

    def add_file(
        self, content: bytes, *, name: str = "file.bin", size_bytes: int | None = None
    ) -> str:
        """Store a file for getFile and download; gives its file_id.

        `size_bytes` makes it claim another size than it has.
        """
        number = len(self._methods.files) + 1
        size = len(content) if size_bytes is None else size_bytes
        self._methods.files[f"file-{number}"] = StoredFile(f"files/{number}/{name}", content, size)
        return f"file-{number}"

    def _change_membership(self, person: Person, *, blocked: bool) -> JsonObject:
        old, new = ("member", "kicked") if blocked else ("kicked", "member")
        (self._chats.blocked.add if blocked else self._chats.blocked.discard)(person.id)
        return self.post(
            updates.membership(person.id, person, self.bot, old=old, new=new, date=int(time.time()))
        )


def _person(user: int | Person) -> Person:
    return user if isinstance(user, Person) else Person(user)
