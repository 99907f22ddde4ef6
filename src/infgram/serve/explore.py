"""What the page asks: levels of a context, spans of a text, where a character came from."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from ..index import Index
from ..results import Match, NextTokens
from ..tracing.attribution import attribute
from .answers import Json
from .catalogue import Catalogue
from .documents import source_of
from .fields import Fields, read_object
from .refusals import Refusal
from .settings import Settings
from .work import Threads

_TOKENS_SHOWN = 8
_LEVELS_SHOWN = 60
_CONTEXT = 60
_WINDOW = 1000  # tokens of a context that are looked at


class Explore:
    """The endpoints."""

    def __init__(self, catalogue: Catalogue, settings: Settings, threads: Threads) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._threads = threads

    async def about(self, request: Request) -> Json:
        """The indexes, and the estimators of each."""
        return Json(
            [
                {
                    "name": hosted.name,
                    "n_tokens": hosted.index.n_tokens,
                    "n_documents": hosted.index.n_documents,
                    "tokenizer": hosted.index.tokenizer.name,
                    "estimators": sorted(hosted.models),
                }
                for hosted in self._catalogue
            ]
        )

    async def levels(self, request: Request) -> Json:
        """All back-off levels of a context, longest first; the last one is that of all tokens."""
        fields = await self._fields(request)
        index = self._catalogue.index(fields.take("index")).index
        text = self._text(fields)
        fields.end()

        def work() -> list[dict[str, Any]]:
            cursor = index.cursor(text, window=_WINDOW)
            ids = index.ids(text)
            shown = []
            levels = cursor.levels()
            for i, level in enumerate(levels[:_LEVELS_SHOWN]):
                suffix = index.decode(ids[len(ids) - level.n :])
                shown.append(_level(level.n, level.m, suffix, cursor.ntd(i)))
            everything = index.ntd(())
            return [*shown, _level(0, everything.prompt_cnt, "", everything)]

        return Json({"levels": await self._threads.run(work)})

    async def spans(self, request: Request) -> Json:
        """The maximal spans of a text, with some of their sources."""
        fields = await self._fields(request)
        index = self._catalogue.index(fields.take("index")).index
        text = self._text(fields)
        least = fields.whole("min_length", 8, 1)
        fields.end()

        def work() -> dict[str, Any]:
            found = attribute(
                index,
                text,
                min_length=least,
                limit=self._settings.limits.spans,
                max_documents=3,
                context=_CONTEXT,
                seed=0,
            )
            return {
                "runs": list(found.runs()),
                "spans": [
                    {
                        "start": span.start,
                        "end": span.end,
                        "n_tokens": span.n_tokens,
                        "count": span.count,
                        "documents": [self._match(match) for match in span.documents],
                    }
                    for span in found.spans
                ],
            }

        return Json(await self._threads.run(work))

    async def trace(self, request: Request) -> Json:
        """Which levels gave the last token of a text, and where the corpus has what led to it."""
        fields = await self._fields(request)
        served = self._catalogue.model(fields.take("model"))
        text = self._text(fields)
        fields.end()
        index: Index = served.hosted.index
        ids = index.ids(text)
        if not len(ids):
            raise Refusal("text has no token, expected one to trace", param="text")

        def work() -> dict[str, Any]:
            (traced,) = served.model.trace(ids[-1:], context=ids[:-1], bos=len(ids) == 1)
            match = list(traced.match)
            if index.end_of_text in match:
                match = match[match.index(index.end_of_text) + 1 :]
            return {
                "text": traced.text,
                "prob": traced.prob,
                "n": traced.n,
                "m": traced.m,
                "levels": [
                    {
                        "n": level.n,
                        "m": level.m,
                        "weight": level.weight,
                        "prob": level.prob,
                        "name": level.name,
                        "push": level.push,
                        "share": level.weight * level.prob / traced.prob if traced.prob else 0.0,
                    }
                    for level in traced.levels[:_LEVELS_SHOWN]
                ],
                "match": index.decode(match),
                "count": index.count(match),
                "documents": [
                    self._match(each)
                    for each in index.find(match, limit=3, context=_CONTEXT, seed=0)
                ],
            }

        return Json(await self._threads.run(work))

    async def _fields(self, request: Request) -> Fields:
        return Fields(await read_object(request, self._settings.limits))

    def _text(self, fields: Fields) -> str:
        return fields.text("text", most=self._settings.limits.text_characters)

    def _match(self, match: Match) -> dict[str, Any]:
        return {
            "source": source_of(match.source, self._settings),
            "line": match.line,
            "column": match.column,
            "before": match.before,
            "match": match.match,
            "after": match.after,
        }


def _level(n: int, m: int, suffix: str, following: NextTokens) -> dict[str, Any]:
    return {
        "n": n,
        "m": m,
        "suffix": suffix,
        "n_next": len(following),
        "next": following.most_common(_TOKENS_SHOWN),
    }
