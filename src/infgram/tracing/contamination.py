"""Which texts of a test set stand in a corpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import whole
from ..index import NO_WINDOW, Index, check_index
from ..results import Matches
from ..seeds import generator
from ..text.pieces import REACH
from ..text.tokens import Query
from ..values.value import Value
from .copying import runs_of


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Run(Value):
    """Tokens [begin, end) of a text that stand in the corpus in one piece, `count` times.

    `sources`: some of these places.
    """

    begin: int
    end: int
    text: str
    count: int
    sources: Matches


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Overlap(Value):
    """What of a text stands in a corpus in runs of a given length and more.

    - `n_tokens`: of the text; `n_found`: of those, the ones that lie in such a run.
    - `longest_run`: tokens of the longest run, however short.
    - `runs`: those that are long enough, none within another; they may overlap.
    """

    n_tokens: int
    n_found: int
    longest_run: int
    runs: tuple[Run, ...]

    @property
    def share(self) -> float:
        """Of the tokens, those that lie in a run; 0 for a text without tokens."""
        return self.n_found / self.n_tokens if self.n_tokens else 0.0


def overlap(
    index: Index,
    text: Query,
    *,
    min_length: int = 50,
    sources: int = 1,
    seed: int | np.random.Generator | None = None,
) -> Overlap:
    """The parts of a text that stand in the corpus, in runs of `min_length` tokens or more.

    Contamination of a test set is this for each of its texts. No run crosses documents. `sources`:
    how many places of each run to tell, drawn at random.

    O(levels) a token, and some 0.1 ms a run for its sources.

    Raises InvalidParameter.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be", "that is the question"])
    >>> found = infgram.overlap(index, "he says that is the end", min_length=8)
    >>> found.share, [(each.text, each.sources[0].document) for each in found.runs]
    (0.5217391304347826, [('that is the ', 1)])
    """
    check_index(index=index)
    whole(1, min_length=min_length)
    whole(0, sources=sources)
    rng = generator(seed)
    ids = index.ids(text)
    lengths = index.match_lengths(text, window=NO_WINDOW).astype(np.int64)
    found = runs_of(lengths, min_length)
    is_found = np.zeros(len(ids), bool)
    runs = []
    for begin, end in found:
        is_found[begin:end] = True
        own = ids[begin:end].astype(np.uint32)
        places = index.find(own, limit=sources, seed=rng) if sources else Matches(())
        shown = index.decode(own, after=ids[max(0, begin - REACH) : begin].astype(np.uint32))
        runs.append(Run(begin, end, shown, index.count(own), places))
    return Overlap(
        len(ids), int(np.count_nonzero(is_found)), int(lengths.max(initial=0)), tuple(runs)
    )
