"""A file on its way out, as the last field of a form: read piece by piece while it is sent.

Takes parameters and an `Upload`; gives the form's body for `transport.py`. Never holds a whole
file.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import MultipartWriter, hdrs

from gateway.errors import GatewayError


class Unsendable(Exception):
    """A file that cannot be sent as what it was meant to be; the reason completes a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Upload:
    """A file to be sent; remembers how reading it ended."""

    field: str
    name: str
    mime: str
    pieces: AsyncGenerator[bytes, None]
    is_begun: bool = False
    is_whole: bool = False
    failure: GatewayError | OSError | Unsendable | None = None

    async def read(self) -> AsyncGenerator[bytes, None]:
        """The bytes, once; whoever reads them ends the reading, also too early."""
        self.is_begun = True
        try:
            async with aclosing(self.pieces):
                async for piece in self.pieces:
                    yield piece
        except (GatewayError, OSError, Unsendable) as error:
            self.failure = error
            raise
        self.is_whole = True


def form_of(parameters: Mapping[str, object], upload: Upload) -> MultipartWriter:
    """A form with the parameters in front and the file at its end."""
    form = MultipartWriter("form-data")
    for name, value in parameters.items():
        text = value if isinstance(value, str) else json.dumps(value)
        form.append(text, _headers(f'name="{name}"'))
    headers = _headers(f'name="{upload.field}"; filename="{upload.name}"')
    headers[hdrs.CONTENT_TYPE] = upload.mime
    form.append(upload.read(), headers)
    return form


def _headers(fields: str) -> dict[str, str]:
    return {hdrs.CONTENT_DISPOSITION: f"form-data; {fields}"}
