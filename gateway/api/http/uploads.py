"""One uploaded file off the wire, piece by piece: the field `file` of a form (RFC 7578).

Whatever else stands in the form is skipped. Sizes are refused by the declared length first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.api.http.errors import WrongMedia
from gateway.errors import BadRequest, FieldError, TooLarge, Unprocessable

FIELD = "file"
CHUNK_BYTES = 65_536
FRAME_BYTES = 65_536
"""What a form may add to its file."""
MAX_PARTS = 20
MAX_NAME_CHARS = 255


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that is on its way; `pieces` are read once."""

    name: str | None
    mime: str | None
    pieces: AsyncGenerator[bytes, None]


@asynccontextmanager
async def read_upload(
    request: web.Request, *, max_bytes: int, timeout_s: float
) -> AsyncIterator[UploadedFile]:
    """The file of a form.

    Raises WrongMedia, TooLarge, Unprocessable without a file, and BadRequest when the form is
    broken or comes too slowly, also while its pieces are read.
    """
    if request.content_type != "multipart/form-data":
        raise WrongMedia("A file is sent as multipart/form-data.")
    if (request.content_length or 0) > max_bytes + FRAME_BYTES:
        raise TooLarge(f"The file is over {max_bytes} bytes.")
    try:
        async with asyncio.timeout(timeout_s):
            part = await _find_file(await request.multipart())
            name = (part.filename or "")[:MAX_NAME_CHARS] or None
            mime = part.headers.get("Content-Type")
            yield UploadedFile(name, mime, _pieces(part))
    except TimeoutError as error:
        raise BadRequest("The body came too slowly.", code="body_too_slow") from error
    except web.RequestPayloadError as error:
        raise BadRequest("The body broke off.", code="invalid_body") from error
    except (HttpProcessingError, ValueError, AssertionError, KeyError, EOFError) as error:
        raise BadRequest("The form cannot be read.", code="invalid_body") from error


async def _find_file(form: MultipartReader) -> BodyPartReader:
    for _ in range(MAX_PARTS):
        part = await form.next()
        if part is None:
            break
        if isinstance(part, BodyPartReader) and part.name == FIELD:
            return part
    fields = [FieldError(f"/{FIELD}", "required", "the form needs a file in this field")]
    raise Unprocessable("The request is not valid.", fields=fields)


async def _pieces(part: BodyPartReader) -> AsyncGenerator[bytes, None]:
    while piece := await part.read_chunk(CHUNK_BYTES):
        yield bytes(piece)
    if not part.at_eof():
        raise BadRequest("The body broke off.", code="invalid_body")
