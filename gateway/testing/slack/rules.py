"""What Slack demands of the arguments of a call, apart from the state of the workspace.

Takes method and arguments; gives a refusal, or remarks: things that Slack lets pass and that are
mistakes all the same (an argument it does not know, blocks without a text for notifications).
Limits and words from docs.slack.dev, methods and Block Kit reference; the total of blocks from
slackapi/bolt-js issue 2509.
"""

from collections.abc import Iterator
from typing import Final

from gateway.testing.slack.faults import Refused, SlackError, refused
from gateway.testing.wire import JsonObject, JsonValue

MAX_MARKDOWN: Final = 12_000
MAX_SECTION: Final = 3_000
MAX_BLOCKS: Final = 50
MAX_BLOCK_CHARACTERS: Final = 13_200
MAX_ELEMENTS: Final = 25
BUTTON_LIMITS: Final = {"text": 75, "value": 2_000, "action_id": 255}
MAX_METADATA: Final = 16_000

CONTENT: Final = frozenset({"text", "blocks", "attachments", "markdown_text"})
STYLE: Final = frozenset({"icon_emoji", "icon_url", "username"})
POST: Final = CONTENT | STYLE | {"as_user", "link_names", "parse", "thread_ts"}
PAGE: Final = frozenset(
    {"cursor", "limit", "inclusive", "include_all_metadata", "latest", "oldest"}
)

ARGUMENTS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "auth.test": (frozenset(), frozenset()),
    "apps.connections.open": (frozenset(), frozenset()),
    "chat.postMessage": (
        frozenset({"channel"}),
        POST | {"reply_broadcast", "unfurl_links", "unfurl_media", "mrkdwn", "metadata"},
    ),
    "chat.postEphemeral": (frozenset({"channel", "user"}), POST),
    "chat.update": (
        frozenset({"channel", "ts"}),
        CONTENT | {"as_user", "link_names", "parse", "reply_broadcast", "metadata", "file_ids"},
    ),
    "chat.delete": (frozenset({"channel", "ts"}), frozenset({"as_user"})),
    "chat.startStream": (
        frozenset({"channel"}),
        STYLE
        | {"thread_ts", "markdown_text", "chunks", "task_display_mode"}
        | {"recipient_team_id", "recipient_user_id"},
    ),
    "chat.appendStream": (frozenset({"channel", "ts"}), frozenset({"markdown_text", "chunks"})),
    "chat.stopStream": (
        frozenset({"channel", "ts"}),
        frozenset({"markdown_text", "chunks", "blocks", "metadata", "session_status"}),
    ),
    "conversations.history": (frozenset({"channel"}), PAGE),
    "conversations.replies": (frozenset({"channel", "ts"}), PAGE),
    "conversations.info": (
        frozenset({"channel"}),
        frozenset({"include_locale", "include_num_members"}),
    ),
    "conversations.open": (
        frozenset(),
        frozenset({"channel", "users", "return_im", "prevent_creation"}),
    ),
    "users.info": (frozenset({"user"}), frozenset({"include_locale"})),
    "assistant.threads.setStatus": (
        frozenset({"channel_id", "thread_ts", "status"}),
        STYLE | {"loading_messages"},
    ),
    "assistant.threads.setTitle": (frozenset({"channel_id", "thread_ts", "title"}), frozenset()),
    "assistant.threads.setSuggestedPrompts": (
        frozenset({"channel_id", "prompts"}),
        frozenset({"thread_ts", "title"}),
    ),
    "reactions.add": (frozenset({"channel", "timestamp", "name"}), frozenset()),
    "files.getUploadURLExternal": (
        frozenset({"filename", "length"}),
        frozenset({"alt_txt", "snippet_type"}),
    ),
    "files.completeUploadExternal": (
        frozenset({"files"}),
        frozenset({"channel_id", "channels", "thread_ts", "initial_comment", "blocks"}),
    ),
    "oauth.v2.access": (
        frozenset(),
        frozenset({"client_id", "client_secret", "code", "redirect_uri"})
        | {"grant_type", "refresh_token"},
    ),
    "views.publish": (frozenset({"user_id", "view"}), frozenset({"hash"})),
}
"""By method: the arguments it needs, and those it may have."""

NEEDS_CONTENT: Final = frozenset({"chat.postMessage", "chat.postEphemeral", "chat.update"})


def check(method: str, params: JsonObject) -> None:
    """Refuse a call whose arguments break a rule."""
    needed, _ = ARGUMENTS[method]
    missing = sorted(name for name in needed if params.get(name) in (None, ""))
    missing = [name for name in missing if (method, name) != (SET_STATUS, "status")]
    if missing:
        messages = [f"[ERROR] missing required field: {name}" for name in missing]
        raise refused("invalid_arguments", *messages)
    for name in ("channel", "channel_id", "ts", "thread_ts", "user", "text", "markdown_text"):
        if not isinstance(params.get(name), str | None):
            raise refused("invalid_arguments", f"[ERROR] must be a string [json-pointer:/{name}]")
    _check_text(method, params)
    _check_blocks(params)
    _check_metadata(params.get("metadata"))


