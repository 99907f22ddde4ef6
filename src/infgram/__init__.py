"""infgram: n-gram language models of unbounded order over a sorted corpus.

What most users need is here. Rooms behind it, on the way that data takes: `infgram.text`, `.store`,
`.models`, `.tracing`, `.draft`, `.refine`, `.pages`; each says what lives in it.
"""

from . import _moved, native
from .create import build
from .errors import InfgramError
from .index import Cursor, Index, open
from .models.arpa import arpa_words, export_arpa
from .models.calibration import Calibration, calibrate, stored_calibration
from .models.estimators import SBIS, KneserNey, Longest
from .models.evaluate import (
    compare,
    level_statistics,
    perplexity,
    published_perplexity,
    reliability,
)
from .models.model import Model, Scores, generate, stream
from .models.sampling import Generation, Sampling, TokenTrace
from .results import Level, Match, NextTokens, Prob
from .tracing.copying import copied_share, novelty

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
    "__version__",
    "arpa_words",
    "build",
    "calibrate",
    "compare",
    "copied_share",
    "export_arpa",
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

__version__ = native.version()

_moved.install()


def __dir__() -> list[str]:
    return __all__
