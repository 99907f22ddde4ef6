"""Kneser-Ney cut at an order as an ARPA back-off file, which KenLM, SRILM and others read.

A back-off file lists n-grams. One that is listed has its probability; any other has the back-off
weight of its context times what it has after the context's suffix. A cut model is of that form: a
level adds its own tokens to what the suffixes say, so to all others it gives one share of that. The
weight of a context is therefore what it has for any one token that is never listed, such as one
that the corpus never had, divided by what the context's suffix has for it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..errors import InvalidParameter
from ..index import Index
from ..store.directory import replacing
from ..store.storage import Progress
from ..text.tokens import Ids
from .calibration import kneser_ney_of
from .estimators import MAX_ORDER, KneserNey
from .model import Model

_CHUNK_CONTEXTS = 1024
_CHUNK_FIRST = 8  # of contexts of one token: progress is told after each chunk
_BEGIN, _END, _UNKNOWN = "<s>", "</s>", "<unk>"
_SPECIAL = {"", _BEGIN, _END, _UNKNOWN, _UNKNOWN.upper()}
_NEVER = -99.0  # how ARPA files write the logarithm of 0


def export_arpa(
    model: Model,
    path: str | os.PathLike[str] | IO[bytes],
    *,
    progress: Progress | None = None,
) -> list[int]:
    """Writes a model as an ARPA file, and returns how many n-grams of each order it lists.

    The model is `Model(index, KneserNey(max_order=n))`. A reader of the file gives every token what
    the model's `score` does, but for rounding to seven digits. What differs:

    - `<s>` is the beginning of a document, `</s>` its end, which has a probability even if no
      document of the corpus ends.
    - `<unk>` has what one token has that the corpus never had, as in `score`; a reader that takes
      it for all of them finds less than 1 in the sum.
    - Words of an ARPA file hold no blanks: `arpa_words` tells how a token is written.

    The text of each order goes through a temporary file. Memory: the followers of a thousand
    contexts of each length. A file that stands there is replaced at the end, or left as it was.

    Raises InvalidParameter for models that the format cannot express; OSError.

    Source of the format: A. Stolcke, SRILM's ngram-format(5).

    >>> import io, infgram
    >>> file = io.BytesIO()
    >>> index = infgram.build(["to be or not to be"])
    >>> infgram.export_arpa(infgram.Model(index, infgram.KneserNey(max_order=2)), file)
    [10, 14]
    >>> print(file.getvalue().decode()[:6])
    \\data\\
    """
    estimator = model.estimator
    if not isinstance(estimator, KneserNey) or not 2 <= estimator.window + 1 < MAX_ORDER:
        raise InvalidParameter(
            f"the model is {estimator!r}, expected KneserNey(max_order=n) with n from 2 to "
            f"{MAX_ORDER - 1}: nothing else is a back-off model"
        )
    if model.adapt:
        raise InvalidParameter("the model adapts, expected one without: a file learns no text")
    if len(model.indexes) > 1:
        raise InvalidParameter(
            f"the model mixes {len(model.indexes)} indexes, expected one: a mixture is no back-off "
            "model"
        )
    with ExitStack() as files:
        if isinstance(path, (str, os.PathLike)):
            # beside the file, where there is room for it; a device has none
            is_file = os.path.isfile(path) or not os.path.exists(path)
            folder = os.path.dirname(os.path.abspath(path)) if is_file else None
            out: IO[bytes] = files.enter_context(replacing(path))
        else:
            folder, out = None, path
        sections: list[IO[bytes]] = [
            files.enter_context(tempfile.TemporaryFile(dir=folder))
            for _ in range(estimator.window + 1)
        ]
        listing = _Listing(model, sections, progress)
        listing.write()
        out.write(b"\\data\\\n")
        for order, n in enumerate(listing.counts, 1):
            out.write(f"ngram {order}={n}\n".encode())
        for order, section in enumerate(sections, 1):
            out.write(f"\n\\{order}-grams:\n".encode())
            section.seek(0)
            shutil.copyfileobj(section, out, 1 << 20)
        out.write(b"\n\\end\\\n")
    return listing.counts


def arpa_words(index: Index, token_ids: Ids) -> list[str]:
    r"""How an exported file writes tokens: joined by blanks, they are text for its readers.

    Characters that print stand for themselves, but for the backslash, which is doubled. Others,
    blanks among them, are `\xHH` (a byte, or a character below U+0100) or `\u{HEX}`. A token whose
    text is empty, one of the format's own words, or that of another token, is `\i` and its id. What
    the corpus never had is `<unk>`, the end of text `</s>`.

    >>> import infgram
    >>> infgram.arpa_words(infgram.build(["to be or not to be"]), list(b"to be?"))
    ['t', 'o', '\\x20', 'b', 'e', '<unk>']
    """
    words = _Words(index)
    return [words.of.get(int(token_id), _UNKNOWN) for token_id in token_ids]


class _Words:
    """The words of an index's tokens."""

    def __init__(self, index: Index) -> None:
        self._index = index

    @cached_property
    def of(self) -> dict[int, str]:
        tokenizer = self._index.tokenizer
        words = {self._index.end_of_text: _END}
        taken = set(_SPECIAL)
        for token_id in self._index.alphabet[1:].tolist():
            if tokenizer.name == "ids":
                word = str(token_id)
            else:
                word = "".join(map(_escaped, tokenizer.piece(token_id)))
            if word in taken:
                word = f"\\i{token_id}"
            taken.add(word)
            words[token_id] = word
        return words


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character.isprintable() and not character.isspace():
        return character
    return f"\\x{ord(character):02x}" if character < "\u0100" else f"\\u{{{ord(character):x}}}"


