"""Where a column stands in the rows of the views, for operations that look at a row themselves.

Whoever wants a domain value asks `gateway.store.rows`; this is for the few columns that an
operation decides by. A test compares the numbers with the views.
"""

from __future__ import annotations

from typing import Final


class TurnAt:
    """Columns of a `turn_row`."""

    TURN_ID: Final = 0
    PROJECT_ID: Final = 1
    SESSION_ID: Final = 2
    STATE: Final = 5
    TOOL_CALLS: Final = 20
    FIRST_MESSAGE: Final = 26
    LAST_MESSAGE: Final = 27


class DeliveryAt:
    """Columns of a `delivery_row`."""

    DELIVERY_ID: Final = 0
    PROJECT_ID: Final = 1
    TURN_ID: Final = 3
    PART_NO: Final = 4
    OUT_NO: Final = 5
    ACCOUNT: Final = 6
    STATE: Final = 11
    OPEN_REF: Final = 13
    RECEIPT: Final = 15
    ERROR: Final = 16
    IS_COMMAND_ANSWER: Final = 17
    NEXT_AT: Final = 18
    SENT_STARTED_AT: Final = 19
    CREATED_AT: Final = 20
    ADDRESS_ID: Final = 21
    OWNER: Final = 22
    CHANNEL: Final = 23
    SETTLED_AT: Final = 24
    MESSAGE_ID: Final = 26
    OPENED_AT: Final = 27
    REFUSED_ID: Final = 28


class SessionAt:
    """Columns of a `session_row`."""

    SESSION_ID: Final = 0
    PROJECT_ID: Final = 1
    BOT: Final = 2
    PARTICIPANT_ID: Final = 3
    CHANNEL: Final = 4
    AGENT: Final = 8
    STATE: Final = 11
    VERSION: Final = 14
    PENDING: Final = 15
    ENDED_AT: Final = 16
    END_REASON: Final = 17
    UPDATED_AT: Final = 19
    ADDRESS_ID: Final = 20
    NEXT_SEQ: Final = 21
    NEXT_MESSAGE_SEQ: Final = 22
    LAST_MESSAGE_AT: Final = 23
    QUEUED: Final = 24
    READY_AT: Final = 25
    OWNER: Final = 26
    EPOCH: Final = 27
