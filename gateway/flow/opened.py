"""Messages that may have been opened on a platform by a process that could not store where.

The row of such a message says since when it may stand there and not where. Before it is sent the
platform is asked, so that what was opened is finished or taken back, and does not stay behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from gateway.contract import Channel, SentQuery
from gateway.domain.delivery import Delivery
from gateway.errors import DeliveryLater, DeliveryRefused, GatewayError

log = structlog.get_logger(__name__)

ASK_TIMEOUT_S = 20.0


def is_lost(delivery: Delivery) -> bool:
    """Whether the message may stand on its platform, and nobody knows where."""
    return delivery.opened_at is not None and delivery.open_ref is None


def opened_query(delivery: Delivery) -> SentQuery:
    """The question for a message that was opened, finished or not."""
    return SentQuery(
        delivery_id=delivery.id,
        address=delivery.address,
        part={},
        since=delivery.opened_at or delivery.created_at,
    )


async def with_opened(delivery: Delivery, channel: Channel) -> Delivery:
    """The delivery with the message that was opened for it, where the platform knows one.

    Raises DeliveryLater when it could not be asked now; where it never can, a message without an
    end may stay behind.
    """
    if not is_lost(delivery) or not channel.capabilities.can_ask:
        return delivery
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            found = await channel.find_sent(opened_query(delivery))
    except DeliveryRefused as error:
        log.warning("opened_message_not_looked_up", delivery_id=delivery.id, error=error.code)
        return delivery
    except DeliveryLater:
        raise
    except (GatewayError, TimeoutError) as error:
        raise DeliveryLater("the platform could not be asked for an opened message") from error
    return delivery if found is None else replace(delivery, open_ref=found.provider_id)
