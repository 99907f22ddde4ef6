"""Other words for a place in a text: candidates of the same length, and where each comes from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..checks import one_of, whole
from ..errors import InvalidParameter
from ..index import Index, check_index
from ..seeds import spawn
from ..values.value import Value
from .words import letters

SBIS, LEXICON, EXCHANGE = "sbis", "lexicon", "exchange"
PROPOSERS = (SBIS, LEXICON, EXCHANGE)
WANTED = ("text", "word", "fitting", "better")
FITS = 3
"""The standing of a word that fits on both sides."""
_MAX_LEXICON_TOKENS = 1 << 26


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Candidates(Value):
    """Texts for spans, each as long as its span and other than what stands there.

    - `token_ids`: uint32, one candidate after another; candidate i is
      token_ids[offsets[i]:offsets[i + 1]].
    - `span_of`: int64, the number of the span that candidate i is for; they rise.
    - `proposer`: uint8, the number of the proposer in `PROPOSERS`.
    - `source_offset`: int64, a place of the corpus that has candidate i, as the number of tokens
      before it in all documents; -1 where no one place has all of it. `Index.locate` tells its
      document.
    """

    token_ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    span_of: NDArray[np.int64]
    proposer: NDArray[np.uint8]
    source_offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.span_of)

    def __getitem__(self, i: int) -> NDArray[np.uint32]:
        """The token ids of candidate i."""
        return self.token_ids[self.offsets[i] : self.offsets[i + 1]]


class Proposer:
    """Proposes texts from an `index` of bytes or characters.

    - "sbis" continues what stands before the span, as `SBIS(k)` with k = 2, 3, -1 in turn does, at
      temperature 0.8, for as many tokens as the span has. It does not look at what follows.
    - "lexicon" has words of the corpus of the span's length. They are ranked by how often they
      stand after what is before the span, and, if the index is two-sided, before what is behind
      it, longer matches first: P(w | before) P(w | behind) / P(w).

    Safe to use from many threads, which take turns. `index` is the index it was made of.

    Raises InvalidParameter for other tokens.

    >>> import infgram
    >>> from infgram.refine import Proposer
    >>> index = infgram.build(["to be or not to be"], two_sided=True)
    >>> found = Proposer(index).propose(index.ids("not to ex"), [(7, 9)], n_sbis=0)
    >>> [bytes(found[i].tolist()) for i in range(len(found))]
    [b'be', b'to', b'or']
    """

    def __init__(self, index: Index) -> None:
        check_index(index=index)
        self.index = index
        self._native = native.Proposals(
            index.native,
            index.backwards.native if index.is_two_sided else None,
            lexicon(index),
        )

    def propose(
        self,
        token_ids: Sequence[int] | NDArray[Any],
        spans: Sequence[tuple[int, int]] | NDArray[np.integer[Any]],
        *,
        offsets: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        n_sbis: int = 3,
        n_lexicon: int = 3,
        wanted: str = "text",
        seed: int | np.random.Generator | None = None,
    ) -> Candidates:
        """Candidates for spans of a text or of several.

        - `token_ids`: the text, or several one after another; text i is then
          token_ids[offsets[i]:offsets[i + 1]], and nothing stands before or behind it.
        - `spans`: [begin, end) in `token_ids`, of shape (n, 2); they rise, do not overlap, and each
          lies in one text.
        - `n_sbis`, `n_lexicon`: how many of each are looked for. There are fewer where they are the
          same as others or as what stands there, where a document ends, or none has the length.
        - `wanted`: "text" is anything. The others are for spans that are whole words: "word" gives
          words of the corpus, "fitting" those that fit on a side at least, and "better" those of a
          higher standing than what stands there (`standing`).
        - `seed`: the same draws the same; what is drawn for a text depends on the seed and on its
          number.

        Raises InvalidParameter, TokenOutOfRange.
        """
        whole(0, 2**32 - 1, n_sbis=n_sbis, n_lexicon=n_lexicon)
        one_of(WANTED, wanted=wanted)
        ids = self.index.tokenizer.check(token_ids).astype(np.uint32)
        bounds = np.array([0, len(ids)] if offsets is None else offsets, np.int64)
        flat = np.asarray(spans, np.int64).reshape(-1, 2)
        _check_bounds(bounds, flat, len(ids))
        firsts = np.searchsorted(flat[:, 0], bounds)
        found = []
        for rng, text, first in zip(
            spawn(seed, len(bounds) - 1),
            zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True),
            zip(firsts[:-1].tolist(), firsts[1:].tolist(), strict=True),
            strict=True,
        ):
            begin, end = text
            own = flat[slice(*first)] - begin
            with rng.bit_generator.lock:
                proposed = self._native.propose(
                    ids[begin:end],
                    np.ascontiguousarray(own[:, 0]),
                    np.ascontiguousarray(own[:, 1]),
                    n_sbis=n_sbis,
                    n_lexicon=n_lexicon,
                    wanted=WANTED.index(wanted),
                    bit_generator=rng.bit_generator,
                )
            found.append(from_native(self.index, proposed, first_span=first[0]))
        return _joined(found)

    def standing(
        self,
        token_ids: Sequence[int] | NDArray[Any],
        spans: Sequence[tuple[int, int]] | NDArray[np.integer[Any]],
    ) -> NDArray[np.uint8]:
        """How well each word of a text stands where it is, 0 to 3: shape (n,).

        0 if the corpus does not have the word, and 1 if it does; one more for each side that it
        fits on. It fits on a side if the corpus has it whole beside what stands there: beside the
        next word, where one token is between, and else beside what is between, up to four tokens.

        - `spans`: [begin, end) in `token_ids`, of shape (n, 2); they rise, do not overlap, and are
          whole words.

        Raises InvalidParameter, TokenOutOfRange.

        >>> import infgram
        >>> from infgram.refine import Proposer
        >>> index = infgram.build(["to be or not to be"])
        >>> Proposer(index).standing(index.ids("not to or be"), [(0, 3), (4, 6), (7, 9)]).tolist()
        [3, 2, 1]
        """
        ids = self.index.tokenizer.check(token_ids).astype(np.uint32)
        flat = np.asarray(spans, np.int64).reshape(-1, 2)
        _check_bounds(np.array([0, len(ids)], np.int64), flat, len(ids))
        return self._native.standing(
            ids, np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1])
        )


def from_native(index: Index, proposed: tuple[Any, ...], *, first_span: int = 0) -> Candidates:
    """Candidates as the core returns them."""
    token_ids, offsets, span_of, proposer, shards, positions = proposed
    return Candidates(
        token_ids, offsets, span_of + first_span, proposer, index.source_offsets(shards, positions)
    )


def lexicon(index: Index) -> native.Lexicon:
    """The words of an index's text, counted once while it is open; about 0.1 us a token."""
    known = _LEXICONS.get(index)
    if known is None:
        index.need_fast_layout("the list of words of polish and all of refine")
        n_of_character, of_letters, of_apostrophes = letters(index)
        known = _LEXICONS[index] = native.Lexicon(
            index.native,
            n_of_character=n_of_character,
            letters=of_letters,
            apostrophes=of_apostrophes,
            max_tokens=_MAX_LEXICON_TOKENS,
        )
    return known


