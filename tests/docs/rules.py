"""The rules of the platforms, and ours for every channel: what each says, and which tests prove it.

`python -m tests.docs.rules` writes docs/platform-rules.md anew; a test holds it to the markers.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.docs.page import ROOT

PAGE = ROOT / "docs" / "platform-rules.md"

RULES: Mapping[str, Mapping[str, str]] = {
    "Every channel": {
        "C-1": "stored in one commit, then acknowledged, then worked on",
        "C-2": "signatures cover the raw bytes; a wrong one gets 401 or 403, nothing is kept",
        "C-3": "an event is taken once, by a unique key in the database",
        "C-4": "a webhook is answered within a second (p99); 503 if nothing can be stored",
        "C-5": "one conversation at a time, in the platform's order; different ones side by side",
        "C-6": "replies leave through the outbox, never from a request",
        "C-7": "every failed send is permanent, throttled, not sent, or unknown",
        "C-8": "bots are not answered, and a loop is stopped",
        "C-9": "unknown kinds and fields are acknowledged and counted",
        "C-10": "no secret in any log line",
        "C-11": "long texts are cut at paragraphs, lines, sentences, words; code stays code",
        "C-12": "refused formatting is sent once more as plain text",
    },
    "Telegram": {
        "TG-1": "the offset moves only after the commit",
        "TG-2": "a long poll may take its time limit and a margin",
        "TG-3": "an empty poll is not repeated at once",
        "TG-4": "another poller: back off and say so in health",
        "TG-5": "polling removes an old webhook once, and keeps what waits there",
        "TG-6": "a gap of more than 24 hours is logged",
        "TG-7": "update ids may start anew anywhere",
        "TG-8": "a webhook call carries the secret",
        "TG-9": "503 with Retry-After while nothing can be stored",
        "TG-10": "an update nobody can read is kept raw and answered 200",
        "TG-11": "never 410",
        "TG-12": "setWebhook only where something differs; what waits shows in health",
        "TG-13": "public addresses need one of four ports",
        "TG-14": "the kinds we handle are always named",
        "TG-15": "kinds and fields nobody knows do no harm",
        "TG-20": "a conversation is bot, chat and topic; ids of 64 bits",
        "TG-21": "topics are kept; the General one is left out",
        "TG-22": "a reply survives the deletion of what it answers",
        "TG-23": "in groups only what is for us is answered",
        "TG-24": "no answer to bots, channels and anonymous admins",
        "TG-25": "an edit changes the stored text and is not answered",
        "TG-26": "an album is one turn",
        "TG-27": "captions are text; offsets are UTF-16",
        "TG-28": "a group that became a supergroup keeps its conversation",
        "TG-29": "blocked and unblocked is known",
        "TG-30": "a pressed button is answered at once; values fit 64 bytes",
        "TG-31": "files to 20 MB, streamed, their address never shown",
        "TG-32": "voice notes, photos and uploads have their own limits",
        "TG-40": "texts to 4096, captions to 1024",
        "TG-41": "30 a second for the bot, 1 for a chat, 20 a minute for a group",
        "TG-42": "a 429 pauses the chat, three pause the bot",
        "TG-43": "text with entities, never markup of a model",
        "TG-44": "typing is renewed while it works and ends with it",
        "TG-45": "rich messages where they are switched on, with a way back",
        "TG-46": "no link previews unless wished",
        "TG-50": "a draft in private chats, and then the message",
        "TG-51": "the stop button ends the turn",
        "TG-52": "drafts at most twice a second, and again before they vanish",
        "TG-53": "no stream of edits in groups",
        "TG-54": "what grows stops at the limit of one message",
    },
    "Slack": {
        "SL-1": "the signature covers time and raw body; five minutes at most",
        "SL-2": "the address is verified by its challenge",
        "SL-3": "answered within 3 seconds; a retry is no reason to drop",
        "SL-4": "no retry is wished only for what can never be used",
        "SL-5": "a rate-limited app shows in health",
        "SL-6": "mention and message are one",
        "SL-7": "order is that of ts",
        "SL-10": "a socket is opened with the app's token",
        "SL-11": "an envelope is acknowledged after the commit",
        "SL-12": "a refreshed socket is replaced, a switched-off one ends",
        "SL-13": "any socket may get any envelope",
        "SL-14": "sockets or HTTP",
        "SL-20": "a conversation is a thread in a channel, or a direct message",
        "SL-21": "mentions, direct messages, and threads we are in",
        "SL-22": "bots are not answered unless let in",
        "SL-23": "of the subtypes only real messages count",
        "SL-24": "texts are decoded on the way in, and cannot ping on the way out",
        "SL-25": "buttons and slash commands are answered at once",
        "SL-26": "assistant and agent views have status and prompts",
        "SL-27": "files both ways, bounded, with the token for Slack alone",
        "SL-28": "several workspaces, each with its own installation",
        "SL-40": "a message a second for a channel; 429 waits as told",
        "SL-41": "parts of at most 11,000 characters",
        "SL-42": "blocks carry a text for notifications",
        "SL-43": "links do not unfold unless wished",
        "SL-44": "native streams, flushed by time, ended safely",
        "SL-45": "a stream that was left open is ended",
        "SL-46": "an error may come as 200",
    },
    "SMS and WhatsApp": {
        "TW-1": "fields of tomorrow are ignored, and are part of the signature",
        "TW-2": "the signature covers address and sorted fields",
        "TW-3": "shared keys and SHA-256",
        "TW-4": "the address is ours as configured, with its own encoding",
        "TW-5": "no signature, no error of ours",
        "TW-6": "old tokens are taken while keys rotate",
        "TW-7": "retries as the address asks for them",
        "TW-8": "what got lost is caught up from the list",
        "TW-9": "a retry is the same message",
        "TW-10": "an empty answer at once, the reply by REST",
        "TW-11": "a conversation is account, our number and theirs",
        "TW-12": "media with the credential for Twilio alone, bounded",
        "TW-20": "the words of opting out, in and for help",
        "TW-21": "they are kept, never answered; STOP cancels what waits",
        "TW-22": "a refusal of an opted-out number counts as STOP",
        "TW-30": "a message has a body of 1600, or a template",
        "TW-31": "segments are counted, capped and kept cheap",
        "TW-32": "a reply is worth an hour",
        "TW-33": "429 waits from 1 s, doubling to 30",
        "TW-34": "a messaging service accepts first",
        "TW-35": "status moves forward only",
        "TW-36": "a callback names our delivery",
        "TW-37": "WhatsApp: free text for a day, then a template",
    },
}

HEAD = """# Rules of the platforms, and the tests that prove them

