"""Ways to refine: what is masked or exchanged, by what, and whether it stands."""

from .editor import Editor
from .remask import Remask, Schedule, TokenToToken
from .tools import Strategy, Tools

STRATEGIES: dict[str, type[Strategy]] = {
    "editor": Editor,
    "remask": Remask,
    "schedule": Schedule,
    "t2t": TokenToToken,
}

__all__ = ["STRATEGIES", "Editor", "Remask", "Schedule", "Strategy", "TokenToToken", "Tools"]
