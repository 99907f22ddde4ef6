"""infgram: n-gram language models of unbounded order over a sorted corpus."""

from .calibrate import Calibration, calibrate
from .create import build
from .errors import InfgramError
from .estimators import SBIS, KneserNey, Longest
from .evaluate import copied_share
from .generate import Generation, Sampling, TokenTrace
from .index import Cursor, Index, Level, Match, NextTokens, Prob, open
from .model import Model, Scores, generate, stream

__all__ = [
    "SBIS",
    "Calibration",
    "Cursor",
    "Generation",
    "Index",
    "InfgramError",
    "KneserNey",
    "Level",
    "Longest",
    "Match",
    "Model",
    "NextTokens",
    "Prob",
    "Sampling",
    "Scores",
    "TokenTrace",
    "build",
    "calibrate",
    "copied_share",
    "generate",
    "open",
    "stream",
]
