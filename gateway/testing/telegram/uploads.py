"""Files that a bot sends through the fake Telegram: what is taken, and how a message shows it.

Takes calls of `sendPhoto` and its kin; refuses what is too large or no file at all, and gives the
part of the Message object that describes the file. Sizes are Telegram's: 10 MB for photos, 50 MB
for others (Bot API, "Sending files").
"""

from typing import Final

from gateway.testing.telegram.faults import ApiError, BotCall, Refused, bad_request
from gateway.testing.telegram.spec import Upload
from gateway.testing.wire import JsonObject

FIELDS: Final = {
    "sendPhoto": "photo",
    "sendDocument": "document",
    "sendVoice": "voice",
    "sendAudio": "audio",
    "sendVideo": "video",
}
"""Methods that send a file, and the field it is in."""

PHOTO_BYTES: Final = 10 * 1000 * 1000
FILE_BYTES: Final = 50 * 1000 * 1000


def require_file(call: BotCall) -> None:
    """Refuse a call that should carry a file and does not, or one that is too large."""
    field = FIELDS.get(call.method)
    if field is None:
        return
    if not call.params.get(field):
        raise bad_request(f"there is no {field} in the request")
    size = sum(len(upload.content) for upload in call.uploads.values())
    if size > FILE_BYTES:
        raise Refused(ApiError(413, "Request Entity Too Large"))
    if field == "photo" and size > PHOTO_BYTES:
        raise bad_request(f"file of size {size} bytes is too big for a photo")
    if size == 0 and call.uploads:
        raise bad_request("file must be non-empty")


def file_document(method: str, uploads: dict[str, Upload], message_id: int) -> JsonObject:
    """The fields of a Message that show the file which was sent; none for a text."""
    field = FIELDS.get(method)
    if field is None:
        return {}
    upload = uploads.get(field)
    file: JsonObject = {
        "file_id": f"sent-{message_id}",
        "file_unique_id": f"sent-{message_id}-u",
        "file_size": len(upload.content) if upload else 0,
    }
    if field == "photo":
        return {"photo": [file | {"width": 1280, "height": 853}]}
    if field == "video":
        file |= {"width": 1280, "height": 720}
    if field in ("voice", "audio", "video"):
        file |= {"duration": 1}
    if field != "voice" and upload:
        file |= {"file_name": upload.file_name}
    return {field: file}
