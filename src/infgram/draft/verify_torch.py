"""The rules of verify.py on tensors: many drafts at once, on the device of the model.

What a model said comes as one tensor for all drafts, of shape (drafts, rows, vocab_size): row 0 is
the context's, row i + 1 that of token i of the draft. Drafts that have fewer tokens than others are
padded with rows that nobody reads. A call waits for the device once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter, MissingExtra
from ..extras import how_to_install
from . import verify
from .drafter import Draft
from .verify import Verified

try:
    import torch
except ImportError as error:
    raise MissingExtra(
        f"verification on tensors needs torch, which is not installed: {how_to_install('draft')}"
    ) from error

_NONE = -1
_NO_LAW = -2


def greedy(drafts: Sequence[Draft], logits: torch.Tensor) -> list[Verified]:
    """The tokens that a model writes which always takes its likeliest one, for each draft.

    logits: of shape (drafts, rows, vocab_size), padded; anything that grows with the probability.

    Raises InvalidParameter.

    >>> import infgram
    >>> import torch
    >>> from infgram.draft import Drafter
    >>> drafter = Drafter(infgram.build(["to be or not to be"]), max_tokens=4)
    >>> drafter.start("a", list(b"to be or "))
    >>> draft = drafter.propose("a")
    >>> logits = torch.zeros(1, len(draft) + 1, 256)
    >>> logits[0, :, ord("n")] = 1.0  # a model that writes nothing else
    >>> bytes(greedy([draft], logits)[0].token_ids.tolist())
    b'nn'
    """
    _check(drafts, logits)
    choices = logits.argmax(-1).cpu().numpy()
    return [
        verify.greedy(draft, row[: len(draft) + 1])
        for draft, row in zip(drafts, choices, strict=True)
    ]


def sample(
    drafts: Sequence[Draft], probs: torch.Tensor, generator: torch.Generator | None = None
) -> list[Verified]:
    """Tokens with the law of a model that samples, for each draft; drawn and chosen ones may mix.

    - `probs`: the model's distributions, of shape (drafts, rows, vocab_size), padded, with
      temperature, top-k, top-p and whatever else it samples with.
    - `generator`: of the tensor's device; None: torch's own.

    Raises InvalidParameter.

    >>> import infgram
    >>> import torch
    >>> from infgram.draft import Drafter
    >>> drafter = Drafter(infgram.build(["to be or not to be"]), max_tokens=1)
    >>> drafter.start("a", list(b"to be or no"))
    >>> draft = drafter.propose("a", sample=True, rng=1)
    >>> probs = torch.nn.functional.one_hot(torch.tensor([[ord("t"), ord(" ")]]), 256).double()
    >>> bytes(sample([draft], probs)[0].token_ids.tolist())
    b't '
    """
    _check(drafts, probs)
    if not drafts:
        return []
    if not probs.is_floating_point():
        raise InvalidParameter(f"expected probabilities, found a tensor of {probs.dtype}")
    for draft in drafts:
        verify.check_width(draft, probs.shape[2])
    n_rows = [len(draft) + 1 for draft in drafts]
    starts = np.cumsum([0, *n_rows[:-1]]).tolist()
    laws = torch.cat([law[:n] for law, n in zip(probs, n_rows, strict=True)])
    least, most = torch.aminmax(laws, dim=1)
    are_laws = (least >= 0.0) & (most > 0.0) & (most < torch.inf)  # not where one is NaN
    laws = torch.where(are_laws[:, None], laws, 1.0)  # a device ends with what it cannot draw from
    offers = [
        (start + parent + 1, draft, parent)
        for draft, start in zip(drafts, starts, strict=True)
        for parent in draft.q
        if draft.children(parent)
    ]
    accepted = torch.full((len(laws),), _NONE, device=laws.device)
    if offers:
        at = torch.tensor([row for row, _, _ in offers], device=laws.device)
        tried = [(draft, parent) for _, draft, parent in offers]
        accepted[at], left = reject(laws[at], tried, generator)
        laws = laws.to(left.dtype).index_copy(0, at, left)
    own = torch.multinomial(laws, 1, generator=generator)[:, 0]
    # What is left to draw from after a rejection has nothing of the siblings: none is taken twice.
    chosen = torch.where(accepted == _NONE, own, accepted)
    choices = torch.where(are_laws, chosen, _NO_LAW).cpu().numpy()
    if (choices == _NO_LAW).any():
        raise verify.no_law()
    return [
        verify.greedy(draft, choices[start : start + n])
        for draft, start, n in zip(drafts, starts, n_rows, strict=True)
    ]


def reject(
    laws: torch.Tensor,
    offers: Sequence[tuple[Draft, int]],
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tries drawn tokens, siblings one after another, for several parents at once.

    - `laws`: the model's after each parent, of shape (parents, vocab_size).
    - `offers`: (draft, parent), of drafts that were drawn.

    Returns the tokens accepted, -1 for none, of shape (parents,), and what the model's own tokens
    are then drawn from, (parents, vocab_size), float64. Does not wait for the device.
    """
    tokens, offered = _offers(offers, laws)
    left = laws.double()
    left = left / left.sum(1, keepdim=True)
    uniforms = torch.rand(tokens.shape, generator=generator, device=laws.device).double()
    accepted = torch.full((len(laws),), _NONE, device=laws.device)
    for rank in range(tokens.shape[1]):
        tried = tokens[:, rank]
        token = tried.clamp(min=0)[:, None]
        is_tried = (accepted == _NONE) & (tried != _NONE)
        takes = uniforms[:, rank] * offered.gather(1, token)[:, 0] < left.gather(1, token)[:, 0]
        accepted = torch.where(is_tried & takes, tried, accepted)
        rest = _law((left - offered).clamp(min=0.0), left)
        left = torch.where((is_tried & ~takes)[:, None], rest, left)
        spent = offered.scatter(1, token, 0.0)
        offered = _law(spent, spent)
    return accepted, left


