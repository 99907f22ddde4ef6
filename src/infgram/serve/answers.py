"""Answers in JSON, all of it ASCII: whatever a text holds can be sent."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def encoded(content: Any) -> str:
    """As JSON. Raises ValueError for what JSON has no number for.

    >>> encoded({"text": "\\ud800"})
    '{"text":"\\\\ud800"}'
    """
    return _ENCODER.encode(content)


class Json(JSONResponse):
    """An answer of one value."""

    def render(self, content: Any) -> bytes:
        """Its body."""
        return encoded(content).encode()
