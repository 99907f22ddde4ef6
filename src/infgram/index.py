"""The index: counts, next-token distributions, documents. What most users touch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import native
from .checks import instance, whole
from .errors import (
    ContextNotFound,
    CorruptIndex,
    InfgramError,
    InvalidParameter,
    NeedsFastLayout,
    NeedsMerge,
    NotTwoSided,
    StorageError,
)
from .native import Index as Core
from .occurrences import Occurrences, draw
from .queries import Queries, TakesQueries, numbered, several
from .results import IndexedDocument, Level, Levels, Match, Matches, NextTokens, Prob
from .seeds import generator, spawn
from .store import storage
from .store.layout import FAST
from .store.segments import Segments, is_current, of_one, open_segments
from .store.storage import Progress
from .store.verification import verify_columns, verify_other_side
from .text import tokens
from .text.pieces import Behind, shown
from .text.places import Spelling
from .text.tokens import Query, Tokenizer

Counts: TypeAlias = NDArray[np.int64]

NO_WINDOW = 2**32 - 1


class Index(TakesQueries):
    """An index on disk, mapped. Cheap to open, safe to use from many threads, picklable.

    - `path`: of its folder.
    - `tokenizer`: what made its tokens: `encode`, `decode`, `vocab_size`, `name`.
    - `n_tokens`, `n_documents`: of the corpus.
    - `segments`: its files.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> index.count("to be")
    2
    """

    def __init__(self, path: str | os.PathLike[str], *, verify: bool | None = None) -> None:
        self._bind(Path(path), open_segments(path, verify=verify), verify)

    @classmethod
    def of(cls, opened: storage.StoredIndex | Segments, path: Path) -> Index:
        """An index that is open already; `path` is where it stands."""
        index = cls.__new__(cls)
        segments = opened if isinstance(opened, Segments) else of_one(opened, path)
        index._bind(path, segments, None)
        return index

    def _bind(self, path: Path, segments: Segments, verify: bool | None) -> None:
        self.path = path if segments.is_fetched else Path(os.path.abspath(path))
        self._verify = verify
        self._folder: object = None  # keeps that of an index that nobody named
        # of the other side of an index: how that one is opened anew
        self._front: tuple[Path, bool | None, str] | None = None
        self.segments = segments
        self.tokenizer = tokenizer_of(segments.newest)
        self.n_tokens = segments.n_tokens
        self.n_documents = segments.n_documents
        self._reads_bytes = self.tokenizer.name == "bytes"
        self._shards = segments.shards()
        if not segments.is_fetched:
            _ = self.native  # what is damaged is found at once

    @cached_property
    def native(self) -> Core:
        """The index of the core, which reads the files. Raises CorruptIndex."""
        stored = self.segments.newest
        try:
            return Core(
                stored.layout.code_bits,
                stored.column("token_ids"),
                self.end_of_text,
                self.segments.columns(),
                has_grown=not self.segments.is_one,
            )
        except InvalidParameter as error:
            raise CorruptIndex(f"{stored.folder}: {error}; build the index again") from error

    @property
    def stored(self) -> storage.StoredIndex:
        """The files of its only segment. Raises NeedsMerge where the index has grown."""
        self.need_one_piece("this")
        return self.segments.segments[0].stored

    def need_one_piece(self, what: str) -> None:
        """Raises NeedsMerge for what cannot be told of an index that has grown.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).need_one_piece("KneserNey")
        """
        if self.segments.is_one:
            return
        self.need_nothing_removed(what)
        raise NeedsMerge(
            f"{self.path} has grown and is in segments, and {what} needs it in one piece: make it "
            f"so with `infgram merge -i {self.path} --purge` (infgram.merge)"
        )

    def need_nothing_removed(self, what: str) -> None:
        """Raises NeedsMerge for what cannot be told where documents were removed.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).need_nothing_removed("KneserNey")
        """
        if self.has_removed:
            raise NeedsMerge(
                f"documents of {self.path} were removed, and {what} needs an index without: make "
                f"it so with `infgram merge -i {self.path} --purge` (infgram.merge)"
            )

    def refresh(self) -> Index:
        """The index as it is now: itself if nothing was built, added, removed or merged since.

        An index that is open never changes, so that all its answers are of one state.

        >>> import infgram
        >>> index = infgram.build(["to be or not to be"])
        >>> infgram.add(index, ["to be"]).count("to be"), index.count("to be")
        (3, 2)
        >>> index.refresh().count("to be")
        3
        """
        if self._front is not None:
            return self
        if is_current(self.segments):
            return self
        return self.become(open_segments(self.path, verify=self._verify))

    def become(self, segments: Segments) -> Index:
        """Another state of the same index."""
        now = Index.of(segments, self.path)
        now.keep(self._folder)
        return now

    def keep(self, folder: object) -> None:
        """Holds what keeps the folder of an index, as all other states of it do."""
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        if self._front is not None:
            return _reopen_other_side, self._front
        return _reopen, (self.path, self._verify, self.identity)

    def __repr__(self) -> str:
        return (
            f"<infgram.Index {self.path.name!r}: {self.n_tokens:,} tokens ({self.tokenizer.name}), "
            f"{self.n_documents:,} documents, {len(self._shards)} shards>"
        )

    @property
    def alphabet(self) -> NDArray[np.uint32]:
        """Token ids by code: the end of text, and then those that occur, rising.

        Where an index has grown, those that came later stand behind.
        """
        ids = self.segments.newest.column("token_ids")
        return np.concatenate([np.array([self.end_of_text], np.uint32), ids])

    @property
    def n_vocabulary(self) -> int:
        """Tokens that there are, in the corpus or not, the end of text among them.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).n_vocabulary
        257
        """
        return max(self.tokenizer.n_ids + 1, len(self.segments.newest.column("token_ids")) + 1)

    @property
    def n_rows(self) -> int:
        """Places of the corpus: its tokens and the boundaries of its documents."""
        return sum(self.shard_rows)

    @property
    def shard_rows(self) -> list[int]:
        """The places of each shard."""
        return [shard.layout.n_rows for shard in self._shards]

    @property
    def identity(self) -> str:
        """Another build has another one."""
        return self.segments.identity

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What docs/format.md says of it; of one that has grown, that of its first segment."""
        return self.segments.segments[0].stored.manifest

    @property
    def n_bytes(self) -> int:
        """Bytes on disk, both sides together."""
        sides = [each.other_side for each in self.segments.all_stored()]
        inside = sum(side.n_bytes for side in sides if isinstance(side, storage.StoredIndex))
        return self.segments.n_bytes + inside

    @property
    def has_removed(self) -> bool:
        """Whether documents were removed whose text is still on the disk.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).has_removed
        False
        """
        return bool(self.segments.removals)

    @property
    def n_segments(self) -> int:
        """Parts that were added one after another, and not merged since.

        >>> import infgram
        >>> infgram.add(infgram.build(["to be"]), ["or not to be"]).n_segments
        2
        """
        return len(self.segments.segments)

    @property
    def n_shards(self) -> int:
        """Parts of the corpus that are sorted on their own."""
        return len(self._shards)

    @property
    def layout(self) -> str:
        """How its rows are kept: "fast", or "compact", which is small and cannot do all.

        >>> import infgram
        >>> infgram.build(["to be or not to be"], layout="compact").layout
        'compact'
        """
        return self.segments.layout

    def need_fast_layout(self, what: str) -> None:
        """Raises NeedsFastLayout for what the compact layout cannot do.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).need_fast_layout("KneserNey")
        """
        if self.layout != FAST:
            raise NeedsFastLayout(
                f"{self.path} has the compact layout, and {what} needs the fast one: make one with "
                f"`infgram convert {self.path} OUT --layout fast` (infgram.convert)"
            )

    @property
    def is_two_sided(self) -> bool:
        """Whether there is `backwards`."""
        return self.segments.is_one and self.stored.other_side is not None

    @cached_property
    def backwards(self) -> Index:
        """The index of every document read backwards: its next tokens are those that stood before.

        Token i of a document of n tokens is token n - 1 - i there; documents keep their numbers.
        Raises NotTwoSided, CorruptIndex.

        >>> import infgram
        >>> index = infgram.build(["to be or not to be"], two_sided=True)
        >>> index.backwards.ntd("eb")  # what stands before "be"
        NextTokens({' ': 2}, prompt_cnt=2)
        """
        other = self.stored.other_side if self.segments.is_one else None
        if other is None:
            raise NotTwoSided(
                f"{self.path} does not hold its text read backwards: build it again with "
                "`infgram build --two-sided` (two_sided=True)"
            )
        if isinstance(other, InfgramError):
            raise other
        backwards = Index.of(other, other.folder)
        backwards._front = (self.path, self._verify, self.identity)
        return backwards

    def verify(self, progress: Progress | None = None) -> None:
        """Proves what opening takes on trust: every checksum, that rows are sorted, that every
        column follows from the text, and the same of the other side, which must hold the same text.
        Also every checksum of what is kept beside the columns: discounts, mixtures.
        O(n_rows); 7 bytes of memory a row of the largest shard for byte-wide codes.

        Raises CorruptIndex, which names the file.
        """
        for stored in self.segments.all_stored():
            storage.check_sums(stored, progress)
            storage.check_kept(stored, progress)
            verify_columns(stored)
        if self.is_two_sided:
            self.backwards.verify(progress)
            verify_other_side(self.stored, self.backwards.stored)

    # Counts ---------------------------------------------------------------------------------------

    def count(self, ngram: Query) -> int:
        """Occurrences of an n-gram of any length. O(n). The empty one occurs once a token.

        Text is cut into tokens as if it began a text: `count_text` counts it wherever it stands.
        Text that has no token, or one that the tokenizer does not know, occurs nowhere.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).count(b"be")
        2
        """
        if self._reads_bytes and isinstance(ngram, (str, bytes)):
            try:
                return self.native.count(ngram)
            except UnicodeEncodeError:
                pass
        return self.native.count(self.ngram_ids(ngram))

    def count_text(self, text: str | bytes) -> int:
        """At how many places of the documents' text the characters of `text` stand.

        Documents are what their tokens decode to: where a tokenizer makes small letters of all,
        only they are found. However a place is cut into tokens, and wherever in a token it begins
        or ends, it counts; places may overlap. As `count` where tokens are bytes or characters;
        else some tens of counts a character, and a second or so for the first call.

        Raises InvalidParameter for an empty text, TokenError where it cannot be told (bare token
        ids, and decoders that look at several tokens at once), UndecodableText.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).count_text("e or")
        1
        """
        if not len(text):
            raise InvalidParameter("cannot count the empty text: give at least one character")
        if self.tokenizer.name in ("bytes", "chars"):
            return self.count(text)
        return self._spelling.count(tokens.utf8(text))

    @cached_property
    def _spelling(self) -> Spelling:
        ids = self.alphabet[1:]
        return Spelling(ids, self.tokenizer.texts(ids), self.native, self._n_beginning)

    def _n_beginning(self, token_ids: NDArray[np.uint32]) -> int:
        """Documents that begin with tokens."""
        cursor = self.native.start_of_document(NO_WINDOW)
        cursor.read(token_ids)
        n, m = next(iter(cursor.levels()), (0, 0))
        found = m if n == len(token_ids) + 1 else 0
        # nothing follows the corpus: not in m
        of_last = self.document(self.n_documents - 1).token_ids
        return found + int(np.array_equal(of_last, token_ids))

    @cached_property
    def n_unknown(self) -> int:
        """Tokens of the corpus that stand for text without one: words become [UNK].

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).n_unknown
        0
        """
        unknown = self.tokenizer.unknown_id
        return 0 if unknown is None else self.native.count(np.array([unknown], np.uint32))

    def count_batch(self, ngrams: Queries, offsets: NDArray[np.int64] | None = None) -> Counts:
        """Occurrences of many n-grams, as an int64 array of shape (n_ngrams,).

        Takes n-grams, or flat token ids with `offsets` of shape (n_ngrams + 1,): n-gram i is
        flat[offsets[i]:offsets[i + 1]].

        What `count` raises is raised, and says which n-gram it is of.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).count_batch(["to be", "or not"])
        array([2, 1])
        """
        if offsets is None and self._reads_bytes:
            ngrams = several("count_batch", ngrams)
            try:
                return self.native.count_texts(ngrams)
            except (TypeError, UnicodeEncodeError):
                pass
        return self.native.count_batch(*self._flat("count_batch", ngrams, offsets))

    def _flat(
        self, asked: str, queries: Queries, offsets: NDArray[np.int64] | None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Many queries as tokens behind each other; where each begins, and the last one ends."""
        if offsets is not None:
            flat: NDArray[Any] = self.tokenizer.check(queries)  # type: ignore[arg-type]
            bounds = np.asarray(offsets)
            if bounds.ndim != 1 or bounds.dtype.kind not in "iu":
                raise InvalidParameter("offsets must be a flat array of integers")
            if len(bounds) and int(bounds.max()) > len(flat):
                raise InvalidParameter(
                    f"the largest offset is {bounds.max()}, expected at most {len(flat)}, the "
                    "number of tokens"
                )
            return flat, np.ascontiguousarray(bounds, np.int64)
        given = several(asked, queries)
        ids = self._bytes_of(given) if self._reads_bytes else None
        if ids is not None:
            flat = np.frombuffer(b"".join(ids), np.uint8)
        else:
            ids = []
            for i, query in enumerate(given):
                with numbered(i):
                    ids.append(self.ngram_ids(query).astype(np.uint32))
            flat = np.concatenate([np.zeros(0, np.uint32), *ids])
        return flat, np.cumsum([0, *map(len, ids)], dtype=np.int64)

    def _bytes_of(self, queries: Sequence[Query]) -> list[Any] | None:
        """Texts as bytes, which are their tokens; None if some are something else."""
        if not {*map(type, queries)} <= {str, bytes}:
            return None
        try:
            return [query.encode() if isinstance(query, str) else query for query in queries]
        except UnicodeEncodeError:
            return None

    # Next tokens ----------------------------------------------------------------------------------

    def ntd(self, prompt: Query) -> NextTokens:
        """Exact next-token distribution after all of `prompt`; empty if it never occurs.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).ntd("to b").most_common(1)
        [('e', 2)]
        """
        if self._reads_bytes and isinstance(prompt, (str, bytes)):
            try:
                token_ids, counts, m = self.native.next_tokens(prompt)
                n = len(prompt.encode() if isinstance(prompt, str) else prompt)
                return NextTokens(token_ids, counts, m, n, self.tokenizer)
            except UnicodeEncodeError:
                pass
        ids = self.ngram_ids(prompt)
        token_ids, counts, m = self.native.next_tokens(ids)
        return NextTokens(token_ids, counts, m, len(ids), self.tokenizer)

    def ntd_batch(
        self, prompts: Queries, offsets: NDArray[np.int64] | None = None
    ) -> list[NextTokens]:
        """`ntd` of many prompts, given as `count_batch` takes them.

        What `ntd` raises is raised, and says which prompt it is of.

        >>> import infgram
        >>> index = infgram.build(["to be or not to be"])
        >>> [dict(ntd) for ntd in index.ntd_batch(["to ", "not"])]
        [{98: 2}, {32: 1}]
        """
        flat, bounds = self._flat("ntd_batch", prompts, offsets)
        found = self.native.next_tokens_batch(flat, bounds)
        return [
            NextTokens(token_ids, counts, m, n, self.tokenizer)
            for (token_ids, counts, m), n in zip(found, np.diff(bounds).tolist(), strict=True)
        ]

    def prob(self, prompt: Query, token: Query | int) -> Prob:
        """How often `token` follows all of `prompt`. Raises ContextNotFound if nothing does.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).prob("o", " ")
        Prob(prompt_cnt=4, cont_cnt=2, prob=0.5, suffix_len=1)
        """
        ntd = self.ntd(prompt)
        if ntd.prompt_cnt == 0:
            raise _nothing_follows(prompt)
        return self._prob(ntd, token)

    def prob_batch(self, prompts: Queries, next_tokens: Iterable[Query | int]) -> list[Prob]:
        """`prob` of many pairs: of token i of `next_tokens` after prompt i.

        Raises InvalidParameter unless there are as many of both; and what `prob` raises, which
        says which pair it is of.

        >>> import infgram
        >>> index = infgram.build(["to be or not to be"])
        >>> [found.prob for found in index.prob_batch(["o", "t"], [" ", "o"])]
        [0.5, 0.6666666666666666]
        """
        after = several("prob_batch", prompts)
        asked = several("prob_batch", next_tokens)
        if len(after) != len(asked):
            raise InvalidParameter(
                f"next_tokens are {len(asked)}, expected as many as prompts, {len(after)}"
            )
        token_ids = np.zeros(len(asked), np.uint32)
        for i, token in enumerate(asked):
            with numbered(i):
                token_ids[i] = self._one_token(token)
        flat, bounds = self._flat("prob_batch", after, None)
        prompt_cnt, cont_cnt = self.native.continuations(flat, bounds, token_ids)
        if not prompt_cnt.all():
            i = int(prompt_cnt.argmin())
            with numbered(i):
                raise _nothing_follows(after[i])
        columns = prompt_cnt, cont_cnt, cont_cnt / prompt_cnt, np.diff(bounds)
        return list(map(Prob, *(column.tolist() for column in columns)))

    def infgram_ntd(self, prompt: Query) -> NextTokens:
        """Next-token distribution after the longest suffix of `prompt` that has a next token.

        The infinity-gram of Liu et al. 2024 (arXiv 2401.17377). `suffix_len` tells its length; 0
        means that not even the last token occurs, and the distribution is that of all tokens.
        """
        return self.cursor(prompt).ntd()

    def infgram_prob(self, prompt: Query, token: Query | int) -> Prob:
        """How often `token` follows the longest suffix of `prompt` that has a next token."""
        return self._prob(self.infgram_ntd(prompt), token)

    def levels(self, context: Query) -> Levels:
        """All back-off levels of the context, longest first, each with more matches than the last.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).levels("not to b")
        [Level(n=8, m=1), Level(n=4, m=2)]
        """
        if self._reads_bytes and isinstance(context, (str, bytes)):
            try:
                return _levels_of(self.native.levels(context))
            except UnicodeEncodeError:
                pass
        return self.cursor(context).levels()

    def cursor(self, context: Query = (), *, window: int | None = None) -> Cursor:
        """A state that holds all levels of a context and moves by a token in O(levels).

        `window` bounds how many tokens back it sees.
        """
        return Cursor(self, self.native.cursor(self.ngram_ids(context), _window_size(window)))

    def start_of_document(self, *, window: int | None = None) -> Cursor:
        """A cursor at the beginning of a document. Its start counts as a token of the context."""
        return Cursor(self, self.native.start_of_document(_window_size(window)))

    def decode(self, token_ids: tokens.Ids, *, after: tokens.Ids | None = None) -> str:
        """Token ids as text; bytes that are not UTF-8 show as U+FFFD, bare ids as numbers.

        `after`: tokens that stand in front. Many tokenizers put a blank between two words only
        when they see both; with `after` the text is what the tokens add to that of those.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).decode([98, 101], after=[32])
        'be'
        """
        if after is None:
            return shown(self.tokenizer, token_ids)
        return Behind(self.tokenizer, after).text(token_ids)

    def match_lengths(self, query: Query, *, window: int = 1000) -> NDArray[np.uint32]:
        """For each token, how long a run of the corpus ends with it, at most `window` tokens.

        Shape (n_tokens,). The matching statistics of the query. O(levels) a token.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).match_lengths("to bees").tolist()
        [1, 2, 3, 4, 5, 1, 0]
        """
        return self.native.match_lengths(self._looked_up(query), _window_size(window))

    # Documents ------------------------------------------------------------------------------------

    def find(
        self,
        ngram: Query,
        *,
        limit: int = 10,
        seed: int | np.random.Generator | None = None,
        context: int = 60,
    ) -> Matches:
        """Up to `limit` occurrences, drawn without replacement, in the order of the corpus.

        Each comes with its document and `context` tokens before and after. Fewer than `limit` only
        if there are no more.
        """
        whole(0, limit=limit, context=context)
        ids = self._looked_for(ngram)
        rows = self._drawn(ids, limit, generator(seed))
        (found,) = self.matches([rows], [len(ids)], context)
        return found

    def find_batch(
        self,
        ngrams: Queries,
        *,
        limit: int = 10,
        seed: int | np.random.Generator | None = None,
        context: int = 60,
    ) -> list[Matches]:
        """`find` of many n-grams. What is drawn of n-gram i depends on the seed and on i alone.

        What `find` raises is raised, and says which n-gram it is of.

        >>> import infgram
        >>> index = infgram.build(["to be or not to be"])
        >>> [[match.offset for match in found] for found in index.find_batch(["to", "or"])]
        [[0, 13], [6]]
        """
        whole(0, limit=limit, context=context)
        asked = several("find_batch", ngrams)
        rows, lengths = [], []
        for i, (ngram, rng) in enumerate(zip(asked, spawn(seed, len(asked)), strict=True)):
            with numbered(i):
                ids = self._looked_for(ngram)
            rows.append(self._drawn(ids, limit, rng))
            lengths.append(len(ids))
        return self.matches(rows, lengths, context)

    def _drawn(self, ids: NDArray[Any], limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of an n-gram, as `occurrences.draw` has them, in documents that were not removed."""
        ranges = np.array(self.native.find_parts(ids))
        held, gone = ranges[: self.n_shards], ranges[self.n_shards :]
        n_gone = int((gone[:, 1] - gone[:, 0]).sum())
        if not n_gone:
            return draw(held, limit, rng)
        rows = draw(held, limit + n_gone, rng)  # so that enough are left
        left = np.ones(len(rows), np.bool_)
        for s, shard in enumerate(self._shards):
            if not len(shard.removed):
                continue
            mine = np.flatnonzero(rows[:, 0] == s)
            ends = self.native.positions(s, rows[mine, 1].astype(np.uint32)).astype(np.int64)
            left[mine] = ~shard.are_removed(shard.documents.at_all(ends - len(ids)))
        rows = rows[left]
        if len(rows) <= limit:
            return rows
        return rows[np.sort(rng.choice(len(rows), limit, replace=False, shuffle=False))]

    def matches(
        self,
        drawn: Sequence[NDArray[np.int64]],
        lengths: Sequence[int] | NDArray[np.int64],
        context: int,
    ) -> list[Matches]:
        """What `find` says of rows of n-grams, placed all at once.

        drawn: of each n-gram shards and rows, as `occurrences.draw` has them; lengths: its tokens.
        """
        owners = np.repeat(np.arange(len(drawn)), [len(each) for each in drawn])
        rows = np.concatenate([np.zeros((0, 2), np.int64), *drawn])
        sizes = np.asarray(lengths, np.int64)[owners]
        found: list[list[Match]] = [[] for _ in drawn]
        for s in np.unique(rows[:, 0]).tolist():
            mine = np.flatnonzero(rows[:, 0] == s)
            ends = self.native.positions(s, rows[mine, 1].astype(np.uint32)).astype(np.int64)
            order = np.lexsort([ends, owners[mine]])
            mine, ends = mine[order], ends[order]
            made = self._occurrences.matches(s, ends - sizes[mine], sizes[mine], context)
            for owner, match in zip(owners[mine].tolist(), made, strict=True):
                found[owner].append(match)
        return list(map(Matches, found))

    @cached_property
    def _occurrences(self) -> Occurrences:
        return Occurrences(self.path, self._shards, self.native, self.tokenizer, self.alphabet)

    def document(self, document: int, *, begin: int = 0, end: int | None = None) -> IndexedDocument:
        """A document by its number, 0 <= document < n_documents; of long ones, tokens [begin, end).

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).document(0, begin=3, end=5).text
        'be'
        """
        whole(0, begin=begin, **({} if end is None else {"end": end}))
        shard_number, local = self._locate(self._document_number(document))
        documents = self._shards[shard_number].documents
        first, last = documents.bounds(local)
        begin, last = min(first + begin, last), last if end is None else min(first + end, last)
        ids = self.native.tokens(shard_number, begin, max(begin, last))
        return IndexedDocument(
            document, *documents.provenance(local), token_ids=ids, text=self.decode(ids)
        )

    def document_length(self, document: int) -> int:
        """Tokens of a document.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).document_length(0)
        18
        """
        shard_number, local = self._locate(self._document_number(document))
        begin, end = self._shards[shard_number].documents.bounds(local)
        return end - begin

    def match(self, document: int, offset: int, n: int, *, context: int = 60) -> Match:
        """The `n` tokens from `offset` of a document, as `find` shows an occurrence.

        >>> import infgram
        >>> str(infgram.build(["to be or not to be"]).match(0, 3, 2, context=3))
        'to be or'
        """
        whole(0, offset=offset, n=n, context=context)
        s, local = self._locate(self._document_number(document))
        begin, end = self._shards[s].documents.bounds(local)
        if begin + offset + n > end:
            raise InvalidParameter(
                f"document {document} has {end - begin:,} tokens: there are none from {offset:,} "
                f"to {offset + n:,}"
            )
        at, size = np.array([begin + offset], np.int64), np.array([n], np.int64)
        return self._occurrences.matches(s, at, size, context)[0]

    def locate(self, source_offset: int) -> tuple[int, int]:
        """The document and the offset in it of a token, by the number of tokens before it.

        Counted through all documents, 0 <= source_offset < n_tokens.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).locate(6)
        (0, 6)
        """
        if not isinstance(source_offset, (int, np.integer)) or (
            not 0 <= source_offset < self.n_tokens
        ):
            raise InvalidParameter(
                f"there is no token {source_offset!r}: the index has {self.n_tokens:,}, from 0"
            )
        left = int(source_offset)
        for shard in self._shards:
            if left < shard.n_tokens:
                return shard.locate(left)
            left -= shard.n_tokens
        raise AssertionError("the shards have all tokens")  # layout_of has added them up

    def source_offsets(
        self, shards: NDArray[np.integer[Any]], positions: NDArray[np.uint32]
    ) -> NDArray[np.int64]:
        """What `locate` takes, for positions of shards as the core has them; -1 for shard -1."""
        offsets = np.full(len(positions), -1, np.int64)
        first = 0
        for s, shard in enumerate(self._shards):
            mine = shards == s
            offsets[mine] = first + shard.tokens_before(positions[mine])
            first += shard.n_tokens
        return offsets

    def _document_number(self, document: int) -> int:
        if not isinstance(document, (int, np.integer)) or not 0 <= document < self.n_documents:
            raise InvalidParameter(
                f"there is no document {document!r}: the index has {self.n_documents}, from 0"
            )
        return int(document)

    def _locate(self, document: int) -> tuple[int, int]:
        for s, shard in enumerate(self._shards):
            if document < shard.n_documents:
                return s, shard.local(document)
            document -= shard.n_documents
        raise AssertionError("the shards have all documents")  # layout_of has added them up

    # Helpers --------------------------------------------------------------------------------------

    def _prob(self, ntd: NextTokens, token: Query | int) -> Prob:
        count = int(ntd.counts[ntd.token_ids == self._one_token(token)].sum())
        return Prob(ntd.prompt_cnt, count, count / ntd.prompt_cnt, ntd.suffix_len)

    def _one_token(self, token: Query | int) -> int:
        if isinstance(token, (int, np.integer)):
            if token != self.end_of_text:
                self.tokenizer.check([token])
            return int(token)
        ids = self._looked_up(token)
        if len(ids) != 1:
            raise InvalidParameter(f"{token!r} is {len(ids)} tokens, expected exactly one")
        return int(ids[0])


