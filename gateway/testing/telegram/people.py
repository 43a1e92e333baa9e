"""The people on the other side of the fake Telegram: what they write, send, press and block.

Turns a few words of a test into updates with ids and times and hands them to the queue, or to the
webhook when one is set. Each `post...` gives the Update back, so that a test can deliver it again.
"""

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
        number, now = self._chats.new_id(chat), int(self._queue.now)
        return self.post(
            updates.text_message(chat, sender, text, message_id=number, date=now, extra=extra)
        )

    def post_photo(
        self, chat: int, user: int | Person, caption: str = "", *, extra: JsonObject | None = None
    ) -> JsonObject:
        """Somebody sends a photo; its bytes can be downloaded."""
        number, now = self._chats.new_id(chat), int(self._queue.now)
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

    def post_file(
        self,
        chat: int,
        user: int | Person,
        content: bytes,
        *,
        kind: str = "document",
        name: str | None = None,
        mime: str | None = None,
        caption: str = "",
        extra: JsonObject | None = None,
    ) -> JsonObject:
        """Somebody sends a file as `kind`: voice, audio, video, video_note, animation, document."""
        number, now = self._chats.new_id(chat), int(self._queue.now)
        file_id = self.add_file(content, name=name or f"{kind}_{number}")
        file: JsonObject = {"file_id": file_id, "file_unique_id": f"{file_id}-u"}
        told = {"file_name": name, "mime_type": mime, "file_size": len(content)}
        file |= {field: value for field, value in told.items() if value is not None}
        return self.post(
            updates.media_message(
                chat,
                _person(user),
                kind,
                file,
                caption=caption,
                message_id=number,
                date=now,
                extra=extra,
            )
        )

    def press_stop(self, user: int | Person, *, thread: int | None = None) -> JsonObject:
        """Somebody presses the stop button of the draft that the bot showed them last."""
        person = _person(user)
        shown = [draft.draft_id for draft in self._chats.drafts if draft.chat == person.id]
        draft_id = shown[-1] if shown else 1
        return self.post(updates.stopped_generation(person, draft_id=draft_id, thread=thread))

    def post_edit(self, update: JsonObject, text: str) -> JsonObject:
        """Somebody edits the message of an earlier update."""
        now = int(self._queue.now)
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
        self,
        content: bytes,
        *,
        name: str = "file.bin",
        size_bytes: int | None = None,
        breaks_after: int | None = None,
    ) -> str:
        """Store a file for getFile and download; gives its file_id.

        `size_bytes` makes it claim another size than it has, 0 none at all. With `breaks_after` its
        downloads break off after so many bytes.
        """
        number = len(self._methods.files) + 1
        size = len(content) if size_bytes is None else size_bytes
        path = f"files/{number}/{name}"
        self._methods.files[f"file-{number}"] = StoredFile(
            path, content, size or None, breaks_after
        )
        return f"file-{number}"

    def forget_files(self) -> None:
        """Have no file any more that was stored so far."""
        self._methods.files.clear()

    def _change_membership(self, person: Person, *, blocked: bool) -> JsonObject:
        old, new = ("member", "kicked") if blocked else ("kicked", "member")
        (self._chats.blocked.add if blocked else self._chats.blocked.discard)(person.id)
        return self.post(
            updates.membership(
                person.id, person, self.bot, old=old, new=new, date=int(self._queue.now)
            )
        )


def _person(user: int | Person) -> Person:
    return user if isinstance(user, Person) else Person(user)
