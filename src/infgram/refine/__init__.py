"""Rewriting what an n-gram model wrote: an index proposes other words, a judge decides.

`polish` is the judge that needs nothing but the index: it must be two-sided.

>>> index = infgram.build(
...     demo_index.parent / "demo.txt", demo_index.parent / "two.infgram", two_sided=True
... )
>>> polish(index, "or xot to be ", seed=0).text
'or not to be '
"""

from .copying import Certificate, certify
from .edits import Edit, Refined, Trace
from .polish import polish, polish_many
from .propose import Candidates, Proposer

__all__ = [
    "Candidates",
    "Certificate",
    "Edit",
    "Proposer",
    "Refined",
    "Trace",
    "certify",
    "polish",
    "polish_many",
]
