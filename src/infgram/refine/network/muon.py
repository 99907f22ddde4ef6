"""Muon: the momentum of a matrix, made orthogonal, is its step.

torch has it, in bfloat16 alone: on a processor without bfloat16 that takes 30 times as long as the
rest of a training step. This one computes in float32 there, and all matrices of a shape at once.

Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5


class Muon(torch.optim.Optimizer):
    """For matrices of shape (out, in).

    One with three times as many rows as columns is three: those of queries, keys and values.
    """

    def __init__(
        self, params: Iterable[Tensor], *, lr: float, momentum: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def step(self, closure: Callable[[], float] | None = None) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                self._step(group)

    def _step(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for param in group["params"]:
            if param.grad is None:
                continue
            state = self.state[param]
            if not state:
                state["momentum"] = torch.zeros_like(param)
            momentum = state["momentum"].lerp_(param.grad, 1 - group["momentum"])
            ahead = param.grad.lerp(momentum, group["momentum"])
            n = 3 if param.shape[0] == 3 * param.shape[1] else 1
            for matrix, update in zip(param.chunk(n), ahead.chunk(n), strict=True):
                alike[matrix.shape].append((matrix, update))
        for (n_rows, n_columns), pairs in alike.items():
            updates = orthogonal(torch.stack([update for _, update in pairs]))
            scale = group["lr"] * max(1.0, n_rows / n_columns) ** 0.5
            for (matrix, _), update in zip(pairs, updates, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=scale)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly the closest orthogonal matrices, of shape (n, rows, columns), by Newton and Schulz."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    is_tall = x.shape[1] > x.shape[2]
    x = x.mT if is_tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if is_tall else x).to(matrices.dtype)
