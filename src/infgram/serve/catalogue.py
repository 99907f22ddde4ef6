"""What a server has: indexes by name, and models of them as NAME@ESTIMATOR."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import one_of
from ..errors import InvalidParameter
from ..index import Index
from ..models.definition import Estimator
from ..models.estimators import SBIS, KneserNey, Longest
from ..models.mix.estimator import Mix
from ..models.mix.fitting import stored_fit
from ..models.model import Model
from ..text.pieces import shown_alone
from .refusals import Refusal

ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "kneser-ney": KneserNey,
    "sbis-1": partial(SBIS, k=1),
    "sbis-2": partial(SBIS, k=2),
    "sbis-3": partial(SBIS, k=3),
    "longest": Longest,
    "mix": Mix,
    "mix-full": partial(Mix, size="full"),
}
DEFAULT_ESTIMATOR = "kneser-ney"
END_OF_TEXT = "<|endoftext|>"
"""How the end of a text is written where tokens are strings."""


class Hosted:
    """An index that is served, with its models.

    - `name`: its folder's name, without .infgram.
    - `index`: the index. `models`: by estimator, that of the name alone first.
    """

    def __init__(self, index: Index, default: str) -> None:
        self.index = index
        self.name = index.path.name.removesuffix(".infgram")
        names = [default, *(name for name in ESTIMATORS if name != default)]
        estimators = {name: ESTIMATORS[name]() for name in names}
        self.models = {
            name: Model(index, estimator)
            for name, estimator in estimators.items()
            if name == default or _is_ready(index, estimator)
        }
        self._shown: dict[int, str] = {}

    def prepare(self) -> None:
        """Learns what models need and nobody has stored, so that no request waits for it."""
        for model in self.models.values():
            model.distribution()

    def shown(self, token_id: int) -> str:
        """A token as a string that no other one has, as far as it can be.

        Half a character is `bytes:\\xe2\\x80`, as OpenAI's API writes it.
        """
        found = self._shown.get(token_id)
        if found is None:
            found = self._shown[token_id] = self._show(token_id)
        return found

    def _show(self, token_id: int) -> str:
        if token_id == self.index.end_of_text:
            return END_OF_TEXT
        tokenizer = self.index.tokenizer
        if tokenizer.name != "ids":
            raw = tokenizer.decode([token_id])
            try:
                raw.decode()
            except UnicodeDecodeError:
                return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
        return shown_alone(tokenizer, token_id)

    def all_shown(self, token_ids: Iterable[int]) -> list[str]:
        """Many of them."""
        return [self.shown(token_id) for token_id in token_ids]


def _is_ready(index: Index, estimator: Estimator) -> bool:
    """A mixture that was not fitted would take whoever comes first half a minute a megabyte."""
    return not isinstance(estimator, Mix) or stored_fit(index, size=estimator.size) is not None


@dataclass(frozen=True)
class Served:
    """A model that was asked for: its index, itself, and the place of each token id among
    `Model.token_ids`."""

    hosted: Hosted
    model: Model

    def columns(self, token_ids: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where a distribution has each token; and whether it shares its entry with others."""
        known = self.model.token_ids
        order = np.argsort(known)
        found = order[np.searchsorted(known, token_ids, sorter=order) % len(known)]
        shared = known[found] != token_ids
        return np.where(shared, len(known) - 1, found), shared


class Catalogue:
    """Indexes by name.

    Raises InvalidParameter where two have one name.

    >>> import infgram
    >>> catalogue = Catalogue([infgram.build(["to be or not to be"])])
    >>> name = next(iter(catalogue)).name
    >>> catalogue.model(f"{name}@sbis-3").model.estimator.k
    3
    """

    def __init__(self, indexes: Iterable[Index], default: str = DEFAULT_ESTIMATOR) -> None:
        one_of(ESTIMATORS, estimator=default)
        self._hosted: dict[str, Hosted] = {}
        for index in indexes:
            hosted = Hosted(index, default)
            if hosted.name in self._hosted:
                raise InvalidParameter(
                    f"two indexes are called {hosted.name!r}, expected different names: rename a "
                    "folder"
                )
            self._hosted[hosted.name] = hosted
        if not self._hosted:
            raise InvalidParameter("indexes are none, expected at least one")

    def __iter__(self) -> Iterator[Hosted]:
        return iter(self._hosted.values())

    def prepare(self) -> None:
        """Makes all models ready."""
        for hosted in self:
            hosted.prepare()

    def index(self, name: object) -> Hosted:
        """By its name; the first one where none is given. Raises Refusal, 404."""
        if name is None:
            return next(iter(self))
        found = self._hosted.get(name) if isinstance(name, str) else None
        if found is None:
            names = ", ".join(self._hosted)
            raise Refusal(
                f"there is no index {name!r:.80}, expected one of: {names}", 404, param="index"
            )
        return found

    def model(self, name: object) -> Served:
        """By the name of an index, or NAME@ESTIMATOR. Raises Refusal, 404."""
        if name is None or name in self._hosted:
            hosted = self.index(name)
            return Served(hosted, next(iter(hosted.models.values())))
        if isinstance(name, str):
            index, _, estimator = name.rpartition("@")
            found = self._hosted.get(index)
            if found and estimator in found.models:
                return Served(found, found.models[estimator])
        raise Refusal(
            f"there is no model {name!r:.80}: /v1/models lists those that there are",
            404,
            param="model",
        )

    def model_names(self) -> list[str]:
        """Of each index the name alone, then each estimator."""
        return [
            name
            for hosted in self
            for name in (hosted.name, *(f"{hosted.name}@{each}" for each in hosted.models))
        ]
