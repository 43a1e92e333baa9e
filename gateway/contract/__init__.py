"""The channel contract: all that an adapter to a messaging platform has to know.

A channel author reads this package and needs no other: `channel.py` first, then `inbound.py` and
`outbound.py`; `cut.py` and `raw_body.py` are tools for `render` and for webhooks. An adapter
connects to one platform account, turns what arrives into `Inbound` values, and sends rendered
parts. It knows no bot, no session, no database. Two rules matter most:

1. **Accept, then acknowledge.** `ChannelHost.accept` returns only when everything it was given is
   on disk. Only then tell the platform (HTTP 200, next offset, envelope ack). If it raises, answer
   503 or do not advance: the platform will redeliver, and duplicates are dropped by external id.
2. **One part, one try.** `deliver` sends exactly one part once. It never retries, sleeps or splits:
   it raises one of three errors and the outbox decides. `DeliveryLater`: certainly not sent.
   `DeliveryUnknown`: written, no answer. `DeliveryRefused`: never.

Everything here is plain data without platform notions; parts are plain JSON and are stored.
"""

from __future__ import annotations

from gateway.contract.channel import (
    Capabilities,
    Channel,
    ChannelHost,
    HealthState,
    LiveKind,
    LiveOutput,
    Pace,
)
from gateway.contract.inbound import (
    ActionPressed,
    AddressMoved,
    Arrival,
    ConsentChanged,
    DeliveryReport,
    Inbound,
    InboundMessage,
    MessageEdited,
    Reachability,
    StopPressed,
    Unreadable,
)
from gateway.contract.outbound import (
    Button,
    OutboundMessage,
    Receipt,
    ReplyTo,
    SentQuery,
)
from gateway.contract.values import (
    Address,
    Attachment,
    Json,
    Sender,
)

__all__ = [
    "ActionPressed",
    "Address",
    "AddressMoved",
    "Arrival",
    "Attachment",
    "Button",
    "Capabilities",
    "Channel",
    "ChannelHost",
    "ConsentChanged",
    "DeliveryReport",
    "HealthState",
    "Inbound",
    "InboundMessage",
    "Json",
    "LiveKind",
    "LiveOutput",
    "MessageEdited",
    "OutboundMessage",
    "Pace",
    "Reachability",
    "Receipt",
    "ReplyTo",
    "Sender",
    "SentQuery",
    "StopPressed",
    "Unreadable",
]