For whoever asks whether a channel really keeps to its platform's rules: each rule in a line, and
the tests that fail when it is broken. Written by `python -m tests.docs.rules` from the markers of
the tests (`@pytest.mark.proves("TG-26")`).
"""


def proofs() -> dict[str, list[str]]:
    """The tests that carry each rule's marker, as `path::name`, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        if "mark.proves" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for rule in _marked(node):
                    found[rule].append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def page(found: Mapping[str, Sequence[str]]) -> str:
    """The document."""
    lines = [HEAD]
    for chapter, rules in RULES.items():
        lines += [f"\n## {chapter}\n", "| rule | what it says | proven by |", "| --- | --- | --- |"]
        for rule, says in rules.items():
            lines.append(f"| {rule} | {says} | {_shown(found.get(rule, ()))} |")
    return "\n".join(lines) + "\n"


def _shown(tests: Sequence[str]) -> str:
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        path, _, name = test.partition("::")
        by_file[path].append(name.removeprefix("test_").replace("_", " "))
    return "<br>".join(
        f"[{Path(path).parent.name}/{Path(path).name}](../{path}): {'; '.join(names)}"
        for path, names in by_file.items()
    )


def _marked(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    rules: list[str] = []
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.proves":
            rules += [ast.literal_eval(argument) for argument in decorator.args]
    return rules


def in_name(rule: str) -> str:
    """A rule's id as the names of its tests hold it.

    >>> in_name("TG-26")
    'tg_26'
    """
    return re.sub(r"\W", "_", rule.lower())


if __name__ == "__main__":
    PAGE.write_text(page(proofs()))
