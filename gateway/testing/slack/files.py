"""Files of the fake Slack: those people share, and those the app uploads in three steps.

files.getUploadURLExternal gives an address, the bytes are posted there, and
files.completeUploadExternal shares them. Downloads from `url_private` need the bot token; whoever
comes without is shown a sign-in page, as on the real service, instead of being refused.
"""

import mimetypes
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.testing.slack.faults import SlackCall, refused
from gateway.testing.slack.messages import Conversations
from gateway.testing.slack.posting import Posting, new_message
from gateway.testing.slack.workspaces import Directory, Workspace
from gateway.testing.wire import JsonObject


@dataclass(slots=True)
class StoredFile:
    """A file; `size_bytes` may claim another size than it has, `redirect_to` send readers away."""

    id: str
    team: str
    name: str
    content: bytes
    size_bytes: int
    user: str = ""
    title: str = ""
    mimetype: str = ""
    redirect_to: str = ""
    is_uploaded: bool = True
    is_shared: bool = True

    @property
    def path(self) -> str:
        """Where it can be downloaded."""
        return f"/files-pri/{self.team}-{self.id}/{self.name}"


class Files:
    """All files; `url` gives the address of the fake, once it has one."""

    def __init__(
        self,
        directory: Directory,
        conversations: Conversations,
        posting: Posting,
        url: Callable[[], str],
    ) -> None:
        self.stored: dict[str, StoredFile] = {}
        self._directory = directory
        self._conversations = conversations
        self._posting = posting
        self._url = url

    def add(self, team: str, name: str, content: bytes, *, size_bytes: int) -> StoredFile:
        """A file that is there."""
        number = f"F{len(self.stored) + 1:08}"
        mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        file = StoredFile(number, team, name, content, size_bytes, mimetype=mimetype)
        self.stored[number] = file
        return file

    def document(self, file: StoredFile) -> JsonObject:
        """The file object."""
        address = self._url() + file.path
        return {
            "id": file.id,
            "created": int(time.time()),
            "name": file.name,
            "title": file.title or file.name,
            "mimetype": file.mimetype,
            "filetype": file.name.rpartition(".")[2],
            "size": file.size_bytes,
            "mode": "hosted",
            "user": file.user,
            "user_team": file.team,
            "url_private": address,
            "url_private_download": address,
        }

    def get_upload_url(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """files.getUploadURLExternal."""
        length = str(call.params["length"])
        if not length.isdigit() or not int(length):
            raise refused("invalid_arguments", "[ERROR] must be a positive integer: length")
        name = str(call.params["filename"])
        file = self.add(workspace.id, name, b"", size_bytes=int(length))
        file.is_uploaded = file.is_shared = False
        file.user = workspace.bot_user
        return {"upload_url": f"{self._url()}/upload/v1/{file.id}", "file_id": file.id}

    def receive(self, file_id: str, content: bytes) -> str:
        """The bytes of an upload; gives what the address answers."""
        file = self.stored.get(file_id)
        if file is None or file.is_shared:
            raise refused("file_not_found")
        if len(content) != file.size_bytes:
            raise refused("file_size_mismatch")
        file.content, file.is_uploaded = content, True
        return f"OK - {len(content)}"

    def complete(self, call: SlackCall, workspace: Workspace) -> JsonObject:
        """files.completeUploadExternal."""
        files = [self._uploaded(given, workspace) for given in _list_of(call.params["files"])]
        documents = tuple(self.document(file) for file in files)
        names = str(call.params.get("channels") or call.channel)
        for name in filter(None, names.split(",")):
            channel = self._directory.writable(name, workspace)
            self._posting.require_parent(call, channel, call.params.get("thread_ts"))
            said = new_message(call, workspace, channel, ts=self._conversations.clock.next_ts())
            comment = str(call.params.get("initial_comment") or "")
            self._posting.add(channel, said.with_files(documents, comment))
        for file in files:
            file.is_shared = True
        return {"files": list(documents)}

    def find(self, path: str) -> StoredFile | None:
        """The file that stands at that path."""
        return next((file for file in self.stored.values() if file.path == path), None)

    def _uploaded(self, given: JsonObject, workspace: Workspace) -> StoredFile:
        file = self.stored.get(str(given.get("id")))
        if file is None or file.team != workspace.id or not file.is_uploaded:
            raise refused("file_not_found")
        if file.is_shared:
            raise refused("file_already_shared")
        file.title = str(given.get("title") or file.name)
        return file


def _list_of(value: object) -> list[JsonObject]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise refused("invalid_arguments", "[ERROR] must be a list of objects: files")
    return value
