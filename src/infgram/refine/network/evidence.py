"""How a refiner weighs what an index knows of a text: runs of the corpus, next to the detector.

SBIS copies run after run, each as long as the index has it. So text that it wrote stands in the
corpus in longer pieces than new text does, and where two of them meet the matches are short: most
of what tells it from real text. A real quotation of the corpus is as long a run as a drawn one, and
looks as suspicious.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

REACH = 24  # tokens on either side of a token that it is judged by
_WIDTH = 16
_BATCH = 32
_LR = 0.01


class Evidence(nn.Module):
    """1,601 weights: a convolution over the detector's logits and the lengths of matches.

    >>> logits = Evidence()(torch.zeros(2, 10), torch.ones(2, 10))
    >>> logits.shape
    torch.Size([2, 10])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.around = nn.Conv1d(2, _WIDTH, 2 * REACH + 1, padding=REACH)
        self.head = nn.Conv1d(_WIDTH, 1, 1)
        self.register_buffer("mean", torch.zeros(2, 1))
        self.register_buffer("deviation", torch.ones(2, 1))

    def forward(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """Logits that what stands in a place does not belong there, of shape (batch, n).

        - `logits`: the detector's, (batch, n).
        - `lengths`: of the runs of the corpus that end with each token, (batch, n), as floats.
        """
        both = torch.stack([logits, lengths.log1p()], dim=1)
        heard = self.around((both - self.mean) / self.deviation)
        return self.head(F.relu(heard)).squeeze(1)

    def fit(
        self,
        logits: Tensor,
        lengths: Tensor,
        flaws: Tensor,
        steps: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> list[float]:
        """Learns to find flaws, from what `forward` takes; gives the loss of every step.

        `progress` is called with steps done and all steps.
        """
        both = torch.stack([logits, lengths.log1p()])
        self.mean.copy_(both.mean(dim=(1, 2))[:, None])
        self.deviation.copy_(both.std(dim=(1, 2))[:, None].clamp_min(1e-3))
        optimizer = torch.optim.AdamW(self.parameters(), lr=_LR, weight_decay=0.01)
        losses = []
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = _LR * (1 - step / steps)
            chosen = torch.from_numpy(rng.integers(len(flaws), size=_BATCH)).to(flaws.device)
            found = self(logits[chosen], lengths[chosen])
            loss = F.binary_cross_entropy_with_logits(found, flaws[chosen].float())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.item()))
            progress(step + 1, steps)
        return losses


def seen_in(lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lengths of matches within rows that were cut from a text: none begins before its row.

    >>> seen_in(np.array([[9, 1, 9]], np.float32)).tolist()
    [[1.0, 1.0, 3.0]]
    """
    return np.minimum(lengths, np.arange(1, lengths.shape[1] + 1, dtype=np.float32))
