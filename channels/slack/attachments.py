"""Files that came with a message: what a message says of them. Pure.

A file's address needs the workspace's token, so the reference tells both; `downloads.py` reads it.
"""

import json
from typing import Literal

from yarl import URL

from channels.slack.reading import Raw
from gateway.contract import Attachment
from gateway.contract.text import storable
from gateway.errors import DeliveryRefused

Kind = Literal["image", "audio", "video", "document"]


def attachments(message: Raw, *, team: str) -> tuple[Attachment, ...]:
    """The files of a message; one that is gone or hidden has no address and is left out."""
    return tuple(
        _attachment(file, team=team)
        for file in message.get("files") or ()
        if isinstance(file, dict) and file.get("url_private")
    )


def _attachment(file: Raw, *, team: str) -> Attachment:
    mime = storable(file["mimetype"]) if file.get("mimetype") else None
    size = file.get("size")
    return Attachment(
        kind=_kind(mime or ""),
        ref=json.dumps([team, storable(file["url_private"])]),
        name=storable(file["name"]) if file.get("name") else None,
        mime=mime,
        size_bytes=size if isinstance(size, int) and size >= 0 else None,
    )


def _kind(mime: str) -> Kind:
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def file_of(ref: str) -> tuple[str, URL]:
    """Workspace and address that a reference tells; raises DeliveryRefused."""
    try:
        team, url = json.loads(ref)
        return str(team), URL(url)
    except (ValueError, TypeError) as error:
        raise DeliveryRefused("not a reference to a file of Slack's") from error
