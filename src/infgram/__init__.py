"""infgram: n-gram language models of unbounded order over a sorted corpus.

What most users need is here. Rooms behind it, on the way that data takes: `infgram.text`, `.store`,
`.models`, `.tracing`, `.draft`, `.refine`, `.pages`; each says what lives in it.
"""

from . import _moved, native
from .create import build, convert
from .errors import InfgramError
from .growing import add, merge, remove
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
from .models.mix.estimator import Mix
from .models.mix.fitting import MixFit, fit, stored_fit
from .models.model import Model, Scores, generate, stream
from .models.sampling import Generation, Sampling, TokenTrace
from .parts import build_parts, join
from .planning import Plan, plan
from .remote.index import RemoteIndex, open_remote
from .remote.transfer import pull, push
from .results import Level, Match, NextTokens, Prob
from .tracing.attribution import Attribution, Passage, Span, attribute
from .tracing.boolean import count_cnf
from .tracing.contamination import Overlap, overlap
from .tracing.copying import copied_share, novelty
from .tracing.ngrams import Ngram, ngrams
from .tracing.repeats import Deduplicated, Repeat, dedup, repeats
from .tracing.variants import variants

__all__ = [
    "SBIS",
    "Attribution",
    "Calibration",
    "Cursor",
    "Deduplicated",
    "Generation",
    "Index",
    "InfgramError",
    "KneserNey",
    "Level",
    "Longest",
    "Match",
    "Mix",
    "MixFit",
    "Model",
    "NextTokens",
    "Ngram",
    "Overlap",
    "Passage",
    "Plan",
    "Prob",
    "RemoteIndex",
    "Repeat",
    "Sampling",
    "Scores",
    "Span",
    "TokenTrace",
    "__version__",
    "add",
    "arpa_words",
    "attribute",
    "build",
    "build_parts",
    "calibrate",
    "compare",
    "convert",
    "copied_share",
    "count_cnf",
    "dedup",
    "export_arpa",
    "fit",
    "generate",
    "join",
    "level_statistics",
    "merge",
    "ngrams",
    "novelty",
    "open",
    "open_remote",
    "overlap",
    "perplexity",
    "plan",
    "published_perplexity",
    "pull",
    "push",
    "reliability",
    "remove",
    "repeats",
    "stored_calibration",
    "stored_fit",
    "stream",
    "variants",
]

__version__ = native.version()

_moved.install()


def __dir__() -> list[str]:
    return __all__
