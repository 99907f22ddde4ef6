"""infgram: n-gram language models of unbounded order over a sorted corpus."""

from .calibrate import Calibration, calibrate, stored_calibration
from .create import build
from .errors import InfgramError
from .estimators import SBIS, KneserNey, Longest
from .evaluate import level_statistics, perplexity, published_perplexity, reliability
from .generate import Generation, Sampling, TokenTrace
from .index import Cursor, Index, Level, Match, NextTokens, Prob, open
from .model import Model, Scores, generate, stream
from .novelty import copied_share, novelty

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
    "level_statistics",
    "novelty",
    "open",
    "perplexity",
    "published_perplexity",
    "reliability",
    "stored_calibration",
    "stream",
]