SET_STATUS: Final = "assistant.threads.setStatus"


def remarks(method: str, params: JsonObject) -> Iterator[str]:
    """Mistakes that Slack lets pass."""
    needed, allowed = ARGUMENTS[method]
    for name in sorted(set(params) - needed - allowed - {"team_id"}):
        yield f"there is no argument {name}"
    has_text = params.get("text") or params.get("markdown_text")
    if params.get("blocks") and not has_text and method in NEEDS_CONTENT:
        yield "blocks without a text for notifications"


def _check_text(method: str, params: JsonObject) -> None:
    markdown = str(params.get("markdown_text") or "")
    if markdown and (params.get("text") or params.get("blocks")) and method in NEEDS_CONTENT:
        raise refused("markdown_text_conflict")
    if markdown and params.get("chunks"):
        raise refused("cannot_provide_both_markdown_text_and_chunks")
    if len(markdown) > MAX_MARKDOWN or len(chunk_text(params)) > MAX_MARKDOWN:
        raise refused("msg_too_long")
    empty = all(not _has_content(params.get(name)) for name in CONTENT)
    if method in NEEDS_CONTENT and empty and not params.get("file_ids"):
        raise refused("no_text")


def chunk_text(params: JsonObject) -> str:
    """The Markdown of a stream's chunks; refused when a chunk is no chunk."""
    chunks = params.get("chunks") or []
    if not isinstance(chunks, list):
        raise refused("invalid_chunks")
    texts = []
    for chunk in chunks:
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if kind not in {"markdown_text", "task_update", "plan_update", "blocks"}:
            raise refused("invalid_chunks")
        if kind == "markdown_text":
            texts.append(str(chunk.get("text") or ""))
    return "".join(texts)


def _has_content(value: JsonValue) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value)


def _check_blocks(params: JsonObject) -> None:
    blocks = params.get("blocks")
    if blocks is None:
        return
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise refused("invalid_blocks_format")
    if len(blocks) > MAX_BLOCKS:
        raise refused(
            "invalid_blocks", "[ERROR] no more than 50 items allowed [json-pointer:/blocks]"
        )
    for number, block in enumerate(blocks):
        _check_block(number, block)
    markdown = sum(_length(block) for block in blocks if block["type"] == "markdown")
    if markdown > MAX_MARKDOWN:
        raise refused("msg_too_long")
    if sum(_length(block) for block in blocks) > MAX_BLOCK_CHARACTERS:
        raise refused("msg_blocks_too_long")


def _check_block(number: int, block: JsonObject) -> None:
    pointer = f"[json-pointer:/blocks/{number}"
    if not isinstance(block.get("type"), str):
        raise refused("invalid_blocks", f"[ERROR] missing required field: type {pointer}]")
    if block["type"] == "actions":
        _check_actions(pointer, block.get("elements"))
    if block["type"] == "section" and not (block.get("text") or block.get("fields")):
        raise refused("invalid_blocks", f"[ERROR] missing required field: text {pointer}]")
    if block["type"] == "section" and _length(block) > MAX_SECTION:
        message = f"[ERROR] must be less than 3001 characters {pointer}/text/text]"
        raise refused("invalid_blocks", message)


def _check_actions(pointer: str, elements: JsonValue) -> None:
    if not isinstance(elements, list) or not 1 <= len(elements) <= MAX_ELEMENTS:
        raise refused("invalid_blocks", f"[ERROR] must have 1 to 25 elements {pointer}/elements]")
    for number, element in enumerate(elements):
        here = f"{pointer}/elements/{number}"
        if not isinstance(element, dict) or not element.get("type"):
            raise refused("invalid_blocks", f"[ERROR] missing required field: type {here}]")
        if element["type"] != "button":
            continue
        fields = {**element, "text": (element.get("text") or {}).get("text")}
        if not fields["text"]:
            raise refused("invalid_blocks", f"[ERROR] missing required field: text {here}]")
        for name, most in BUTTON_LIMITS.items():
            if len(str(fields.get(name) or "")) > most:
                message = f"[ERROR] must be less than {most + 1} characters {here}/{name}]"
                raise refused("invalid_blocks", message)


def _length(block: JsonObject) -> int:
    text = block.get("text")
    return len(str(text.get("text", ""))) if isinstance(text, dict) else len(str(text or ""))


def _check_metadata(metadata: JsonValue) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise refused("invalid_metadata_format")
    kind, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not isinstance(kind, str) or not kind or not isinstance(payload, dict):
        raise refused("invalid_metadata_schema")
    if len(str(metadata)) > MAX_METADATA:
        raise Refused(SlackError("metadata_too_large"))
