"""Which way a model reads drafts right: found out on the model itself, not by its name.

Behind a short context, a path read at once is held against the same tokens read one after another,
and siblings of a tree against each of them alone. Then the context is stretched to the longest
that the text may become, with made-up states, so that a window of attention shows that no
configuration tells of, or attention to a chosen few. Two dozen passes over a few tokens, once for
each model; caches that cannot be stretched are filled with a text of that length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from threading import Lock, RLock
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
import transformers
from transformers.cache_utils import DynamicLayer

from ....errors import InvalidParameter
from ...drafter import Draft, draft_of
from .caches import Grown, others
from .library import TELLS_SLOTS
from .readers import OneByOne, Together, most_tokens

Way = Literal["tree", "path"]

_TREE_ATTENTION = ("eager", "sdpa")  # others take no mask of four dimensions
_CONTEXT = 24
_SIBLINGS = 6

# How far logits of a path may be from those of its tokens one after another, as a share of how far
# those of one token are from those of another. Models compute parts in float32 whatever they are
# in. Trees may be a few times as far as paths are.
_ROUNDING = {torch.float64: 1e-4, torch.float32: 1e-3, torch.float16: 5e-2}
_ROUNDING_OF_OTHERS = 2e-1  # bfloat16, and what is narrower
_TIMES = 8
_LEAST = 2e-8  # of the largest logit, or what its type rounds to


@dataclass
class _Finding:
    """What is wrong with a way to read, or nothing, with texts of up to some length.

    - `sound`: the greatest length that nothing was wrong with.
    - `unsound`: the least that something was, and `reason`, what.
    - `failure`: what the last check ended with that came to no end. The second time it is a reason:
      some models fail in any case, others lacked memory once.
    """

    sound: float = 0
    unsound: float = math.inf
    reason: str = ""
    failure: str = ""

    def look(self, length: float, check: Callable[[int], str]) -> str:
        """A check that is interrupted has found nothing."""
        if length <= self.sound:
            return ""
        if length >= self.unsound:
            return self.reason
        before, self.failure = self.failure, ""
        try:
            reason = check(int(length))
        except torch.OutOfMemoryError:
            return "there is too little memory to find out"
        except Exception as error:  # a model may fail in any way
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            if reason != before:
                self.failure = reason
                return reason
        if reason:
            self.unsound, self.reason = length, reason
        else:
            self.sound = length
        return reason


@dataclass
class _Known:
    """Of a model, as long as it computes as it did. Threads take turns to find out."""

    computes: tuple[Any, ...]
    paths: _Finding = field(default_factory=_Finding)
    trees: _Finding = field(default_factory=_Finding)
    turn: RLock = field(default_factory=RLock)


_KNOWN: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()
_TURN = Lock()  # to look into it


def way_of(model: Any, prompt: Sequence[int], limit: float, *, tree: bool) -> Way:
    """How a model reads drafts behind texts that grow to `limit` tokens at most.

    tree: whether trees are wanted, or texts are to be read together.

    Raises InvalidParameter for a model that reads not even paths.
    """
    known = _known(model)
    context = ([*prompt] * _CONTEXT)[-_CONTEXT:]
    with known.turn:
        reason = known.paths.look(limit, lambda length: _check_paths(model, context, length))
    if reason:
        raise InvalidParameter(
            f"{type(model).__name__} does not read several tokens at once as it reads them one "
            f"after another ({reason}), so drafts would change the text: generate without "
            "custom_generate, or with a drafter of max_tokens=0"
        )
    if not tree or any(limit > turn for turn in (*turns(model), *ends(model))):
        return "path"
    with known.turn:
        reason = known.trees.look(limit, lambda length: _check_trees(model, context, length))
    return "path" if reason else "tree"


def why_no_trees(model: Any) -> str:
    """Why a model gets paths, where it does and that was found out on the model."""
    trees = _known(model).trees
    return trees.reason or trees.failure


def _known(model: Any) -> _Known:
    computes = (
        model.config._attn_implementation,
        model.dtype,
        model.device,
        getattr(model, "training", False),
        torch.is_autocast_enabled(model.device.type),
    )
    with _TURN:
        known = _KNOWN.get(model)
        if known is None or known.computes != computes:
            known = _KNOWN[model] = _Known(computes)
        return known


# Where frequencies of positions change ------------------------------------------------------------


def turns(model: Any) -> list[int]:
    """Lengths behind which a model has other frequencies for all positions (LongRoPE).

    What it reads in one pass must not stand on both sides.
    """
    found = []
    for module, kind, parameters in _rotary(model):
        if kind == "longrope":
            length = parameters.get("original_max_position_embeddings")
            length = length or getattr(module.config, "original_max_position_embeddings", None)
            found.append(length or module.config.max_position_embeddings)
    return found


def ends(model: Any) -> list[int]:
    """Lengths behind which a model has other frequencies with each token (dynamic NTK)."""
    return [
        getattr(module, "original_max_seq_len", None) or module.config.max_position_embeddings
        for module, kind, _ in _rotary(model)
        if "dynamic" in kind
    ]


def check_frequencies(model: Any, limit: float) -> None:
    """Raises InvalidParameter where this transformers writes other texts than it would alone.

    Versions that tell models their slots go over a turn in another way.
    """
    changes = turns(model)
    if TELLS_SLOTS and any(limit > length for length in changes):
        raise InvalidParameter(
            f"this model has other frequencies of positions behind {min(changes):,} tokens, and "
            f"the text may have {limit:,.0f}: with transformers {transformers.__version__} drafts "
            "would change it; ask for a shorter text, install a later transformers, or generate "
            "without drafts"
        )


def _rotary(model: Any) -> list[tuple[Any, str, dict[str, Any]]]:
    """Modules that turn positions into angles, with the kinds of frequencies they have."""
    found = []
    for module in model.modules() if isinstance(model, torch.nn.Module) else ():
        kinds = getattr(module, "rope_type", None)
        parameters = getattr(getattr(module, "config", None), "rope_parameters", None) or {}
        if isinstance(kinds, str):
            found.append((module, kinds, parameters))
        elif isinstance(kinds, dict):
            found += [(module, kind, parameters.get(name) or {}) for name, kind in kinds.items()]
    return found


# The checks ---------------------------------------------------------------------------------------


def _check_paths(model: Any, context: list[int], length: int) -> str:
    """What is wrong with paths, or nothing."""
    reader, _ = _begin(model, context)
    if any(isinstance(layer, DynamicLayer) for layer in others(reader.cache)):
        context = (context * length)[: length - 3]
    reader, likely = _begin(model, context)
    first, second, third = (likely * 3)[:3]  # a vocabulary may have one token
    at_once = reader.read([first], [second, third])
    reader.keep(1)
    again = reader.read([second], [])  # what was read in vain is forgotten
    singly = _singly(_begin(model, context)[0], [first, second, third])
    tolerance = _share(model) * _distance(singly[0], singly[1])
    if tolerance <= _least(model, singly):
        return "its answers do not depend on what it reads"
    if _distance(at_once, singly) > tolerance:
        return "a path has other logits"
    if _distance(again[-1], singly[1]) > tolerance:
        return "what was read in vain leaves a trace in its cache"
    if not _is_grown(reader):
        return ""
    at_once = _far(model, context, length).read([first], [_path([second, third])])[0]
    singly = _singly(_far(model, context, length), [first, second, third])
    if _distance(at_once, singly) > _share(model) * float(singly.abs().max()):
        return "a path has other logits behind a long text"
    return ""


def _check_trees(model: Any, context: list[int], length: int) -> str:
    """What is wrong with trees, or nothing."""
    if model.config._attn_implementation not in _TREE_ATTENTION:
        return f"its attention is {model.config._attn_implementation!r}"
    if not {"attention_mask", "position_ids"} <= set(signature(model.forward).parameters):
        return "it takes no attention_mask or no position_ids"
    reader, tokens = _begin(model, context)
    if not _is_grown(reader):
        kinds = {type(each).__name__ for each in reader.cache.layers if not isinstance(each, Grown)}
        return f"its cache does not keep everything: {', '.join(sorted(kinds))}"
    together = Together(model, [reader])
    if _is_apart(model, tokens, together, lambda: _begin(model, context)[0]):
        return "siblings have other logits than alone"
    del reader, together
    far = _far(model, context, length)
    if _is_apart(model, tokens, far, far.forget):
        return "siblings have other logits than alone behind a long text"
    return ""


def _is_apart(
    model: Any, tokens: list[int], reader: Together, again: Callable[[], OneByOne | Together]
) -> bool:
    """Whether siblings are read otherwise than each alone, more than paths are.

    The last sibling stands behind the others, and has a token below it. again: gives a reader that
    has read the same as `reader` at first, which nobody uses then.
    """
    root, *siblings = tokens
    last = len(siblings) - 1
    [found] = reader.read([root], [draft_of([*siblings, root], [*[-1] * len(siblings), last])])
    path = [root, siblings[last], root]
    first = _at_once(again(), [root, siblings[0]])
    at_once = _at_once(again(), path)
    singly = _singly(again(), path)
    noise = max(_distance(at_once, singly), _least(model, singly))
    return max(_distance(found[:2], first), _distance(found[[0, -2, -1]], at_once)) > _TIMES * noise


def _begin(model: Any, context: list[int]) -> tuple[OneByOne, list[int]]:
    """A reader that has read a context, and likely tokens, each another."""
    reader = OneByOne(model)
    rows = reader.read(context, [])
    reader.keep(len(context))
    return reader, rows[-1].topk(min(_SIBLINGS + 1, rows.shape[-1])).indices.tolist()


def _far(model: Any, context: list[int], length: int) -> Together:
    """A reader that believes to have read `length` tokens, and more where there is room."""
    reader = Together(model, [_begin(model, context)[0]])
    n_slots = min(length + length // 4, most_tokens(model) - _SIBLINGS - 2)
    reader.extend(int(max(n_slots, len(context))), _SIBLINGS - 2)
    return reader


def _at_once(reader: OneByOne | Together, tokens: list[int]) -> torch.Tensor:
    if isinstance(reader, Together):
        return reader.read(tokens[:1], [_path(tokens[1:])])[0]
    return reader.read(tokens[:1], tokens[1:])


def _singly(reader: OneByOne | Together, tokens: list[int]) -> torch.Tensor:
    rows = []
    for token in tokens:
        rows.append(_at_once(reader, [token])[0])
        if isinstance(reader, Together):
            reader.keep([[]])
        else:
            reader.keep(1)
    return torch.stack(rows)


def _is_grown(reader: OneByOne) -> bool:
    return all(isinstance(layer, Grown) for layer in reader.cache.layers)


def _share(model: Any) -> float:
    return _ROUNDING.get(model.dtype, _ROUNDING_OF_OTHERS)


def _least(model: Any, rows: torch.Tensor) -> float:
    """A distance that says nothing."""
    finite = rows[rows.isfinite()]
    return max(torch.finfo(model.dtype).eps, _LEAST) * float(finite.abs().max())


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    one, other = one.double(), other.double()
    difference = torch.where(one == other, 0.0, (one - other).abs())  # both may be infinite
    return float(torch.nan_to_num(difference, nan=torch.inf).max())


def _path(token_ids: list[int]) -> Draft:
    return draft_of(token_ids, list(range(-1, len(token_ids) - 1)))