def _law(weights: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
    """Divided by their sum; something else where rounding or an end has left nothing."""
    sums = weights.sum(1, keepdim=True)
    return torch.where(sums > 0.0, weights / sums, otherwise)


def _offers(
    offers: Sequence[tuple[Draft, int]], like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens of siblings, padded by -1, and the laws that they were drawn from."""
    siblings = [draft.token_ids[draft.children(parent)] for draft, parent in offers]
    tokens = np.full((len(offers), max(map(len, siblings))), _NONE, np.int64)
    for row, ids in enumerate(siblings):
        tokens[row, : len(ids)] = ids
    proposals = [draft.q[parent] for draft, parent in offers]
    rows = np.repeat(np.arange(len(offers)), [len(ids) for ids, _ in proposals])
    columns = np.concatenate([ids for ids, _ in proposals]).astype(np.int64)
    values = np.concatenate([law for _, law in proposals])
    offered = torch.zeros(like.shape, dtype=torch.float64, device=like.device)
    places = _tensor(rows, like), _tensor(columns, like)
    return _tensor(tokens, like), offered.index_put(places, _tensor(values, like))


def _tensor(array: NDArray[Any], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(array).to(like.device)


def _check(drafts: Sequence[Draft], rows: torch.Tensor) -> None:
    if not isinstance(rows, torch.Tensor):
        raise InvalidParameter(f"expected a tensor, found {type(rows).__name__}")
    most = max((len(draft) for draft in drafts), default=0) + 1
    if rows.ndim != 3 or rows.shape[0] != len(drafts) or rows.shape[1] < most or not rows.shape[2]:
        raise InvalidParameter(
            f"expected {len(drafts)} drafts by at least {most} rows by the vocabulary, found a "
            f"tensor of shape {tuple(rows.shape)}"
        )
