"""The page's scripts, styles, font and icon, read once and served with long-lived caching.

All assets live below one digest in the path (`/talk/assets/{version}/{name}`), so that modules
import each other by relative name and every change of any of them changes every address. Takes
nothing but the files of this package; knows no bot and no session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final, Self

from aiohttp import web

_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
"""Content type by file name ending; other files in the folder (licences) are not served."""

_TEXT: Final = frozenset({"css", "js", "svg"})
_ONE_YEAR: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One served file. `etag` is the digest of its bytes."""

    content_type: str
    body: bytes
    etag: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Assets:
    """All assets of the page. `version` changes when any byte of them changes."""

    version: str
    by_name: Mapping[str, Asset]

    @classmethod
    def load(cls) -> Self:
        """Read them from the installed package."""
        folder = files(__package__) / "assets"
        found = {
            entry.name: _asset(entry.name, entry.read_bytes())
            for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
            if _ending(entry.name) in _TYPES
        }
        together = sha256("".join(name + asset.etag for name, asset in found.items()).encode())
        return cls(together.hexdigest()[:16], found)

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the script modules, so that a page can load them side by side."""
        return tuple(name for name in self.by_name if _ending(name) == "js")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /talk/assets/{version}/{name}`.

        Another version in the path (a page from before an upgrade) gets today's bytes, uncached.
        """
        asset = self.by_name.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        is_current = request.match_info["version"] == self.version
        response = web.Response(
            body=asset.body,
            content_type=asset.content_type,
            charset="utf-8" if asset.is_text else None,
            headers={
                "Cache-Control": _ONE_YEAR if is_current else "no-cache",
                "X-Content-Type-Options": "nosniff",
            },
        )
        response.etag = asset.etag
        if request.if_none_match and asset.etag in {tag.value for tag in request.if_none_match}:
            response.set_status(304)
            response.body = None
        elif asset.is_text:
            response.enable_compression()
        return response


def _asset(name: str, body: bytes) -> Asset:
    ending = _ending(name)
    return Asset(
        content_type=_TYPES[ending],
        body=body,
        etag=sha256(body).hexdigest()[:32],
        is_text=ending in _TEXT,
    )


def _ending(name: str) -> str:
    return name.rpartition(".")[2]
