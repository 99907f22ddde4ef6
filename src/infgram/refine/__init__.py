"""Rewriting what an n-gram model wrote: an index proposes other words, a judge decides.

`polish` needs nothing but an index, which must be two-sided: infgram's own n-grams judge. `refine`
is the same with a small network for a judge, a `Scorer` of what `infgram refine train` has written;
that alone needs the extra `refine`.

>>> import infgram
>>> from infgram.refine import polish
>>> index = infgram.build(["to be or not to be"], two_sided=True)
>>> polish(index, "to te or not ", seed=0).text
'to be or not '
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tracing.copying import Certificate, certify
from .edits import Edit, Refined, Trace
from .infilling import infill
from .linting import lint
from .polishing import polish, polish_many
from .propose import Candidates, Proposer
from .rewrite import refine, refine_many
from .strategies import Editor, Remask, Schedule, Strategy, TokenToToken

if TYPE_CHECKING:
    from .network.score import Scorer
    from .network.training import train

__all__ = [
    "Candidates",
    "Certificate",
    "Edit",
    "Editor",
    "Proposer",
    "Refined",
    "Remask",
    "Schedule",
    "Scorer",
    "Strategy",
    "TokenToToken",
    "Trace",
    "certify",
    "infill",
    "lint",
    "polish",
    "polish_many",
    "refine",
    "refine_many",
    "train",
]


def __getattr__(name: str) -> Any:
    """What imports PyTorch waits until somebody asks. Raises MissingExtra."""
    if name == "Scorer":
        from .network.score import Scorer

        return Scorer
    if name == "train":
        from .network.training import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
