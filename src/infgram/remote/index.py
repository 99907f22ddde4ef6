"""An index that is asked where it lies: small reads, many at once, and nothing mapped here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import CorruptIndex, IndexReplaced, NotInPlace
from ..index import Index, tokenizer_of
from ..occurrences import Occurrences, draw
from ..queries import Queries, TakesQueries, numbered, several
from ..results import Level, Levels, Matches, NextTokens
from ..seeds import generator
from ..store.layout import FAST
from ..store.mirror import Mirror
from ..store.objects import Part, Traffic
from ..store.pushing import address_of
from ..store.shards import Shard
from ..store.summary import SUMMARY, size_of, tiers_of, top_of
from ..text.tokens import Query
from .asking import Question, answered, side_by_side
from .shard import RemoteShard
from .text import RemoteText

_LENGTHS = 64  # of a context that are looked for at once
_AROUND = 64  # tokens by which text is decoded
_PARTS = ("codes", "next", "sa", "rank_blocks", "rank_supers", SUMMARY)


class RemoteIndex(TakesQueries):
    """An index at an address, asked in place: `open_remote` gives one.

    Its answers are those of the `Index`. A count takes at most some ten round trips and a few
    kilobytes, however large the index is; many questions in one call share them.

    - `url`: of the index; `identity`: of the build, which all answers are of.
    - `tokenizer`: what made its tokens.
    - `n_tokens`, `n_documents`, `n_shards`: of the corpus.
    - `traffic`: round trips, requests and bytes so far.

    Every question raises IndexReplaced where the files have changed since it was opened,
    RemoteFailure where the server fails or does not answer, and CorruptIndex for impossible values.
    What can only be asked of an index that is here raises NotInPlace.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = address_of(url)
        mirror = Mirror(self.url)
        self._objects = mirror.objects
        self._stored = stored = mirror.stored
        layout = stored.layout
        if layout.kind != FAST:
            raise NotInPlace(
                f"{self.url} has the {layout.kind} layout, which is not read in place: "
                f"{_instead(self.url)}, or push it in the fast layout (infgram.convert)"
            )
        self.tokenizer = tokenizer_of(stored)
        self.identity = stored.identity
        self.n_tokens, self.n_documents = layout.n_tokens, layout.n_documents
        self.n_shards = len(layout.shards)
        self._ids = stored.column("token_ids")
        self._order = np.argsort(self._ids)  # those of a part need not rise
        self._pin(mirror)
        tops = [
            Part(f"{mirror.name}/{shard.name}/{SUMMARY}", 0, tiers_of(layout, shard)[0].end)
            for shard in layout.shards
        ]
        contents = self._objects.parts(tops)
        self._shards = []
        for shard, part, content in zip(layout.shards, tops, contents, strict=True):
            top = top_of(content, layout, self.identity, f"{self.url}/{part.name}")
            folder = f"{mirror.name}/{shard.name}"
            n_codes = len(self._ids) + 1
            self._shards.append(RemoteShard(self._objects, folder, layout, shard, top, n_codes))

    def _pin(self, mirror: Mirror) -> None:
        """Looks up the versions of all that is read in parts, which must be those of the build."""
        files, layout = self._stored.manifest["files"], self._stored.layout
        sizes = {}
        for shard in layout.shards:
            for column in _PARTS:
                name = f"{shard.name}/{column}"
                if column == SUMMARY:
                    sizes[name] = size_of(layout, shard)
                elif name in files:
                    sizes[name] = files[name]["n_bytes"]
        try:
            found = self._objects.look_up([f"{mirror.name}/{name}" for name in sizes])
        except FileNotFoundError as error:
            raise mirror.has_moved_on() or NotInPlace(
                f"{self.url} was copied there and not pushed ({error.args[0]:.200}): push it with "
                f"`infgram push`, which adds what is needed to ask it in place, or "
                f"{_instead(self.url)}"
            ) from error
        for (name, n_bytes), version in zip(sizes.items(), found, strict=True):
            if version.n_bytes != n_bytes:
                raise mirror.has_moved_on() or CorruptIndex(
                    f"{self.url}/{mirror.name}/{name} has {version.n_bytes:,} bytes, expected "
                    f"{n_bytes:,}: push the index again"
                )
        if (moved := mirror.has_moved_on()) is not None:
            raise moved

    def __repr__(self) -> str:
        return (
            f"<infgram.RemoteIndex {self.url!r}: {self.n_tokens:,} tokens ({self.tokenizer.name}), "
            f"{self.n_documents:,} documents, {self.n_shards} shards>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.url, self.identity)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or not hasattr(Index, name):
            raise AttributeError(f"RemoteIndex has no {name!r}")
        raise NotInPlace(f"`{name}` cannot be asked in place of {self.url}: {_instead(self.url)}")

    @property
    def traffic(self) -> Traffic:
        """Round trips, requests and bytes so far, of the opening too."""
        return self._objects.traffic

    @cached_property
    def alphabet(self) -> NDArray[np.uint32]:
        """Token ids by code: the end of text, and then those that occur, rising."""
        return np.concatenate([np.array([self.end_of_text], np.uint32), self._ids])

    # Counts ---------------------------------------------------------------------------------------

    def count(self, ngram: Query) -> int:
        """Occurrences of an n-gram of any length. The empty one occurs once a token."""
        return int(self._counts([self.ngram_ids(ngram)])[0])

    def count_batch(self, ngrams: Queries) -> NDArray[np.int64]:
        """Occurrences of many n-grams, of shape (n_ngrams,), in the round trips of one.

        What `count` raises is raised, and says which n-gram it is of.
        """
        return self._counts(self._all_ids("count_batch", ngrams))

    def _counts(self, ngrams: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        found = self._ranges([ids for ids in ngrams if len(ids)])
        counts = iter((found[:, :, 1] - found[:, :, 0]).sum(axis=1).tolist())
        return np.array([next(counts) if len(ids) else self.n_tokens for ids in ngrams], np.int64)

    def _ranges(self, ngrams: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        """The rows of each n-gram in each shard, of shape (n_ngrams, n_shards, 2)."""
        codes = [self._codes(ids) for ids in ngrams]
        wanted = [
            (i, s, shard.rows(found))
            for i, found in enumerate(codes)
            if found is not None
            for s, shard in enumerate(self._shards)
        ]
        ranges = np.zeros((len(ngrams), self.n_shards, 2), np.int64)
        rows = answered(self._objects, [question for _, _, question in wanted])
        for (i, s, _), found in zip(wanted, rows, strict=True):
            ranges[i, s] = found
        return ranges

    def _codes(self, ids: NDArray[Any]) -> NDArray[np.int64] | None:
        """An n-gram as codes; None where a token of it does not occur at all."""
        asked = ids.astype(np.int64)
        places = np.searchsorted(self._ids, asked, sorter=self._order)
        if (places == len(self._ids)).any():
            return None
        codes = self._order[places]
        return None if (self._ids[codes] != asked).any() else codes + 1

    def _all_ids(self, asked: str, queries: Queries) -> list[NDArray[Any]]:
        found = []
        for i, query in enumerate(several(asked, queries)):
            with numbered(i):
                found.append(self.ngram_ids(query))
        return found

    # Next tokens ----------------------------------------------------------------------------------

    def ntd(self, prompt: Query) -> NextTokens:
        """Exact next-token distribution after all of `prompt`; empty if it never occurs."""
        return self.ntd_batch([prompt])[0]

    def ntd_batch(self, prompts: Queries) -> list[NextTokens]:
        """`ntd` of many prompts, in the round trips of one."""
        asked = self._all_ids("ntd_batch", prompts)
        codes = [self._codes(ids) for ids in asked]
        questions = [
            self._next_codes(found) if found is not None else _nothing(len(self._ids) + 1)
            for found in codes
        ]
        answers = []
        for ids, counts in zip(asked, answered(self._objects, questions), strict=True):
            present = np.flatnonzero(counts)
            # the end of text, and then by rising ids
            present = present[np.lexsort([self.alphabet[present], present > 0])]
            answers.append(
                NextTokens.of(
                    self.alphabet[present],
                    counts[present],
                    int(counts.sum()),
                    len(ids),
                    self.tokenizer,
                )
            )
        return answers

    def _next_codes(self, codes: NDArray[np.int64]) -> Question[NDArray[np.int64]]:
        found = yield from side_by_side([_next_in(shard, codes) for shard in self._shards])
        return np.asarray(np.sum(found, axis=0), np.int64)

    # Levels ---------------------------------------------------------------------------------------

    def levels(self, context: Query) -> Levels:
        """All back-off levels of the context, longest first, each with more matches than the last.

        Lengths of the context are looked for 64 at a time, so a context of at most as many tokens
        takes the round trips of one count.
        """
        ids = self.ngram_ids(context)
        known = self._ids
        unknown = np.flatnonzero(~np.isin(ids, known))
        longest = len(ids) - (int(unknown[-1]) + 1 if len(unknown) else 0)
        matches = {0: self.n_tokens + self.n_documents, longest + 1: 0}
        while len(lengths := _between(matches)):
            ranges = self._ranges([ids[len(ids) - n :] for n in lengths])
            for n, rows in zip(lengths, ranges.tolist(), strict=True):
                followed = (
                    shard.followed(*each) for shard, each in zip(self._shards, rows, strict=True)
                )
                matches[n] = sum(followed)
        levels, m = [], 0
        for n in sorted(matches, reverse=True):
            if n and matches[n] > m:
                m = matches[n]
                levels.append(Level(n, m))
        return Levels(levels)

    # Documents ------------------------------------------------------------------------------------

    def find(
        self,
        ngram: Query,
        *,
        limit: int = 10,
        seed: int | np.random.Generator | None = None,
        context: int = 60,
    ) -> Matches:
        """Up to `limit` occurrences, as `Index.find` draws them: a seed gives the same ones.

        What is known of documents is fetched whole, once (some 12 bytes a document, and their
        metadata). Lines are counted in the text, from the beginning of a document to the match.
        """
        whole(0, limit=limit, context=context)
        ids = self._looked_for(ngram)
        rows = draw(self._ranges([ids])[0], limit, generator(seed))
        found = []
        for s in np.unique(rows[:, 0]).tolist():
            shard = self._shards[s]
            mine = rows[rows[:, 0] == s, 1]
            (ends,) = answered(self._objects, [shard.positions_of(mine)])
            begins = np.sort(ends) - len(ids)
            self._text.fetch(s, begins - context - _AROUND, begins + len(ids) + context + _AROUND)
            sizes = np.full(len(begins), len(ids), np.int64)
            found += self._occurrences.matches(s, begins, sizes, context)
        return Matches(found)

    @cached_property
    def _text(self) -> RemoteText:
        return RemoteText(self._objects, self._shards, self.alphabet)

    @cached_property
    def _occurrences(self) -> Occurrences:
        shards, first = [], 0
        for layout in self._stored.layout.shards:
            shards.append(Shard(self._stored, layout, first))
            first += layout.n_documents
        return Occurrences(Path(self.url), shards, self._text, self.tokenizer, self.alphabet)


def _next_in(shard: RemoteShard, codes: NDArray[np.int64]) -> Question[NDArray[np.int64]]:
    rows = (0, shard.layout.n_rows) if not len(codes) else (yield from shard.rows(codes))
    return (yield from shard.next_codes(*rows))


def _nothing(n_codes: int) -> Question[NDArray[np.int64]]:
    return np.zeros(n_codes, np.int64)
    yield  # a question that reads nothing


def _between(matches: dict[int, int]) -> list[int]:
    """Lengths to look for next: between those that are known and do not match alike."""
    known = sorted(matches)
    gaps = [
        (low, high)
        for low, high in pairwise(known)
        if high - low > 1 and matches[low] != matches[high]
    ]
    each = max(1, _LENGTHS // max(len(gaps), 1))
    found: list[int] = []
    for low, high in gaps:
        n = min(each, high - low - 1)
        found += {low + (i * (high - low)) // (n + 1) for i in range(1, n + 1)}
    return sorted(found)


def _instead(url: str) -> str:
    return f"infgram.open({url!r}) fetches what it needs, and `infgram pull {url} OUT` all of it"


def _reopen(url: str, identity: str) -> RemoteIndex:
    index = RemoteIndex(url)
    if index.identity != identity:
        raise IndexReplaced(f"{url} was replaced by another build since it was pickled")
    return index


def open_remote(url: str | os.PathLike[str]) -> RemoteIndex:
    """Opens an index at an address, to ask it there: nothing but small reads, and no copy.

    The index has to be in the fast layout, and `push` must have put it there. Counts, next tokens,
    levels and occurrences are those of the index; all else raises NotInPlace, and is asked of
    `infgram.open(url)`.

    Raises NotAnIndex, NotInPlace, UnsupportedFormat, CorruptIndex, RemoteFailure, MissingExtra.

    >>> import infgram
    >>> infgram.open_remote("corpus.infgram")
    Traceback (most recent call last):
    infgram.errors.StorageError: corpus.infgram is no address of an index: expected one of s3://, \
gs://, az://, http://, https://, hf://
    """
    return RemoteIndex(url)
