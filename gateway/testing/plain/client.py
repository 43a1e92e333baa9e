"""The calls of the plain platform, as its channel makes them, with the contract's errors."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp

from gateway.contract import Json
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown

NEVER_WRITTEN = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Unknown(DeliveryRefused):
    """The platform does not know the message, any more."""


class PlainApi:
    """The platform's calls, with its answers as the contract's errors."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")

    async def call(
        self, method: str, path: str, body: Json | None = None, *, data: bytes | None = None
    ) -> dict[str, Any]:
        """One call; raises `DeliveryLater`, `DeliveryUnknown` or `DeliveryRefused`."""
        try:
            async with self._client.request(
                method, self._url + path, json=body, data=data
            ) as answer:
                raw = await answer.read()
        except NEVER_WRITTEN as error:
            raise DeliveryLater("the platform cannot be reached") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryUnknown("the platform gave no answer") from error
        match answer.status:
            case 200:
                return _document(raw)
            case 429:
                wait_s = float(answer.headers.get("Retry-After", 1))
                raise DeliveryLater("the platform is busy", retry_after_s=wait_s)
            case 401:
                raise DeliveryRefused("the platform refuses the token", scope="account")
            case 403:
                raise DeliveryRefused("the platform refuses the chat", scope="address")
            case 404:
                raise Unknown("the platform does not know the message")
            case status if status >= 500:
                raise DeliveryUnknown(f"the platform broke ({status})")
            case status:
                raise DeliveryRefused(f"the platform refuses the message ({status})")

    async def download(self, file_id: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file; raises `DeliveryLater` or `DeliveryRefused`."""
        # The address opens the file, and errors of the client hold it: none is passed on.
        try:
            async with self._client.get(f"{self._url}/files/{file_id}") as answer:
                if answer.status in (403, 404, 410):
                    raise DeliveryRefused(f"the platform refuses the file ({answer.status})")
                if answer.status != 200:
                    raise DeliveryLater(f"the platform has no file now ({answer.status})")
                async for piece in answer.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError):
            raise DeliveryLater("the download broke off") from None


def _document(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise DeliveryUnknown("the platform's answer means nothing") from error
    if not isinstance(document, dict):
        raise DeliveryUnknown("the platform's answer means nothing")
    return document
