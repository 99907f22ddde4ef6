"""A model's cache as drafts need it: what was read of a draft in vain can be forgotten.

Layers of keys and values are ours; they keep what they read until they are told what of it stays.
Layers of any other kind, recurrent states among them, are copied before a draft is read, and the
copy comes back where not all of it stays.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

_LEAST_ROOM = 64


class Grown(DynamicLayer):
    """Keys and values with room behind them: a step costs what it adds, and keeps what it likes."""

    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._all_keys = key_states[:, :, :0]
            self._all_values = value_states[:, :, :0]
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if end > self._all_keys.shape[2]:
            self._all_keys = _enlarged(self._all_keys, start, end)
            self._all_values = _enlarged(self._all_values, start, end)
        self._all_keys[:, :, start:end] = key_states
        self._all_values[:, :, start:end] = value_states
        return self._cut(end)

    def forget(self, n: int) -> None:
        """Forgets the last n tokens."""
        if self.is_initialized:
            self._cut(self.get_seq_length() - n)

    def move(self, rows: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor) -> None:
        """Copies what stands in slots of texts to other slots of the same texts."""
        for kept in (self._all_keys, self._all_values):
            kept[rows, :, targets] = kept[rows, :, sources]

    def select(self, rows: torch.Tensor) -> None:
        """Keeps only these texts."""
        end = self.get_seq_length()
        self._all_keys = self._all_keys[rows]
        self._all_values = self._all_values[rows]
        self._cut(end)

    def extend(self, length: int, period: int) -> None:
        """Fills slots up to `length` with what tokens might have had.

        The last `period` keys are repeated, so that attention to one of them is attention to all
        of its copies. Values differ from slot to slot, far more than those of tokens: it shows
        which slots are attended to.
        """
        keys, values = self.keys, self.values
        rng = torch.Generator().manual_seed(0)
        shape = (1, 1, length, values.shape[-1])
        spread = values.float().abs().mean() * length**0.5
        repeated = keys.shape[2] - period + torch.arange(length, device=keys.device) % period
        room = (*keys.shape[:2], length + _LEAST_ROOM)
        self._all_keys = keys.new_zeros((*room, keys.shape[3]))
        self._all_values = values.new_zeros((*room, values.shape[3]))
        self._all_keys[:, :, :length] = keys[:, :, repeated]
        noise = torch.randn(shape, generator=rng).to(values) * spread.to(values)
        self._all_values[:, :, :length] = values[:, :, repeated] + noise
        self._cut(length)

    @classmethod
    def of_texts(cls, layers: list[Grown]) -> Grown:
        """A layer for several texts, from one for each; the shorter ones end before the last."""
        joint = cls()
        joint.lazy_initialization(layers[0].keys, layers[0].values)
        joint._all_keys = _stacked([layer.keys for layer in layers])
        joint._all_values = _stacked([layer.values for layer in layers])
        joint._cut(joint._all_keys.shape[2])
        return joint

    def _cut(self, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys = self._all_keys[:, :, :end]
        self.values = self._all_values[:, :, :end]
        return self.keys, self.values


class Window(DynamicSlidingWindowLayer):
    """Keys and values of the last tokens alone, and of a draft behind them."""

    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.cumulative_length += key_states.shape[-2]
        self.keys = torch.cat([self.keys, key_states], dim=-2)
        self.values = torch.cat([self.values, value_states], dim=-2)
        return self.keys, self.values

    def forget(self, n: int) -> None:
        """Forgets the last n tokens, and what no later one can see."""
        if not self.is_initialized:
            return
        end = self.keys.shape[-2] - n
        start = max(0, end - self.sliding_window + 1)
        self.keys = self.keys[:, :, start:end]
        self.values = self.values[:, :, start:end]
        self.cumulative_length -= n


def fresh_cache(model: Any) -> Cache:
    """The cache that transformers makes for a model, with layers of ours where there are any."""
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    cache.layers = [_of_ours(layer) for layer in cache.layers]
    if not cache.layers:
        cache.layer_class_to_replicate = Grown
    return cache


def _of_ours(layer: Any) -> Any:
    if type(layer) is DynamicLayer:
        return Grown()
    if type(layer) is DynamicSlidingWindowLayer:
        return Window(layer.sliding_window)
    return layer


def others(cache: Cache) -> dict[Any, int]:
    """The layers that cannot forget, with their places."""
    layers = enumerate(cache.layers)
    return {layer: place for place, layer in layers if not isinstance(layer, Grown | Window)}


def copies(cache: Cache) -> dict[int, Any]:
    """Of the layers that cannot forget, by their places."""
    return {place: copy.deepcopy(layer) for layer, place in others(cache).items()}


def forget(cache: Cache, n: int) -> None:
    """Forgets the last n tokens in all layers that can."""
    for layer in cache.layers:
        if isinstance(layer, Grown | Window):
            layer.forget(n)


def joined(caches: list[Cache]) -> Cache:
    """A cache for several texts, from one for each; of `Grown` layers alone."""
    if len(caches) == 1:
        return caches[0]
    cache = Cache(layer_class_to_replicate=Grown)
    cache.layers = [
        Grown.of_texts(list(layers))
        for layers in zip(*(each.layers for each in caches), strict=True)
    ]
    return cache


def of_transformers(cache: Cache) -> Cache:
    """The same with layers of transformers' own, for whoever goes on with it."""
    cache.layers = [_of_theirs(layer) for layer in cache.layers]
    cache.layer_class_to_replicate = None if cache.layers else DynamicLayer
    return cache


def _of_theirs(layer: Any) -> Any:
    if isinstance(layer, Grown):
        theirs = DynamicLayer()
    elif isinstance(layer, Window):
        theirs = DynamicSlidingWindowLayer(layer.sliding_window)
        theirs.cumulative_length = layer.cumulative_length
    else:
        return layer
    if layer.is_initialized:
        theirs.lazy_initialization(layer.keys, layer.values)
        theirs.keys, theirs.values = layer.keys.clone(), layer.values.clone()
    return theirs


def _enlarged(states: torch.Tensor, n_used: int, n_needed: int) -> torch.Tensor:
    """With room for more than is needed, so that growing costs O(1) a token."""
    shape = list(states.shape)
    shape[2] = n_needed + n_needed // 2 + _LEAST_ROOM
    larger = states.new_zeros(shape)
    larger[:, :, :n_used] = states[:, :, :n_used]
    return larger


def _stacked(states: list[torch.Tensor]) -> torch.Tensor:
    """Of several texts, with zeros behind the shorter ones."""
    shape = list(states[0].shape)
    shape[0], shape[2] = len(states), max(each.shape[2] for each in states)
    joint = states[0].new_zeros(shape)
    for row, each in enumerate(states):
        joint[row, :, : each.shape[2]] = each[0]
    return joint
