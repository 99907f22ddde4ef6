"""Muon in float32: momentum made orthogonal, for the matrices of a network's layers.

torch.optim.Muon does the same in bfloat16, which many CPUs only emulate: there a step of it takes
longer than all the rest of a training step. Matrices of one shape go through together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_N_STEPS = 5
_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, no decay; the rate is scaled by sqrt(max(1, rows / columns)).

    Source: Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(
        self, matrices: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    def step(self, closure: Any = None) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
                for matrix in group["params"]:
                    by_shape[matrix.shape].append(matrix)
                for matrices in by_shape.values():
                    self._step(matrices, group["lr"], group["momentum"])

    def _step(self, matrices: list[Tensor], rate: float, momentum: float) -> None:
        """Of matrices of one shape."""
        n_rows, n_columns = matrices[0].shape
        scale = math.sqrt(max(1.0, n_rows / n_columns))
        updates = torch.stack([self._momentum(matrix, momentum) for matrix in matrices])
        for matrix, update in zip(matrices, orthogonal(updates), strict=True):
            matrix.sub_(update, alpha=rate * scale)

    def _momentum(self, matrix: Tensor, momentum: float) -> Tensor:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        average = state["momentum"].lerp_(matrix.grad, 1 - momentum)
        return matrix.grad.lerp(average, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """About U Vᵀ of each matrix U S Vᵀ of a batch: its singular values become 0.7 to 1.2."""
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_EPSILON)
    for _ in range(_N_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x