class _Listing:
    """The n-grams of an index, each written to its order's section; context by context."""

    def __init__(self, model: Model, sections: list[IO[bytes]], progress: Progress | None) -> None:
        (self._index,) = model.indexes
        self._model = kneser_ney_of(self._index, adapt=False)
        self._n_unseen = model.n_unseen
        self._window = model.window
        self._words = _Words(self._index).of
        self._sections = sections
        self._progress = progress
        self.counts = [0] * len(sections)

    def write(self) -> None:
        """Writes all."""
        end_of_text = self._index.end_of_text
        _, ids, probs, unseen, _ = self._followers(np.zeros((1, 0), np.uint32))
        self._list(1, [_UNKNOWN], _log10(unseen) if self._n_unseen else [_NEVER])
        if end_of_text not in ids:
            ids, probs = np.append(ids, np.uint32(end_of_text)), np.append(probs, unseen)
        words, logs, is_end = self._texts(ids), _log10(probs), ids == end_of_text
        self._list(1, words[is_end], logs[is_end])
        # The end of one document is the beginning of the next: a context under another name.
        words[is_end], logs[is_end] = _BEGIN, _NEVER
        self._walk(ids[:, None], words, logs)

    def _walk(
        self, contexts: NDArray[np.uint32], texts: NDArray[np.object_], logs: NDArray[np.float64]
    ) -> None:
        """Lists n-grams that are contexts, of shape (n_contexts, n), and all that begin with them.

        `logs`: of the n-grams' own probabilities.
        """
        n_contexts, n = contexts.shape
        for chunk in _slices(n_contexts, _CHUNK_FIRST if n == 1 else _CHUNK_CONTEXTS):
            offsets, ids, probs, unseen, shorter = self._followers(contexts[chunk])
            self._list(n, texts[chunk], logs[chunk], _log10(unseen) - _log10(shorter))
            of = np.repeat(np.arange(chunk.start, chunk.stop), np.diff(offsets))
            longer, found = texts[of] + " " + self._texts(ids), _log10(probs)
            goes_on = (ids != self._index.end_of_text) & (n < self._window)
            self._list(n + 1, longer[~goes_on], found[~goes_on])
            if goes_on.any():
                self._walk(
                    np.column_stack([contexts[of], ids])[goes_on], longer[goes_on], found[goes_on]
                )
            if n == 1 and self._progress:
                self._progress("export", chunk.stop, n_contexts)

    def _texts(self, ids: NDArray[np.uint32]) -> NDArray[np.object_]:
        return np.array([self._words[token_id] for token_id in ids.tolist()], np.object_)

    def _followers(self, contexts: NDArray[np.uint32]) -> tuple[Any, ...]:
        return native.list_followers(
            self._index.native,
            model=self._model,
            contexts=np.ascontiguousarray(contexts).ravel(),
            n=contexts.shape[1],
            window=self._window,
        )

    def _list(
        self,
        order: int,
        texts: Iterable[str],
        logs: Iterable[float],
        weights: Iterable[float] | None = None,
    ) -> None:
        """Writes n-grams of one order, those that are contexts with their back-off weights."""
        if weights is None:
            lines = [f"{log:.7g}\t{text}\n" for text, log in zip(texts, logs, strict=True)]
        else:
            lines = [
                f"{log:.7g}\t{text}\t{weight:.7g}\n"
                for text, log, weight in zip(texts, logs, weights, strict=True)
            ]
        self._sections[order - 1].write("".join(lines).encode())
        self.counts[order - 1] += len(lines)


def _log10(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    # A sum of rounded numbers may be a little more than 1, a product of very small ones 0.
    return np.log10(np.clip(probs, 1e-300, 1.0))


def _slices(n: int, size: int) -> Iterator[slice]:
    for begin in range(0, n, size):
        yield slice(begin, min(begin + size, n))
