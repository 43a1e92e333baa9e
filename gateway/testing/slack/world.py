"""Everything behind the doors of the fake Slack, put together.

`World` is what the people (`people.py`), the Web API (`api.py`) and the server share; `make_world`
builds it. It opens nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.testing.slack.deliveries import Deliveries
from gateway.testing.slack.files import Files
from gateway.testing.slack.installs import Installs
from gateway.testing.slack.messages import Conversations
from gateway.testing.slack.posting import Announce, Posting
from gateway.testing.slack.responses import ResponseUrls
from gateway.testing.slack.streams import Streams
from gateway.testing.slack.workspaces import Directory, Workspace


@dataclass(frozen=True, slots=True)
class World:
    """Workspaces, messages, files, installations, and what is on its way to the app."""

    directory: Directory
    conversations: Conversations
    deliveries: Deliveries
    posting: Posting
    streams: Streams
    files: Files
    responses: ResponseUrls
    installs: Installs


def make_world(
    team: str,
    *,
    url: Callable[[], str],
    announce: Announce,
    on_change: Callable[[], None],
    stream_lasts_s: float,
    rotates: bool,
) -> World:
    """A world with one workspace that has the app."""
    directory = Directory(Workspace(team))
    conversations = Conversations()
    posting = Posting(directory, conversations, announce)
    installs = Installs(directory, rotates=rotates)
    installs.new_token(directory.first)
    return World(
        directory=directory,
        conversations=conversations,
        deliveries=Deliveries(on_change),
        posting=posting,
        streams=Streams(directory, conversations, posting, lasts_s=stream_lasts_s),
        files=Files(directory, conversations, posting, url),
        responses=ResponseUrls(directory, conversations, posting, url),
        installs=installs,
    )
