"""POST /{index}/attribution: which parts of a text stand in the corpus, in Ai2's form.

Source: the API of https://github.com/allenai/infinigram-api, which stands behind OLMoTrace.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.requests import Request

from ..index import Index
from ..results import Match
from ..text.placing import PlacedText, place
from ..tracing.attribution import Span, attribute
from .answers import Json
from .catalogue import Catalogue
from .documents import metadata_of, window
from .fields import Fields, read_object
from .refusals import Refusal
from .settings import Settings
from .work import Threads

_RANKS = {"length": "length", "unigram_logprob_sum": "log_prob"}


class Attributing:
    """The endpoint."""

    def __init__(self, catalogue: Catalogue, settings: Settings, threads: Threads) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._threads = threads

    async def __call__(self, request: Request) -> Json:
        """The spans of a text, with documents that have them."""
        limits = self._settings.limits
        fields = Fields(await read_object(request, limits))
        hosted = self._catalogue.index(request.path_params["index"])
        fields.take("prompt")
        text = fields.text("response", most=limits.text_characters)
        delimiters = fields.take("delimiters", [])
        if not isinstance(delimiters, list) or not all(
            isinstance(each, str) and len(each) == 1 for each in delimiters
        ):
            raise Refusal("delimiters must be a list of characters", param="delimiters")
        rank = fields.text("spanRankingMethod", "length")
        if rank not in _RANKS:
            raise Refusal(
                f"spanRankingMethod is {rank!r:.80}, expected one of: {', '.join(_RANKS)}",
                param="spanRankingMethod",
            )
        wishes: dict[str, Any] = {
            "min_length": fields.whole("minimumSpanLength", 1, 1),
            "max_count": fields.whole("maximumFrequency", 10, 1),
            "density": fields.number("maximumSpanDensity", 0.05, 1e-9, 1),
            "whole_words": not fields.flag("allowSpansWithPartialWords"),
            "delimiters": "".join(delimiters),
            "rank": _RANKS[rank],
            "limit": limits.spans,
            "max_documents": fields.whole("maximumDocumentsPerSpan", 10, 1, limits.documents),
            "context": 0,
            "seed": 0,
        }
        context = fields.whole("maximumContextLength", 250, 0, 1000)
        long = fields.whole("maximumContextLengthLong", 100, 0, 1000)
        snippet = fields.whole("maximumContextLengthSnippet", 40, 0, 1000)
        fields.end()

        def work() -> dict[str, Any]:
            index = hosted.index
            found = attribute(index, text, **wishes)
            placed = place(index.tokenizer, text)
            spans = [
                self._span(index, placed, span, context, long, snippet) for span in found.spans
            ]
            tokens = placed.token_ids.tolist()
            return {
                "index": hosted.name,
                "spans": spans,
                "inputTokens": hosted.all_shown(tokens),
            }

        return Json(await self._threads.run(work))

    def _span(
        self,
        index: Index,
        placed: PlacedText,
        span: Span,
        context: int,
        long: int,
        snippet: int,
    ) -> dict[str, Any]:
        left = int(np.searchsorted(placed.begins, span.start))
        right = left + span.n_tokens
        return {
            "left": left,
            "right": right,
            "length": span.n_tokens,
            "count": span.count,
            "unigramLogprobSum": span.log_prob,
            "text": span.text,
            "tokenIds": placed.token_ids[left:right].tolist(),
            "documents": [
                self._document(index, match, span.n_tokens, context, long, snippet)
                for match in span.documents
            ],
        }

    def _document(
        self, index: Index, match: Match, n: int, context: int, long: int, snippet: int
    ) -> dict[str, Any]:
        """A place of a span, with much, less and little around it."""
        much, less, little = (
            window(index, match.document, match.offset, around, n + around)
            for around in (context, long, snippet)
        )
        return {
            "documentIndex": match.document,
            "documentLength": much.length,
            "displayLength": len(much.shown.token_ids),
            "needleOffset": much.place,
            "metadata": metadata_of(much.shown, self._settings),
            "tokenIds": much.shown.token_ids.tolist(),
            "text": much.shown.text,
            "blocked": False,
            "displayLengthLong": len(less.shown.token_ids),
            "needleOffsetLong": less.place,
            "textLong": less.shown.text,
            "displayOffsetSnippet": little.begin,
            "needleOffsetSnippet": little.place,
            "textSnippet": little.shown.text,
        }
