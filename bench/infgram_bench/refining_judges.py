"""The judges of `refining`: two networks that are neither the refiner nor like each other.

A causal transformer and a recurrent network, trained on the training text that everybody has. To
training.py and gpt.py they look like models of transformers: a call gives `.logits`, and
`.config.n_positions` is the block that they were trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.modeling_outputs import CausalLMOutput

from .gpt import Recipe, Text

_AT_ONCE = 32
_RECURRENT_INPUT = 64


@dataclass(frozen=True)
class TransformerRecipe(Recipe):
    """RMSNorm, rotary positions, normalised queries and keys, ReLU²; Muon trains its layers."""

    muon_rate: float = 7.0  # to AdamW's

    def build(self, n_characters: int) -> Judge:
        return Transformer(self, n_characters).eval()

    def muon(self, model: Any) -> tuple[list[Tensor], float]:
        return list(model.layers.parameters()), self.muon_rate


@dataclass(frozen=True)
class RecurrentRecipe(Recipe):
    """An LSTM of `n_layer` layers, `n_embd` wide; `n_head` means nothing to it."""

    def build(self, n_characters: int) -> Judge:
        return Recurrent(self, n_characters).eval()


# Neither shares its seed, its batches or its shape with the refiner, or with the other. As far as
# nine and eight minutes of one core take them.

TRANSFORMER = TransformerRecipe(
    "refining-transformer",
    n_layer=3,
    n_head=5,
    n_embd=160,
    block_size=288,
    batch_size=4,
    dropout=0.0,
    max_iters=2400,
    lr_decay_iters=2400,
    eval_interval=200,
    eval_iters=8,
    learning_rate=3e-3,
    min_lr=0.0,
    warmup_iters=40,
    beta2=0.95,
    weight_decay=0.0,
    seed=161803,
)

RECURRENT = RecurrentRecipe(
    "refining-recurrent",
    n_layer=1,
    n_head=1,
    n_embd=384,
    block_size=128,
    batch_size=16,
    dropout=0.0,
    max_iters=2400,
    lr_decay_iters=2400,
    eval_interval=200,
    eval_iters=4,
    learning_rate=4e-3,
    min_lr=0.0,
    warmup_iters=40,
    weight_decay=0.0,
    seed=141421,
)

JUDGES: dict[str, Recipe] = {"transformer": TRANSFORMER, "recurrent": RECURRENT}


def text_of(training: bytes, validation: bytes) -> Text:
    """Bytes as the characters of a text; the vocabulary is what there is of them."""
    data = np.frombuffer(training + validation, np.uint8)
    there, ids = np.unique(data, return_inverse=True)
    parts = np.split(ids.astype(np.uint8), [len(training)])
    return Text(there.tobytes().decode("latin-1"), *parts)


def nats(model: Any, texts: NDArray[np.uint8], n_prompt: int) -> NDArray[np.float64]:
    """Of each byte after the first n_prompt of each text, given all before it.

    Texts (n, length), nats (n, length - n_prompt).
    """
    found = []
    with torch.inference_mode():
        for some in torch.from_numpy(texts.astype(np.int64)).split(_AT_ONCE):
            some = some.to(model.device)
            logits = model(some[:, :-1]).logits[:, n_prompt - 1 :]
            targets = some[:, n_prompt:]
            losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            found.append(losses.view_as(targets).double().cpu().numpy())
    return np.concatenate(found)


class Judge(nn.Module):
    """What the two have in common: bytes in, logits of the next byte out."""

    def __init__(self, recipe: Recipe, n_characters: int, n_input: int) -> None:
        super().__init__()
        self.config = PretrainedConfig(n_positions=recipe.block_size)
        self.tokens = nn.Embedding(n_characters, n_input)
        self.head = nn.Linear(recipe.n_embd, n_characters, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.5)
        nn.init.zeros_(self.head.weight)

    @property
    def device(self) -> torch.device:
        return self.tokens.weight.device

    def forward(self, ids: Tensor, use_cache: bool = False) -> CausalLMOutput:
        return CausalLMOutput(logits=self.head(self.read(self.tokens(ids))).float())

    def read(self, x: Tensor) -> Tensor:
        """(B, T, input) to (B, T, width), each of what stands up to it."""
        raise NotImplementedError


class Transformer(Judge):
    def __init__(self, recipe: Recipe, n_characters: int) -> None:
        super().__init__(recipe, n_characters, recipe.n_embd)
        self.layers = nn.ModuleList(_Layer(recipe) for _ in range(recipe.n_layer))

    def read(self, x: Tensor) -> Tensor:
        x = _norm(x)
        rotation = _rotation(x.shape[1], self.layers[0].head, x.device)
        for layer in self.layers:
            x = layer(x, rotation)
        return _norm(x)


class _Layer(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.n_embd
        self.n_heads, self.head = recipe.n_head, width // recipe.n_head
        self.query, self.key, self.value, self.project = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.widen = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        y = _norm(x)
        query, key, value = (
            part(y).view(*y.shape[:2], self.n_heads, self.head).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        query, key = (_rotate(_norm(part), rotation) for part in (query, key))
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(y.transpose(1, 2).reshape(x.shape))
        return x + self.narrow(self.widen(_norm(x)).relu().square())


def _norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:])


def _rotation(length: int, head: int, device: torch.device) -> Tensor:
    """Cosines and sines of positions (2, T, head / 2)."""
    speeds = 10_000.0 ** -torch.linspace(0, 1, head // 2, device=device)
    angles = torch.arange(length, device=device)[:, None] * speeds
    return torch.stack([angles.cos(), angles.sin()])


def _rotate(x: Tensor, rotation: Tensor) -> Tensor:
    cos, sin = rotation
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class Recurrent(Judge):
    def __init__(self, recipe: Recipe, n_characters: int) -> None:
        super().__init__(recipe, n_characters, _RECURRENT_INPUT)
        self.lstm = nn.LSTM(_RECURRENT_INPUT, recipe.n_embd, recipe.n_layer, batch_first=True)

    def read(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]
