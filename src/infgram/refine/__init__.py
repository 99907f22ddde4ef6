"""Rewriting what an n-gram model wrote: an index proposes other words, a judge decides.

`polish` is the judge that needs nothing but the index: it must be two-sided.

>>> index = infgram.open(demo_index)
>>> polish(index, "xo be or not ", seed=0).text
'to be or not '
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