def _nothing_follows(prompt: Query) -> ContextNotFound:
    return ContextNotFound(
        f"nothing follows {prompt!r} in the corpus: use infgram_prob, which backs off"
    )


def _reopen(path: Path, verify: bool | None, identity: str) -> Index:
    index = Index(path, verify=verify)
    if index.identity != identity:
        raise StorageError(
            f"{path} was built anew since it was pickled: rows of one build mean nothing in another"
        )
    return index


def _reopen_other_side(path: Path, verify: bool | None, identity: str) -> Index:
    return _reopen(path, verify, identity).backwards


class Cursor:
    """All levels of a context, and where it goes from there. Copy it to branch.

    - `index`: whose levels they are; `native`: the cursor of the core.

    >>> import infgram
    >>> cursor = infgram.build(["to be or not to be"]).cursor("or n").advance("o")
    >>> cursor.levels()[0]
    Level(n=5, m=1)
    """

    def __init__(self, index: Index, native: native.Cursor) -> None:
        self.index = index
        self.native = native

    def advance(self, query: Query | int) -> Cursor:
        """Reads one token or several, in place, and returns itself. O(levels) a token.

        The index's `end_of_text` starts a new document: nothing before it is context any more.
        """
        if isinstance(query, (int, np.integer)):
            if query == self.index.end_of_text:
                self.native.start_document()
                return self
            query = [query]
        self.native.read(self.index.ngram_ids(query))
        return self

    def copy(self) -> Cursor:
        """An independent cursor in the same state."""
        return Cursor(self.index, self.native.copy())

    __copy__ = copy

    def levels(self) -> Levels:
        """All levels, longest first."""
        return _levels_of(self.native.levels())

    def ntd(self, level: int = 0) -> NextTokens:
        """Next-token distribution of a level; of all tokens where `level` is the number of levels.

        O(log n_tokens + distinct tokens) for byte-wide codes, else O(m).
        """
        whole(0, level=level)
        n, (token_ids, counts, m) = self.native.next_tokens(level)  # one call: of one state
        return NextTokens(token_ids, counts, m, n, self.index.tokenizer)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_cursor, (self.index, self.native.state(), self.native.window)


