"""What updates are asked for, and what each is read with.

Plain values: our own account as Telegram tells it, and the channel's rule for groups.
"""

from dataclasses import dataclass
from typing import Final

from channels.telegram.settings import GroupRule

ALLOWED_UPDATES: Final = (
    "message",
    "edited_message",
    "callback_query",
    "my_chat_member",
    "stopped_message_generation",
)
"""The kinds we handle. Unset keeps the previous setting, so it is always sent.

Bot API, getUpdates; the last since 10.3 (August 2026), older servers pass over it.
"""


@dataclass(frozen=True, slots=True)
class Me:
    """Our own account, as getMe tells it."""

    id: int
    username: str
    reads_groups: bool = False

    @property
    def account(self) -> str:
        """The account's id in the contract."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an update is read with: who we are, what the channel is called, the rule for groups."""

    me: Me
    channel: str
    groups: GroupRule = "mention"
