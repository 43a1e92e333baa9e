"""What the fake Telegram remembers of its chats: messages sent, edited, deleted, drafts, buttons.

Takes calls that passed all checks and applies them; gives Message objects for the answers, and
`SentMessage` records for tests. What refers to something that is not there is refused in the real
server's words.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.testing.telegram.faults import BotCall, Refused, bad_request, blocked_by_user
from gateway.testing.telegram.spec import Upload
from gateway.testing.telegram.updates import Person, message
from gateway.testing.telegram.uploads import file_document, require_file
from gateway.testing.wire import JsonObject

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)

OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message of the bot, as a person sees it now.

    `text` is the text or the caption after the last edit, `edits` the texts it had before, oldest
    first. `params` are those of the call that sent it.
    """

    message_id: int
    chat: int
    method: str
    text: str
    at: float
    params: JsonObject
    entities: tuple[JsonObject, ...] = ()
    edits: tuple[str, ...] = ()
    is_deleted: bool = False
    uploads: Mapping[str, Upload] = field(default_factory=dict)

    @property
    def thread(self) -> int | None:
        """The topic it was sent to."""
        thread = self.params.get("message_thread_id")
        return thread if isinstance(thread, int) else None

    @property
    def reply_to(self) -> int | None:
        """The message it answers."""
        given = self.params.get("reply_parameters")
        return given.get("message_id") if isinstance(given, dict) else None


@dataclass(frozen=True, slots=True)
class Draft:
    """One state of a streamed draft; it was never a message."""

    chat: int
    draft_id: int
    text: str
    at: float


class Chats:
    """The state of all chats of one bot; `counts` are messages by chat, None for all chats."""

    def __init__(self, bot: Person) -> None:
        self.blocked: set[int] = set()
        self.drafts: list[Draft] = []
        self.open_queries: set[str] = set()
        self.counts: Counter[int | None] = Counter()
        self._bot = bot
        self._last_id = 0
        self._sent: dict[int, SentMessage] = {}
        self._ids_of: defaultdict[int, list[int]] = defaultdict(list)
        self._posted: set[tuple[int, int]] = set()

    def new_id(self, chat: int) -> int:
        """The id of a message a person is about to post in that chat."""
        self._last_id += 1
        self._posted.add((chat, self._last_id))
        return self._last_id

    def sent(self, chat: int | None = None) -> list[SentMessage]:
        """Messages of the bot that were not deleted, in the order they were accepted."""
        ids = self._sent if chat is None else self._ids_of.get(chat, ())
        return [self._sent[number] for number in ids if not self._sent[number].is_deleted]

    def send(self, call: BotCall) -> JsonObject:
        """Record a new message."""
        self._require_reachable(call)
        self._require_reply_target(call)
        require_file(call)
        self._last_id += 1
        text, entities = _content(call.params)
        self.counts.update((call.chat, None))
        self._ids_of[call.chat].append(self._last_id)
        self._sent[self._last_id] = SentMessage(
            message_id=self._last_id,
            chat=call.chat,
            method=call.method,
            text=text,
            at=call.at,
            params=call.params,
            entities=entities,
            uploads=call.uploads,
        )
        return self.document(self._last_id)

    def edit(self, call: BotCall) -> JsonObject:
        """Change a message of the bot."""
        self._require_reachable(call)
        old = self._existing(call, "message to edit not found")
        text, entities = _content(call.params)
        markup = call.params.get("reply_markup")
        if (text, entities, markup) == (old.text, old.entities, old.params.get("reply_markup")):
            raise bad_request(NOT_MODIFIED)
        self._sent[old.message_id] = replace(
            old,
            text=text,
            entities=entities,
            edits=(*old.edits, old.text),
            params={**old.params, "reply_markup": markup},
        )
        return {**self.document(old.message_id), "edit_date": int(time.time())}

    def delete(self, call: BotCall) -> bool:
        """Remove a message of the bot."""
        old = self._existing(call, "message to delete not found")
        self._sent[old.message_id] = replace(old, is_deleted=True)
        self.counts.subtract((call.chat, None))
        return True

    def draft(self, call: BotCall) -> bool:
        """Show a draft; it leaves no message."""
        self._require_reachable(call)
        text = str(call.params.get("text") or "")
        self.drafts.append(Draft(call.chat, int(call.params.get("draft_id") or 0), text, call.at))
        return True

    def act(self, call: BotCall) -> bool:
        """Show a chat action."""
        self._require_reachable(call)
        return True

    def answer_query(self, call: BotCall) -> bool:
        """Answer a button press; only once, and only one that happened."""
        query = str(call.params.get("callback_query_id"))
        if query not in self.open_queries:
            raise bad_request(OLD_QUERY)
        self.open_queries.remove(query)
        return True

    def document(self, message_id: int) -> JsonObject:
        """The Message object of a message of the bot; KeyError when there is none."""
        sent = self._sent[message_id]
        content = file_document(sent.method, dict(sent.uploads), message_id)
        is_media = bool(content)
        if sent.text or not is_media:
            content["caption" if is_media else "text"] = sent.text
        if sent.entities:
            content["caption_entities" if is_media else "entities"] = list(sent.entities)
        if sent.thread is not None:
            content["message_thread_id"] = sent.thread
        markup = sent.params.get("reply_markup")
        if isinstance(markup, dict) and "inline_keyboard" in markup:
            content["reply_markup"] = markup
        return message(
            sent.chat, self._bot, message_id=message_id, date=int(time.time()), extra=content
        )

    def _require_reachable(self, call: BotCall) -> None:
        if call.params.get("chat_id") in (None, "", 0):
            raise bad_request("chat_id is empty")
        if not call.chat:
            raise bad_request("chat not found")
        if call.chat in self.blocked:
            raise Refused(blocked_by_user())

    def _require_reply_target(self, call: BotCall) -> None:
        reply = call.params.get("reply_parameters")
        if not isinstance(reply, dict) or reply.get("allow_sending_without_reply"):
            return
        target = reply.get("message_id")
        sent = self._sent.get(target) if isinstance(target, int) else None
        exists = sent is not None and not sent.is_deleted and sent.chat == call.chat
        if not exists and (call.chat, target) not in self._posted:
            raise bad_request("message to be replied not found")

    def _existing(self, call: BotCall, otherwise: str) -> SentMessage:
        found = self._sent.get(call.params.get("message_id", 0))
        if found is None or found.is_deleted or found.chat != call.chat:
            raise bad_request(otherwise)
        return found


def _content(params: JsonObject) -> tuple[str, tuple[JsonObject, ...]]:
    rich = params.get("rich_message")
    if isinstance(rich, dict):
        return str(rich.get("markdown") or rich.get("html") or ""), ()
    if "caption" in params:
        return str(params["caption"]), tuple(params.get("caption_entities") or ())
    return str(params.get("text") or ""), tuple(params.get("entities") or ())
