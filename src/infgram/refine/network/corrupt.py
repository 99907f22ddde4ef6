"""Text whose flaws are known: spans of it are written anew by SBIS, from an index of other text.

An index that holds a passage mostly copies it back, so nothing would be wrong with it. So the text
is cut into folds, and the spans of a fold are written from an index of all the others. That index
is also asked which runs of the result it has: one that holds the text would know all of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...checks import whole
from ...errors import InvalidParameter
from ...index import Index
from ...models.estimators import SBIS
from ...models.model import Model
from ...store.building import build_index
from ...text.corpus import Document
from ...text.tokens import TokenArray, load
from ...tracing.copying import run_lengths


@dataclass(frozen=True)
class Noise:
    """How much of a text is written anew, and how.

    - `folds`: of the text.
    - `ks`, `temperatures`: levels that SBIS mixes, any of these, and a range.
    - `lengths`, `gaps`: of spans and of what is left between them, in tokens, both ends included.
    - `context`: tokens before a span that SBIS sees, what was written anew among them.
    """

    folds: int = 4
    ks: tuple[int, ...] = (2, 3, 5, -1)
    temperatures: tuple[float, float] = (0.6, 1.2)
    lengths: tuple[int, int] = (2, 24)
    gaps: tuple[int, int] = (4, 88)
    context: int = 64

    def __post_init__(self) -> None:
        whole(2, folds=self.folds)


@dataclass(frozen=True)
class Flawed:
    """A text with spans written anew.

    - `token_ids`: uint32.
    - `run_lengths`: for each token, how long a run ends with it that the index has which the spans
      were written from.
    """

    token_ids: NDArray[np.uint32]
    run_lengths: NDArray[np.float32]


def corrupt(
    token_ids: TokenArray, index: Index, rng: np.random.Generator, noise: Noise | None = None
) -> Flawed:
    """The text with spans of it written anew from the index, as long as it was. 100 us a span.

    >>> import infgram
    >>> text = np.frombuffer(b"not to be or to be not", np.uint8)
    >>> flawed = corrupt(text, infgram.build(["to be or not to be"]), np.random.default_rng(0))
    >>> len(flawed.token_ids) == len(text)
    True
    """
    noise = noise or Noise()
    models = [Model(index, SBIS.published(k)) for k in noise.ks]
    written = token_ids.astype(np.uint32)
    for start, end in _spans(len(token_ids), rng, noise):
        before = written[max(start - noise.context, 0) : start]
        made = models[rng.integers(len(models))].generate(
            before,
            max_tokens=end - start,
            temperature=rng.uniform(*noise.temperatures),
            seed=rng,
        )
        written[start : start + len(made.token_ids)] = made.token_ids
    return Flawed(written, run_lengths(index, written))


def cross_fitted(
    token_ids: TokenArray,
    tokenizer: str,
    rng: np.random.Generator,
    noise: Noise | None = None,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Flawed:
    """The text with spans of each fold written anew from the other folds.

    `progress` is called with folds done and all folds. Raises InvalidParameter for a text that is
    shorter than two tokens a fold.
    """
    noise = noise or Noise()
    if len(token_ids) < 2 * noise.folds:
        raise InvalidParameter(
            f"a text of {len(token_ids)} tokens cannot be cut into {noise.folds} folds"
        )
    bounds = np.linspace(0, len(token_ids), noise.folds + 1).astype(int)
    parts = []
    for fold, (start, end) in enumerate(pairwise(bounds.tolist())):
        with index_of([token_ids[:start], token_ids[end:]], tokenizer) as index:
            parts.append(corrupt(token_ids[start:end], index, rng, noise))
        progress(fold + 1, noise.folds)
    return Flawed(
        np.concatenate([part.token_ids for part in parts]),
        np.concatenate([part.run_lengths for part in parts]),
    )


@contextmanager
def index_of(texts: Sequence[TokenArray], tokenizer: str) -> Iterator[Index]:
    """An index of texts, gone when the block ends."""
    documents = (Document(text, "", 0, {}) for text in texts if len(text))
    with tempfile.TemporaryDirectory(prefix="infgram-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "texts.infgram"
        yield Index.of(build_index(documents, path, tokenizer=load(tokenizer)), path)


def _spans(n: int, rng: np.random.Generator, noise: Noise) -> list[tuple[int, int]]:
    """Half-open spans to write anew: gaps and lengths in turn."""
    spans = []
    at = int(rng.integers(1, noise.gaps[1] + 1))
    while at < n:
        length = int(rng.integers(noise.lengths[0], noise.lengths[1] + 1))
        spans.append((at, min(at + length, n)))
        at += length + int(rng.integers(noise.gaps[0], noise.gaps[1] + 1))
    return spans
