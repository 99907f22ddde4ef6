"""infini-gram's API, on POST /: one object in, one out, whose kind `query_type` says.

As at api.infini-gram.io, with infgram's exact answers: `approx` is always false. What is wrong with
a request as a whole is status 400, what is wrong with a parameter is status 200 and `error` in the
answer, as its clients expect.

Source: the server and the documentation of https://github.com/liujch1998/infini-gram.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from ..checks import whole
from ..errors import InvalidParameter, TokenError
from ..index import Index
from ..occurrences import draw
from ..seeds import generator
from ..text.tokens import ABSENT
from ..tracing.boolean import count_cnf, find_cnf
from .answers import Json
from .catalogue import Catalogue, Hosted
from .documents import metadata_of, place_of, window
from .fields import Fields, read_object
from .refusals import Refusal
from .settings import Limits, Settings
from .work import Threads

Answer = dict[str, Any]
Ids = list[int]
Cnf = list[list[Ids]]

_IGNORED = ("engine", "source", "timestamp")
_DOCUMENT_TOKENS = 1000
_MOST_DOCUMENT_TOKENS = 10_000
_MOST_DOCUMENTS = 10
_MOST_DIFF_TOKENS = 1000
_MOST_CLAUSE_FREQUENCY = 500_000
_MOST_SUPPORT = 1000


@dataclass(frozen=True)
class Asked:
    """A query of an index: an n-gram, or clauses of n-grams, and what else was given with it."""

    hosted: Hosted
    query: Ids | Cnf
    is_cnf: bool
    fields: Fields
    settings: Settings

    @property
    def index(self) -> Index:
        """The index."""
        return self.hosted.index

    @property
    def ngram(self) -> Ids:
        """The query of a type that takes one n-gram. Raises InvalidParameter."""
        if self.is_cnf:
            raise InvalidParameter("the query has AND or OR, expected one n-gram")
        return self.query  # type: ignore[return-value]

    @property
    def some_ngram(self) -> Ids:
        """The same, of at least one token."""
        if not self.ngram:
            raise InvalidParameter("the query is empty, expected at least one token")
        return self.ngram

    @property
    def cnf(self) -> Cnf:
        """Clauses, all of which must hold, of n-grams, one of which must occur."""
        cnf: Cnf = self.query if self.is_cnf else [[self.ngram]]  # type: ignore[assignment]
        if not all(clause and all(clause) for clause in cnf):
            raise InvalidParameter("the query has an empty n-gram: give at least one token")
        return cnf


# Counts -------------------------------------------------------------------------------------------


def total(index: Index, ngram: Ids) -> int:
    """Occurrences of an n-gram; of the empty one all places, ends of documents among them."""
    if not ngram:
        return index.n_tokens + index.n_documents
    if ngram[-1] == index.end_of_text:
        return _followers(index, ngram[:-1]).get(index.end_of_text, 0)
    return index.native.count(_array(ngram))


def _array(ngram: Ids) -> NDArray[np.uint32]:
    return np.array(ngram, np.uint32)


def _followers(index: Index, prompt: Ids) -> dict[int, int]:
    """What follows; the end of the corpus is the end of a document, too."""
    token_ids, counts, _ = index.native.next_tokens(_array(prompt))
    found = dict(zip(token_ids.tolist(), counts.tolist(), strict=True))
    found.pop(index.end_of_text, None)
    ends = total(index, prompt) - sum(found.values())
    return found | ({index.end_of_text: ends} if ends else {})


def longest_suffix(index: Index, prompt: Ids) -> Ids:
    """The longest end of a prompt that occurs.

    >>> import infgram
    >>> bytes(longest_suffix(infgram.build(["to be"]), list(b"see be")))
    b' be'
    """
    if not prompt:
        return []
    length = int(index.native.match_lengths(_array(prompt), len(prompt))[-1])
    return prompt[len(prompt) - length :]


def _count(asked: Asked) -> Answer:
    if not asked.is_cnf:
        return {"count": total(asked.index, asked.ngram), "approx": False}
    distance = _distance(asked)
    return {
        "count": count_cnf(asked.index, asked.cnf, max_diff_tokens=distance),
        "approx": False,
    }


def _prob(asked: Asked) -> Answer:
    *prompt, token = asked.some_ngram
    return _prob_after(asked.index, prompt, token)


def _prob_after(index: Index, prompt: Ids, token: int) -> Answer:
    prompt_cnt = total(index, prompt)
    cont_cnt = total(index, [*prompt, token]) if prompt_cnt else 0
    prob = cont_cnt / prompt_cnt if prompt_cnt else -1.0
    return {"prompt_cnt": prompt_cnt, "cont_cnt": cont_cnt, "prob": prob}


def _ntd(asked: Asked) -> Answer:
    asked.fields.whole("max_support", _MOST_SUPPORT, 1, _MOST_SUPPORT)
    return _ntd_after(asked, asked.ngram)


def _ntd_after(asked: Asked, prompt: Ids) -> Answer:
    followers = _followers(asked.index, prompt)
    prompt_cnt = sum(followers.values())
    shown = asked.hosted.shown
    return {
        "prompt_cnt": prompt_cnt,
        "result_by_token_id": {
            token_id: {"token": shown(token_id), "prob": count / prompt_cnt, "cont_cnt": count}
            for token_id, count in followers.items()
        },
        "approx": False,
    }


def _infgram_prob(asked: Asked) -> Answer:
    *prompt, token = asked.some_ngram
    suffix = longest_suffix(asked.index, prompt)
    return _prob_after(asked.index, suffix, token) | _suffix(asked.index, suffix)


def _infgram_ntd(asked: Asked) -> Answer:
    asked.fields.whole("max_support", _MOST_SUPPORT, 1, _MOST_SUPPORT)
    suffix = longest_suffix(asked.index, asked.ngram)
    return _ntd_after(asked, suffix) | _suffix(asked.index, suffix)


def _suffix(index: Index, suffix: Ids) -> Answer:
    return {"suffix_len": len(suffix), "longest_suffix": index.decode(suffix)}


def _creativity(asked: Asked) -> Answer:
    """For each token where the longest run of the corpus that begins with it ends."""
    ngram = asked.some_ngram
    lengths = asked.index.native.match_lengths(_array(ngram), len(ngram)).astype(np.int64)
    begins = np.arange(1, len(ngram) + 1) - lengths  # of the longest run that ends with each
    ends = np.searchsorted(begins, np.arange(len(ngram)), "right")
    return {"rs": np.maximum(ends, np.arange(len(ngram))).tolist()}


# Documents ----------------------------------------------------------------------------------------


def _find(asked: Asked) -> Answer:
    ranges = asked.index.native.find(_array(asked.some_ngram))
    return {
        "cnt": sum(end - begin for begin, end in ranges),
        "segment_by_shard": [[begin, end] for begin, end in ranges],
    }


def _find_cnf(asked: Asked) -> Answer:
    places = _places(asked)
    return {
        "cnt": sum(map(len, places)),
        "approx": False,
        "ptrs_by_shard": [each.tolist() for each in places],
    }


def _places(asked: Asked) -> list[NDArray[np.int64]]:
    distance = _distance(asked)
    return find_cnf(asked.index, asked.cnf, max_diff_tokens=distance)


def _distance(asked: Asked) -> int:
    """How far clauses may stand apart. Raises InvalidParameter for terms that occur too often."""
    asked.fields.whole("max_clause_freq", 50_000, 1, _MOST_CLAUSE_FREQUENCY)  # all are looked at
    distance = asked.fields.whole("max_diff_tokens", 100, 1, _MOST_DIFF_TOKENS)
    n = sum(total(asked.index, term) for clause in asked.cnf for term in clause)
    most = asked.settings.limits.occurrences
    if n > most and len(asked.cnf) > 1:
        raise InvalidParameter(
            f"the terms occur {n:,} times, expected at most {most:,}: ask for longer ones"
        )
    return distance


def _get_doc_by_rank(asked: Asked) -> Answer:
    ngram, s = asked.some_ngram, _shard(asked)
    rank = asked.fields.whole("rank", -1, 0, asked.index.shard_rows[s] - 1)
    begin, end = asked.index.native.find(_array(ngram))[s]
    if not begin <= rank < end:
        raise InvalidParameter(
            f"rank is {rank}, expected one of the query's in shard {s}, from {begin} on and below "
            f"{end}: `find` tells them"
        )
    (position,) = asked.index.native.positions(s, np.array([rank], np.uint32)).tolist()
    return _document(asked, s, position - len(ngram), [[ngram]])


def _get_doc_by_ptr(asked: Asked) -> Answer:
    s = _shard(asked)
    ptr = asked.fields.whole("ptr", -1, 0, asked.index.shard_rows[s] - 1)
    return _document(asked, s, ptr, asked.cnf)


def _shard(asked: Asked) -> int:
    if asked.index.has_removed:
        asked.index.need_one_piece("a document by its place in a shard")
    return asked.fields.whole("s", -1, 0, asked.index.n_shards - 1)


def _document(asked: Asked, s: int, position: int, cnf: Cnf) -> Answer:
    size = asked.fields.whole("max_disp_len", _DOCUMENT_TOKENS, 1, _MOST_DOCUMENT_TOKENS)
    return _shown(asked, *place_of(asked.index, s, position), size, cnf)


def _shown(asked: Asked, document: int, offset: int, size: int, cnf: Cnf) -> Answer:
    found = window(asked.index, document, offset, size // 2, (size + 1) // 2)
    token_ids = found.shown.token_ids.tolist()
    return {
        "doc_ix": document,
        "doc_len": found.length,
        "disp_len": len(token_ids),
        "metadata": metadata_of(found.shown, asked.settings),
        "needle_offset": found.place,
        "token_ids": token_ids,
        "spans": [[asked.index.decode(ids), label] for ids, label in labelled(token_ids, cnf)],
        "blocked": False,
    }


def _search_docs(asked: Asked) -> Answer:
    n = asked.fields.whole("maxnum", 1, 1, _MOST_DOCUMENTS)
    size = asked.fields.whole("max_disp_len", _DOCUMENT_TOKENS, 1, _MOST_DOCUMENT_TOKENS)
    index, rng = asked.index, generator(None)
    if asked.is_cnf:
        places = _places(asked)
        ends = np.cumsum([len(each) for each in places])
        chosen = np.sort(rng.choice(ends[-1], min(n, int(ends[-1])), replace=False))
        shards = np.searchsorted(ends, chosen, "right").tolist()
        idxs = chosen.tolist()
        firsts = [0, *ends.tolist()]
        at = [(s, int(places[s][i - firsts[s]])) for s, i in zip(shards, idxs, strict=True)]
        cnf, cnt = asked.cnf, int(ends[-1])
    else:
        ngram = asked.some_ngram
        ranges = np.array(index.native.find(_array(ngram)), np.int64)
        sizes = ranges[:, 1] - ranges[:, 0]
        before = np.cumsum(sizes) - sizes - ranges[:, 0]
        rows = draw(ranges, n, rng).tolist()
        idxs = [row + int(before[s]) for s, row in rows]
        at = [
            (s, int(index.native.positions(s, np.array([row], np.uint32))[0]) - len(ngram))
            for s, row in rows
        ]
        cnf, cnt = [[asked.ngram]], int(sizes.sum())
    told = f"Displaying the documents of occurrences #{idxs}" if cnt else ""
    return {
        "cnt": cnt,
        "approx": False,
        "idxs": idxs,
        "documents": [_shown(asked, *place_of(index, s, place), size, cnf) for s, place in at],
        "message": f"{cnt} occurrences found{'. ' if told else ''}{told}",
    }


def labelled(token_ids: Ids, cnf: Cnf) -> list[tuple[Ids, str | None]]:
    """Tokens in parts, each with the number of the clause that it is of, if any.

    Clauses are looked for in turn, each from left to right in what the ones before left over.

    >>> labelled([1, 2, 3, 1], [[[1]], [[2, 3]]])
    [([1], '0'), ([2, 3], '1'), ([1], '0')]
    """
    parts: list[tuple[Ids, str | None]] = [(token_ids, None)]
    for i, clause in enumerate(cnf):
        for term in clause:
            parts = [
                new
                for ids, label in parts
                for new in ([(ids, label)] if label else _split(ids, term, str(i)))
            ]
    return parts


def _split(token_ids: Ids, term: Ids, label: str) -> list[tuple[Ids, str | None]]:
    parts: list[tuple[Ids, str | None]] = []
    begin = at = 0
    while at + len(term) <= len(token_ids):
        try:
            at = token_ids.index(term[0], at)
        except ValueError:
            break
        if token_ids[at : at + len(term)] == term:
            parts += [(token_ids[begin:at], None), (term, label)]
            begin = at = at + len(term)
        else:
            at += 1
    return [part for part in [*parts, (token_ids[begin:], None)] if part[0]]


# The endpoint -------------------------------------------------------------------------------------

QUERY_TYPES: dict[str, Callable[[Asked], Answer]] = {
    "count": _count,
    "prob": _prob,
    "ntd": _ntd,
    "infgram_prob": _infgram_prob,
    "infgram_ntd": _infgram_ntd,
    "creativity": _creativity,
    "find": _find,
    "find_cnf": _find_cnf,
    "search_docs": _search_docs,
    "get_doc_by_rank": _get_doc_by_rank,
    "get_doc_by_ptr": _get_doc_by_ptr,
}
_QUICK = {"count", "prob", "infgram_prob", "find"}  # microseconds, as long as they are short
_SHORT = 1000  # tokens


class InfiniGram:
    """The endpoint."""

    def __init__(self, catalogue: Catalogue, settings: Settings, threads: Threads) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._threads = threads

    async def __call__(self, request: Request) -> Json:
        """Answers a query, or many counts."""
        fields = Fields(await read_object(request, self._settings.limits))
        for name in _IGNORED:
            fields.take(name)
        name = fields.take("corpus") or fields.take("index")
        fields.take("index")
        try:
            hosted = self._catalogue.index(name)
        except Refusal as refusal:  # as the API has it
            raise Refusal(refusal.message, param="index") from None
        kind = fields.take("query_type")
        answer = QUERY_TYPES.get(kind) if isinstance(kind, str) else None
        if answer is None:
            known = ", ".join(QUERY_TYPES)
            raise Refusal(f"query_type is {kind!r:.80}, expected one of: {known}")
        if "queries" in fields or "queries_ids" in fields:
            limits = self._settings.limits
            return Json(await self._threads.run(lambda: _counts(hosted, kind, fields, limits)))
        if ("query" in fields) == ("query_ids" in fields):
            raise Refusal("found both or none of query and query_ids, expected one of them")
        try:
            asked, shown = _read_query(hosted, fields, self._settings)
            started = time.perf_counter()
            if kind in _QUICK and not asked.is_cnf and len(asked.query) <= _SHORT:
                found = answer(asked)
            else:
                found = await self._threads.run(lambda: answer(asked))
            latency = (time.perf_counter() - started) * 1000
        except (InvalidParameter, TokenError) as error:
            return Json({"error": str(error)})
        except Refusal as refusal:
            return Json({"error": refusal.message})
        fields.end()
        return Json({**shown, **found, "latency": latency})


def _read_query(hosted: Hosted, fields: Fields, settings: Settings) -> tuple[Asked, Answer]:
    """What is asked, and `token_ids` and `tokens` of the answer. Raises Refusal, InvalidParameter.

    In text, AND stands between clauses, and OR, which binds tighter, between n-grams.
    """
    index, limits = hosted.index, settings.limits
    if "query" in fields:
        text = fields.text("query", most=limits.query_tokens)
        clauses = [clause.split(" OR ") for clause in text.split(" AND ")]
        if len(clauses) == len(clauses[0]) == 1:
            query = _looked_up(index, text)
            shown = query if ABSENT not in query else index.ids(text).tolist()
            return _asked(hosted, query, shown, fields, settings)
        cnf = [[_looked_up(index, term) for term in clause] for clause in clauses]
        shown = [[index.ids(term).tolist() for term in clause] for clause in clauses]
        return _asked(hosted, cnf, shown, fields, settings)
    query = fields.take("query_ids")
    return _asked(hosted, query, query, fields, settings)


def _looked_up(index: Index, text: str) -> Ids:
    found: Ids = index.ngram_ids(text).tolist()
    return found


def _asked(
    hosted: Hosted, query: Any, shown: Any, fields: Fields, settings: Settings
) -> tuple[Asked, Answer]:
    limits, is_cnf = settings.limits, _is_cnf(query)
    terms = [term for clause in query for term in clause] if is_cnf else [query]
    for term in terms:
        if not isinstance(term, list) or not all(type(each) is int for each in term):
            raise InvalidParameter(
                "query_ids must be token ids, or lists (AND) of lists (OR) of token ids"
            )
        if len(term) > limits.query_tokens:
            raise InvalidParameter(
                f"the query has {len(term):,} tokens, expected at most {limits.query_tokens:,}"
            )
    for term in [term for clause in shown for term in clause] if is_cnf else [shown]:
        hosted.index.tokenizer.check(term, ends=True)
    if is_cnf:
        most = max(map(len, query), default=0)
        whole(1, limits.clauses, **{"the number of clauses": len(query)})
        whole(1, limits.terms, **{"the number of n-grams of a clause": most})
        tokens: Any = [[hosted.all_shown(term) for term in clause] for clause in shown]
    else:
        tokens = hosted.all_shown(shown)
    asked = Asked(hosted, query, is_cnf, fields, settings)
    return asked, {"token_ids": shown, "tokens": tokens}


def _is_cnf(query: Any) -> bool:
    return bool(
        isinstance(query, list) and query and all(isinstance(clause, list) for clause in query)
    )


def _counts(hosted: Hosted, kind: str, fields: Fields, limits: Limits) -> Answer:
    """Counts of many n-grams: infgram's own addition to the API. Raises Refusal."""
    if kind != "count":
        raise Refusal(f"query_type is {kind!r}, expected 'count' for many queries")
    name = "queries" if "queries" in fields else "queries_ids"
    queries = fields.take(name)
    fields.end()
    wanted = str if name == "queries" else list
    if not isinstance(queries, list) or not all(isinstance(each, wanted) for each in queries):
        what = "strings" if wanted is str else "lists of token ids"
        raise Refusal(f"{name} must be a list of {what}", param=name)
    if len(queries) > limits.queries:
        raise Refusal(
            f"{name} has {len(queries):,} n-grams, expected at most {limits.queries:,}", param=name
        )
    started = time.perf_counter()
    counts = hosted.index.count_batch(queries).tolist()
    if not all(queries):
        counts = [
            n if each else total(hosted.index, []) for n, each in zip(counts, queries, strict=True)
        ]
    return {"counts": counts, "latency": (time.perf_counter() - started) * 1000}