def tokenizer_of(stored: storage.StoredIndex) -> Tokenizer:
    """The tokenizer that made an index's tokens."""
    file = None
    if "tokenizer.json" in stored.columns:
        file = stored.column("tokenizer.json").tobytes()
    return tokens.restore(stored.layout.tokenizer, file)


def check_index(**named: object) -> None:
    """Each is an index. Raises InvalidParameter."""
    instance(Index, "infgram.open(path) gives one; a model has its own in `indexes`", **named)


def indexes_of(index: Index | Sequence[Index]) -> tuple[Index, ...]:
    """An index, or several that share a tokenizer. Raises InvalidParameter."""
    several = isinstance(index, Sequence) and not isinstance(index, str)
    indexes: tuple[Index, ...] = tuple(index) if several else (index,)  # type: ignore[arg-type,assignment]
    for each in indexes:
        check_index(index=each)
    if not indexes:
        raise InvalidParameter(f"index is {index!r}, expected an index or several")
    first = indexes[0]
    for other in indexes[1:]:
        if other.tokenizer.spec() != first.tokenizer.spec():
            raise InvalidParameter(
                f"{other.path.name} has another tokenizer than {first.path.name}: only indexes "
                "with the same one can be asked together"
            )
    return indexes


def _window_size(window: int | None) -> int:
    """A window as the core takes it: None is none."""
    if window is None:
        return NO_WINDOW
    whole(1, NO_WINDOW, window=window)
    return int(window)


def _levels_of(pairs: list[tuple[int, int]]) -> Levels:
    # what Level(n, m) does, in half the time
    return Levels([tuple.__new__(Level, pair) for pair in pairs])


def _restore_cursor(index: Index, state: NDArray[np.int64], window: int) -> Cursor:
    return Cursor(index, index.native.restore_cursor(state, window))


def open(path: str | os.PathLike[str], *, verify: bool | None = None) -> Index:
    """Opens an index. Maps its files: takes milliseconds, and memory only as it is used.

    - `path`: its folder; or an address, s3://, gs://, az://, https:// or hf://, where `push` has
      put one. Then files come into the user's cache when they are first asked for, and their
      checksums are compared; which build is there is asked each time. Needs the extra `remote`.
    - `verify`: True checks every checksum, False none of files on a disk. None checks them once:
      the first time that these files are opened after they were copied or changed.

    Raises NotAnIndex, UnsupportedFormat, CorruptIndex; of an address MissingExtra, RemoteFailure.
    """
    return Index(path, verify=verify)
