"""Server-sent events: one JSON object each, as OpenAI's clients read them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from .answers import encoded
from .refusals import refusal_of

_END = "data: [DONE]\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def events(objects: AsyncIterator[object], path: str) -> StreamingResponse:
    """A response of them, with their end. What goes wrong on the way is the last object."""

    async def lines() -> AsyncIterator[str]:
        try:
            async for each in objects:
                yield f"data: {encoded(each)}\n\n"
        except Exception as error:
            yield f"data: {bytes(refusal_of(error).response(path).body).decode()}\n\n"
        yield _END

    return StreamingResponse(lines(), media_type="text/event-stream", headers=_HEADERS)
