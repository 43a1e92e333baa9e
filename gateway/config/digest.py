"""What a bot is made of, so that a changed bot gets a new version number.

The document is plain JSON without secrets: of a tool's headers only the names are in it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from gateway.domain.bots import Bot


def bot_document(bot: Bot) -> dict[str, Any]:
    """The bot as JSON values, without its version and without secrets."""
    document = asdict(bot)
    del document["version"]
    for tool in document["tools"].values():
        tool["headers"] = sorted(tool["headers"])
    document = json.loads(json.dumps(document, default=str))
    return dict(document)


def bot_digest(bot: Bot) -> str:
    """SHA-256 of the document, in hexadecimal: equal for equal bots, over restarts and machines."""
    text = json.dumps(bot_document(bot), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
