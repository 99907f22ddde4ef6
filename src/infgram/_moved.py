"""Where modules of version 0.1 are now: their old names work in 0.2, with a DeprecationWarning.

Nobody imports this but the package itself. It goes with the next version.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NOW = {
    **{f"infgram.{name}": f"infgram.text.{name}" for name in ("corpus", "tokens")},
    "infgram.storage": "infgram.store.storage",
    "infgram.context": "infgram.models.context",
    "infgram.estimators": "infgram.models.estimators",
    "infgram.evaluate": "infgram.models.evaluate",
    "infgram.model": "infgram.models.model",
    **{
        f"infgram.draft.{name}": f"infgram.draft.engines.{name}"
        for name in ("huggingface", "llama_cpp", "sglang", "vllm")
    },
    "infgram.draft.retokenize": "infgram.draft.text_drafter",
    "infgram.refine.train": "infgram.refine.network.training",
    "infgram.refine.score": "infgram.refine.network.score",
    "infgram.refine.film_page": "infgram.pages.film",
    "infgram.refine.heat_page": "infgram.pages.heat",
}


class _Finder(MetaPathFinder, Loader):
    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in NOW else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        now = NOW[spec.name]
        warnings.warn(
            f"{spec.name} is {now} now: the old name goes with the next version",
            DeprecationWarning,
            stacklevel=2,
        )
        module = importlib.import_module(now)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It was executed under its own name, which it keeps."""
        spec = module.__spec__
        module.__spec__ = self._specs.pop(spec.name) if spec else None


def install() -> None:
    """Makes the old names work."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.append(_Finder())
