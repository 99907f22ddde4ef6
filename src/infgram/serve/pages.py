"""The page: its files, read once, and what browsers may do with them. No path comes from outside.

All of it is of this server: no script, style or picture of another place, and none in the markup.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from .answers import Json
from .catalogue import Catalogue
from .refusals import Refusal

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
}


class Pages:
    """The endpoints."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        folder = files(__package__) / "page"
        self._files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    async def root(self, request: Request) -> Response:
        """The page for browsers; for programs the names of the indexes, as infini-gram's server."""
        if "text/html" in request.headers.get("accept", ""):
            return self._file("index.html")
        return Json([hosted.name for hosted in self._catalogue])

    async def file(self, request: Request) -> Response:
        """A file of the page."""
        return self._file(request.path_params["name"])

    async def icon(self, request: Request) -> Response:
        """What browsers ask for unasked."""
        return self._file("icon.svg")

    def _file(self, name: str) -> Response:
        if name not in self._files:
            raise Refusal("there is no such file of the page", 404)
        kind = _TYPES[name.rpartition(".")[2]]
        return Response(self._files[name], media_type=kind, headers=_HEADERS)
