"""How a model reads drafts: a text alone, as transformers' own loop reads it, or several at once.

`OneByOne` hands a model what `generate` would, made by the model's own method, and a draft that is
a path behind it: right for whatever reads several tokens as it reads one after another. `Together`
has masks and positions of its own, so drafts may be trees and texts may differ in length: for
models that place tokens by what they are told (ways.py finds out).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...drafter import Draft
from .caches import Grown, copies, forget, fresh_cache, joined
from .library import CACHE, TELLS_SLOTS


class OneByOne:
    """A model and a text that it has read."""

    def __init__(self, model: Any) -> None:
        self.cache = fresh_cache(model)
        self._model = model
        self._takes = set(inspect.signature(model.forward).parameters)
        self._ids = torch.zeros(1, 0, dtype=torch.long, device=model.device)
        self._n_read = 0  # of the text, by the cache
        self._n_last = 0  # tokens of the last read
        self._copies: dict[int, Any] = {}

    def read(self, unread: Sequence[int], drafted: Sequence[int]) -> torch.Tensor:
        """Reads tokens of the text and a path behind them.

        Returns the logits after the last one and after each token drafted, (n + 1, vocab_size).
        """
        new = self._ids.new_tensor([[*unread, *drafted]])
        self._ids = torch.cat([self._ids, new], 1)
        self._n_last = new.shape[1]
        self._copies = copies(self.cache) if drafted else {}
        with torch.no_grad():
            outputs = self._model(**self._inputs(len(drafted) + 1), return_dict=True)
        return outputs.logits[0, -len(drafted) - 1 :]

    def keep(self, n: int) -> None:
        """Forgets all but the first n tokens of the last read."""
        too_many = self._n_last - n
        n_all = self._ids.shape[1]
        self._ids = self._ids[:, : n_all - too_many]
        if too_many and self._copies:
            # What stays is read once more, with the next tokens.
            forget(self.cache, n_all - self._n_read)
            for place, layer in self._copies.items():
                self.cache.layers[place] = layer
            return
        forget(self.cache, too_many)
        self._n_read = self._ids.shape[1]

    @property
    def n_again(self) -> int:
        """Tokens of the text that the next read has to read once more."""
        return self._ids.shape[1] - self._n_read

    def _inputs(self, n_rows: int) -> dict[str, Any]:
        """What the model makes of the text and its cache, as in `generate`."""
        n = self._ids.shape[1]
        places = torch.arange(n, device=self._ids.device)
        more: dict[str, Any] = {}
        if "position_ids" in self._takes:
            more["position_ids"] = places[None]
        if "logits_to_keep" in self._takes:
            more["logits_to_keep"] = n_rows
        if TELLS_SLOTS:
            more["cache_position"] = places[self._n_read :]
        inputs = self._model.prepare_inputs_for_generation(
            self._ids,
            next_sequence_length=n - self._n_read if self._n_read else None,
            attention_mask=None,
            use_cache=True,
            is_first_iteration=self._n_read == 0,
            **{CACHE: self.cache},
            **more,
        )
        if inputs.get(CACHE) is not self.cache:  # it wants to read everything anew
            self.cache = inputs[CACHE] = fresh_cache(self._model)
        return inputs


class Together:
    """A model and texts that it has read, one after another at first, now all in one pass."""

    def __init__(self, model: Any, readers: Sequence[OneByOne]) -> None:
        self.cache = joined([reader.cache for reader in readers])
        self._model = model
        self._takes = set(inspect.signature(model.forward).parameters)
        self._lengths = np.array([reader.cache.get_seq_length() for reader in readers])
        self._positions = self._lengths.copy()
        self._n_last = 0

    def read(self, unread: Sequence[int], drafts: Sequence[Draft]) -> list[torch.Tensor]:
        """Reads the next token of each text and a draft behind it.

        Returns the logits after it and after each token of the draft, (n + 1, vocab_size) each.
        """
        self._n_last = 1 + max(map(len, drafts))
        ids = np.zeros((len(drafts), self._n_last), np.int64)
        depths = np.zeros_like(ids)
        for row, (token, draft) in enumerate(zip(unread, drafts, strict=True)):
            ids[row, : len(draft) + 1] = [token, *draft.token_ids.tolist()]
            depths[row, 1 : len(draft) + 1] = draft.depths
        more: dict[str, Any] = {"position_ids": self._tensor(self._positions[:, None] + depths)}
        if len(drafts) > 1 or not is_path(drafts[0]):
            more["attention_mask"] = self._mask(drafts)
        with torch.no_grad():
            outputs = self._model(
                input_ids=self._tensor(ids),
                use_cache=True,
                return_dict=True,
                **{CACHE: self.cache},
                **more,
            )
        rows = zip(outputs.logits, drafts, strict=True)
        return [logits[: len(draft) + 1] for logits, draft in rows]

    def keep(self, places: Sequence[Sequence[int]]) -> None:
        """Keeps of each draft these tokens, which become the text's; their places rise."""
        first = self.cache.get_seq_length() - self._n_last
        counts = np.array([len(each) + 1 for each in places])
        rows = np.repeat(np.arange(len(places)), counts)
        sources = first + np.concatenate([[0, *(place + 1 for place in each)] for each in places])
        ends = self._lengths + counts
        targets = np.concatenate(
            [np.arange(start, end) for start, end in zip(self._lengths, ends, strict=True)]
        )
        moved = sources != targets
        if moved.any():
            chosen = [self._tensor(each[moved]) for each in (rows, sources, targets)]
            for layer in self._layers():
                layer.move(*chosen)
        self._lengths = ends
        self._positions = self._positions + counts
        forget(self.cache, first + self._n_last - int(ends.max()))

    def forget(self) -> Together:
        """Itself, the last read forgotten as a whole."""
        forget(self.cache, self._n_last)
        self._n_last = 0
        return self

    def select(self, rows: Sequence[int]) -> None:
        """Goes on with these texts alone."""
        self._lengths, self._positions = self._lengths[rows], self._positions[rows]
        chosen = self._tensor(np.array(rows))
        for layer in self._layers():
            layer.select(chosen)
        forget(self.cache, self.cache.get_seq_length() - int(self._lengths.max()))

    def extend(self, length: int, period: int) -> None:
        """Makes the model believe that its only text has filled so many slots."""
        for layer in self._layers():
            layer.extend(length, period)
        self._lengths[:] = length

    def _layers(self) -> list[Grown]:
        return [layer for layer in self.cache.layers if isinstance(layer, Grown)]

    def _mask(self, drafts: Sequence[Draft]) -> torch.Tensor:
        """Lets each token see its text, what stands above it in its draft, and itself."""
        start, n = self.cache.get_seq_length(), self._n_last
        seen = np.zeros((len(drafts), n, start + n), bool)
        seen[:, :, :start] = np.arange(start) < self._lengths[:, None, None]
        seen[:, np.arange(n), start + np.arange(n)] = True
        for row, draft in enumerate(drafts):
            end = len(draft) + 1
            seen[row, 1:end, start] = True
            seen[row, 1:end, start + 1 : start + end] = draft.mask()
        mask = torch.zeros(seen.shape, dtype=self._model.dtype, device=self._model.device)
        mask.masked_fill_(self._tensor(~seen), torch.finfo(self._model.dtype).min)
        return mask[:, None]

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._model.device)


def is_path(draft: Draft) -> bool:
    """Whether each token of a draft follows the one before it."""
    return np.array_equal(draft.parents, np.arange(-1, len(draft) - 1))


def most_tokens(model: Any) -> float:
    """What a model has positions for, draft and all."""
    config = model.config.get_text_config()
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return next(filter(None, named), math.inf)