_LEXICONS: weakref.WeakKeyDictionary[Index, native.Lexicon] = weakref.WeakKeyDictionary()


def _check_bounds(bounds: NDArray[np.int64], spans: NDArray[np.int64], n_tokens: int) -> None:
    rises = len(bounds) > 0 and bool((np.diff(bounds) >= 0).all())
    if not (rises and bounds[0] == 0 and bounds[-1] == n_tokens):
        raise InvalidParameter(
            f"offsets must rise from 0 to {n_tokens}, the number of tokens, found {bounds.tolist()}"
        )
    begins, ends = spans[:, 0], spans[:, 1]
    text = np.searchsorted(bounds, begins, side="right")
    if (
        (begins < 0).any()
        or (ends <= begins).any()
        or (begins[1:] < ends[:-1]).any()
        or (ends > n_tokens).any()
        or (ends > bounds[np.minimum(text, len(bounds) - 1)]).any()
    ):
        raise InvalidParameter(
            "spans must rise, not overlap, hold a token and lie in one text each; found "
            f"{spans.tolist()[:8]} in texts that end at {bounds[1:].tolist()[:8]}"
        )


def _joined(parts: Sequence[Candidates]) -> Candidates:
    if len(parts) == 1:
        return parts[0]
    none = np.zeros(0, np.int64)
    lengths = np.concatenate([none, *(np.diff(part.offsets) for part in parts)])
    return Candidates(
        np.concatenate([np.zeros(0, np.uint32), *(part.token_ids for part in parts)]),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([none, *(part.span_of for part in parts)]),
        np.concatenate([np.zeros(0, np.uint8), *(part.proposer for part in parts)]),
        np.concatenate([none, *(part.source_offset for part in parts)]),
    )
