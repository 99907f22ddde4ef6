"""Ways to refine: what is masked or exchanged, by what, and whether it stands.

A file a way; strategy.py says what one is. May touch a scorer and the index that proposes.
"""

from .editor import Editor
from .remask import Remask, Schedule, TokenToToken
from .strategy import Strategy, Tools

STRATEGIES: dict[str, type[Strategy]] = {
    "editor": Editor,
    "remask": Remask,
    "schedule": Schedule,
    "t2t": TokenToToken,
}

__all__ = ["STRATEGIES", "Editor", "Remask", "Schedule", "Strategy", "TokenToToken", "Tools"]
