"""infgram: n-gram language models of unbounded order over a sorted corpus."""

from .errors import InfgramError
from .estimators import SBIS
from .evaluate import copied_share
from .generate import Generation, generate, stream
from .index import Cursor, Index, Level, Match, NextTokens, Prob, build, open

__all__ = [
    "SBIS",
    "Cursor",
    "Generation",
    "Index",
    "InfgramError",
    "Level",
    "Match",
    "NextTokens",
    "Prob",
    "build",
    "copied_share",
    "generate",
    "open",
    "stream",
]
