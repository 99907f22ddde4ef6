"""The refiner's network: text with holes in, what may stand in each place out. Knows its shape.

A bidirectional transformer: pre-norm, RMSNorm, rotary positions, normalised queries and keys,
squared ReLU, no biases, no time embedding (how much is masked can be seen). A token enters with its
neighbours: what spelling needs of them is there before the first layer.

The detector branches off the trunk half-way: its layers begin as copies of the trunk's upper ones
and are trained on their own, so it costs the trunk nothing. What an index adds is `evidence`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InvalidParameter
from .evidence import Evidence

_Rotation = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Shape:
    """Of a network. `reach`: neighbours on each side that a token enters with."""

    width: int
    n_layers: int
    n_heads: int
    n_detector_layers: int
    reach: int = 3


SIZES = {
    "nano": Shape(width=128, n_layers=4, n_heads=4, n_detector_layers=2),
    "base": Shape(width=384, n_layers=6, n_heads=6, n_detector_layers=3),
}


class Refiner(nn.Module):
    """Codes 0 to n_codes - 1 are tokens, n_codes is the mask.

    >>> network = Refiner(65, SIZES["nano"])
    >>> network(torch.zeros(2, 10, dtype=torch.long)).shape
    torch.Size([2, 10, 65])
    """

    def __init__(self, n_codes: int, shape: Shape) -> None:
        super().__init__()
        if shape.width % (2 * shape.n_heads) or not 1 <= shape.n_detector_layers <= shape.n_layers:
            raise InvalidParameter(f"{shape} is no shape: a head needs an even share of the width")
        self.n_codes = n_codes
        self.shape = shape
        self.embedding = nn.Embedding(n_codes + 1, shape.width)
        n_neighbours = 2 * shape.reach
        self.neighbours = nn.Embedding(n_neighbours * (n_codes + 2), shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.n_layers))
        self.head = nn.Linear(shape.width, n_codes, bias=False)
        self.detector = nn.ModuleList(_Layer(shape) for _ in range(shape.n_detector_layers))
        self.detector_head = nn.Linear(shape.width, 1)
        nn.init.normal_(self.embedding.weight, std=1.0)
        nn.init.normal_(self.neighbours.weight, std=0.5)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.detector_head.weight)
        nn.init.zeros_(self.detector_head.bias)
        self.evidence = Evidence()

    @property
    def mask(self) -> int:
        """The code of a hole."""
        return self.n_codes

    def trunk(self, codes: Tensor, n_layers: int | None = None) -> tuple[Tensor, _Rotation]:
        """Hidden states of shape (batch, n, width) after so many layers; codes are (batch, n)."""
        rotation = _rotation(codes.shape[1], self.shape, codes.device)
        x = _norm(self._enter(codes))
        for layer in self.layers[:n_layers]:
            x = layer(x, rotation)
        return x, rotation

    def forward(self, codes: Tensor) -> Tensor:
        """Logits of the tokens in every place, of shape (batch, n, n_codes)."""
        return self.logits(self.trunk(codes)[0])

    def at(self, codes: Tensor, places: Tensor) -> Tensor:
        """Logits in some places alone, of shape (batch, k, n_codes); places are (batch, k).

        Saves most of the last layer's work.
        """
        x, rotation = self.trunk(codes, self.shape.n_layers - 1)
        return self.logits(self.layers[-1].at(x, rotation, places))

    def logits(self, hidden: Tensor) -> Tensor:
        """Of the trunk's hidden states, any of them."""
        return self.head(_norm(hidden))

    def detect(self, codes: Tensor) -> Tensor:
        """Logits that what stands in a place does not belong there, of shape (batch, n)."""
        n_shared = self.shape.n_layers - self.shape.n_detector_layers
        with torch.no_grad():
            x, rotation = self.trunk(codes, n_shared)
        for layer in self.detector:
            x = layer(x, rotation)
        return self.detector_head(_norm(x)).squeeze(-1)

    def begin_detector(self) -> None:
        """The detector's layers become copies of the trunk's last ones."""
        upper = self.layers[self.shape.n_layers - self.shape.n_detector_layers :]
        for layer, source in zip(self.detector, upper, strict=True):
            layer.load_state_dict(copy.deepcopy(source.state_dict()))

    def _enter(self, codes: Tensor) -> Tensor:
        """Each token with its neighbours, each of which has a table of its own."""
        reach, n_rows = self.shape.reach, self.n_codes + 2
        padded = F.pad(codes, (reach, reach), value=n_rows - 1)
        around = padded.unfold(1, 2 * reach + 1, 1)
        around = torch.cat([around[..., :reach], around[..., reach + 1 :]], dim=-1)
        places = around + n_rows * torch.arange(2 * reach, device=codes.device)
        bags = F.embedding_bag(places.reshape(-1, 2 * reach), self.neighbours.weight, mode="sum")
        return self.embedding(codes) + bags.view(*codes.shape, -1)


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.n_heads = shape.n_heads
        self.attention_in = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in = nn.Linear(width, 4 * width, bias=False)
        self.mlp_out = nn.Linear(4 * width, width, bias=False)
        for matrix in (self.attention_out, self.mlp_out):
            nn.init.zeros_(matrix.weight)

    def forward(self, x: Tensor, rotation: _Rotation) -> Tensor:
        q, k, v = self._heads(self.attention_in(_norm(x)), 3)
        return self._finish(x, _rotated(_norm(q), *rotation), _rotated(_norm(k), *rotation), v)

    def at(self, x: Tensor, rotation: _Rotation, places: Tensor) -> Tensor:
        """What `forward` makes of some places of each row, of shape (batch, k, width)."""
        width = x.shape[-1]
        for_q, for_kv = self.attention_in.weight.split([width, 2 * width])
        k, v = self._heads(F.linear(_norm(x), for_kv), 2)
        here = x.gather(1, places.unsqueeze(-1).expand(-1, -1, width))
        (q,) = self._heads(F.linear(_norm(here), for_q), 1)
        turned = _rotated(_norm(q), *(part[places].unsqueeze(1) for part in rotation))
        return self._finish(here, turned, _rotated(_norm(k), *rotation), v)

    def _heads(self, x: Tensor, n: int) -> tuple[Tensor, ...]:
        """n tensors of shape (batch, heads, places, width of a head)."""
        return x.unflatten(-1, (n, self.n_heads, -1)).permute(2, 0, 3, 1, 4).unbind()

    def _finish(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.attention_out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp_out(F.relu(self.mlp_in(_norm(x)), inplace=True).square())


def _rotation(n: int, shape: Shape, device: torch.device) -> _Rotation:
    """Rotary positions: each pair of a head's numbers turns with the place, at its own speed."""
    half = shape.width // shape.n_heads // 2
    speeds = 1000.0 ** -(torch.arange(half, device=device) / half)
    angles = torch.arange(n, device=device)[:, None] * speeds
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin


def _norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],))
