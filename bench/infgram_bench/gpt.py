"""nanoGPT's model in the terms of transformers' GPT-2: recipes, losses, generation.

nanoGPT (github.com/karpathy/nanoGPT, MIT licence) is the usual way to let a small transformer write
Shakespeare. The same function is computed here by a library that is kept up: exact GELU, tied
embeddings, no biases (GPT-2's stay zero and untrained). Texts are sequences of character ids. This
module, training.py, refining_judges.py and drafting_loops.py alone import torch.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from numpy.typing import NDArray
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

Ids = NDArray[np.uint8]

# Before 5.15, transformers forgets that what adds to the residual stream begins smaller.
_BEGINS_LARGE = tuple(map(int, transformers.__version__.split(".")[:2])) < (5, 15)

_NO_IDS: Ids = np.empty(0, np.uint8)
_WINDOWS_AT_ONCE = 64


# Recipes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """A model's shape and its training: everything but the text that decides the result.

    - `block_size`: characters of context; `batch_size`: texts of that length a step.
    - `learning_rate`: reached after `warmup_iters` steps, then a cosine down to `min_lr` at
      `lr_decay_iters`.
    - `eval_interval`: steps between two estimates of the validation loss, of `eval_iters` batches.
    - `published`: the validation loss that nanoGPT's README gives, in nats per character, or None.
    """

    name: str
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int
    dropout: float
    max_iters: int
    lr_decay_iters: int
    eval_interval: int
    eval_iters: int
    learning_rate: float = 1e-3
    min_lr: float = 1e-4
    warmup_iters: int = 100
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.1
    grad_clip: float = 1.0
    seed: int = 1337
    published: float | None = None

    def build(self, n_characters: int) -> Any:
        """An untrained model in evaluation mode; one of nanoGPT's, unless another recipe says."""
        return build_model(self, n_characters)

    def muon(self, model: Any) -> tuple[list[Tensor], float]:
        """The matrices that Muon trains instead of AdamW, and its rate to AdamW's."""
        return [], 0.0


# In these two, estimates of the loss are as frequent and as long as a curve needs on a CPU, which
# nothing else depends on: the loss that is reported is exact, and batches are drawn apart.

# What nanoGPT's README runs on a machine without a GPU.
CPU_RECIPE = Recipe(
    "nanogpt-cpu",
    n_layer=4,
    n_head=4,
    n_embd=128,
    block_size=64,
    batch_size=12,
    dropout=0.0,
    max_iters=2000,
    lr_decay_iters=2000,
    eval_interval=100,
    eval_iters=20,
    published=1.88,
)

# Its config/train_shakespeare_char.py.
SHAKESPEARE_CHAR = Recipe(
    "nanogpt-shakespeare-char",
    n_layer=6,
    n_head=6,
    n_embd=384,
    block_size=256,
    batch_size=64,
    dropout=0.2,
    max_iters=5000,
    lr_decay_iters=5000,
    eval_interval=25,
    eval_iters=5,
    published=1.4697,
)

# Judges what others wrote: shares neither its seed, its batches nor its shape with the rivals.
# Small batches take it furthest in the five minutes or so that it costs one core.
JUDGE = Recipe(
    "judge",
    n_layer=4,
    n_head=4,
    n_embd=128,
    block_size=128,
    batch_size=6,
    dropout=0.0,
    max_iters=4400,
    lr_decay_iters=4400,
    eval_interval=200,
    eval_iters=20,
    learning_rate=3e-3,
    seed=271828,
)

# What drafts are made for: 10.65 M parameters, as far as half an hour of one core takes them, which
# is further with small batches.
DRAFTING_TARGET = Recipe(
    "drafting-target",
    n_layer=6,
    n_head=6,
    n_embd=384,
    block_size=256,
    batch_size=2,
    dropout=0.0,
    max_iters=2600,
    lr_decay_iters=2600,
    eval_interval=200,
    eval_iters=20,
    seed=314159,
)


# Text ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Text:
    """A text as character ids. `characters` is the vocabulary, sorted: id i is `characters[i]`."""

    characters: str
    training: Ids
    validation: Ids

    @classmethod
    def split(cls, data: bytes) -> Text:
        """The first 90 % of the characters for training, the rest for validation, as nanoGPT does.

        Raises ValueError for what is not UTF-8, or has more than 256 different characters.
        """
        points, ids = np.unique(_code_points(data.decode()), return_inverse=True)
        if len(points) > 256:
            raise ValueError(f"{len(points)} different characters; at most 256 have room in a byte")
        n_training = int(0.9 * len(ids))
        characters = "".join(map(chr, points))
        training, validation = np.split(ids.astype(np.uint8), [n_training])
        return cls(characters, training, validation)

    def encode(self, text: str) -> Ids:
        """Raises ValueError for a character that the text does not have."""
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            raise ValueError(f"the vocabulary has no {''.join(unknown)!r}")
        points = _code_points(self.characters)
        return np.searchsorted(points, _code_points(text)).astype(np.uint8)

    def decode(self, ids: Ids) -> str:
        return "".join(self.characters[i] for i in ids)


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


# Model --------------------------------------------------------------------------------------------


def build_model(recipe: Recipe, n_characters: int) -> GPT2LMHeadModel:
    """An untrained model in evaluation mode, its weights drawn from torch's global generator."""
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=n_characters,
            n_positions=recipe.block_size,
            n_layer=recipe.n_layer,
            n_head=recipe.n_head,
            n_embd=recipe.n_embd,
            activation_function="gelu",
            resid_pdrop=recipe.dropout,
            embd_pdrop=recipe.dropout,
            attn_pdrop=recipe.dropout,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
        )
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.endswith(".bias"))  # they are zero, and stay it
        if _BEGINS_LARGE and name.endswith("c_proj.weight"):
            parameter.data /= math.sqrt(2 * recipe.n_layer)
    return model.eval()


def n_parameters(model: GPT2LMHeadModel) -> int:
    """As nanoGPT counts: what is trained, each weight once, without the positions' embedding."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return int(trained - model.transformer.wpe.weight.numel())


def load_nanogpt(checkout: Path, model: GPT2LMHeadModel) -> Any:
    """nanoGPT's own model, from the user's checkout of it, with the weights of `model`.

    It runs that checkout's `model.py`. Raises FileNotFoundError where there is none.
    """
    source = checkout / "model.py"
    if not source.is_file():
        raise FileNotFoundError(f"{source}: a checkout of nanoGPT has its model there")
    spec = spec_from_file_location("_nanogpt_model", source)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    config = model.config
    with redirect_stdout(io.StringIO()):  # it prints its size
        theirs = module.GPT(
            module.GPTConfig(
                block_size=config.n_positions,
                vocab_size=config.vocab_size,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_embd=config.n_embd,
                dropout=config.resid_pdrop,
                bias=False,
            )
        )
    theirs.load_state_dict(
        {
            name: weight.t() if ".c_" in name else weight  # GPT-2's are inputs by outputs
            for name, weight in model.state_dict().items()
            if not name.endswith(".bias")
        }
    )
    return theirs.to(model.device).eval()


@contextmanager
def use_threads(n: int) -> Iterator[None]:
    """So many threads for the operations of torch, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Losses -------------------------------------------------------------------------------------------


def validation_loss(model: Any, ids: Ids, *, stride: int, context: Ids = _NO_IDS) -> float:
    """Mean nats per character, exactly: of all characters but those with nothing before them.

    `context` is what came before `ids`, and does not count itself; without it, the first character
    does not count either. With a stride of the model's block, windows do not overlap, which is how
    nanoGPT looks at a text: on average half a block of context. With a smaller one every character
    has at least block - stride others before it (where the text has them), in the model's favour
    and at block / stride times the cost: O(n / stride) windows of a block each. In float32.

    Raises ValueError for another stride, and for one character without context.
    """
    block = model.config.n_positions
    if not 1 <= stride <= block:
        raise ValueError(f"stride {stride}: it must be from 1 to {block}, the block")
    sequence = np.concatenate([context[-block:], ids])
    first = max(len(sequence) - len(ids), 1)
    n = len(sequence) - first
    if n < 1:
        raise ValueError("one character without context: there is nothing to predict")
    # A window of ends[i] predicts the characters from ends[i - 1] on; all are of one length.
    start = min(max(first + stride, block + 1), len(sequence))
    ends = np.append(np.arange(start, len(sequence), stride), len(sequence))
    counted_from = np.append(first, ends[:-1])
    length = min(block, len(sequence) - 1)
    total = 0.0
    for i in range(0, len(ends), _WINDOWS_AT_ONCE):
        targets = ends[i : i + _WINDOWS_AT_ONCE, None] - np.arange(length, 0, -1)
        x, y = (_tensor(sequence[t], model.device) for t in (targets - 1, targets))
        counted = torch.from_numpy(targets >= counted_from[i : i + _WINDOWS_AT_ONCE, None])
        with torch.inference_mode():
            logits = model(x, use_cache=False).logits
            nats = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        total += float(nats[counted.flatten().to(model.device)].double().sum())
    return total / n


def score(model: GPT2LMHeadModel, ids: Ids) -> float:
    """Nats per character of a text, its first character aside, with half a block of context."""
    return validation_loss(model, ids, stride=max(model.config.n_positions // 2, 1))


def _tensor(ids: Ids | Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor(ids, dtype=torch.long, device=device)


# Generation ---------------------------------------------------------------------------------------


def generate(
    model: GPT2LMHeadModel,
    prompt: Ids,
    n: int,
    *,
    temperature: float = 0.8,
    top_k: int = 200,
    seed: int,
    use_cache: bool,
) -> Ids:
    """One text of n characters after a prompt, which is not part of it.

    Without the cache, each character costs a pass over the whole block before it, as in nanoGPT's
    sample.py. With it, see `generate_batch`. Temperature 0 takes the most probable character; of
    the others, the `top_k` most probable may be drawn. In float32, on the device of the model.

    Raises ValueError for an empty prompt.
    """
    if use_cache:
        return generate_batch(
            model, prompt, n, n_texts=1, temperature=temperature, top_k=top_k, seed=seed
        ).ravel()
    ids, generator = _begin(model, prompt, n, 1, seed)
    with torch.inference_mode():
        for end in range(len(prompt), len(prompt) + n):
            context = ids[:, max(0, end - model.config.n_positions) : end]
            logits = model(context, use_cache=False, logits_to_keep=1).logits[:, -1]
            ids[:, end] = _draw(logits, temperature, top_k, generator)
    return _ids(ids[0, len(prompt) :])


def generate_by_nanogpt(theirs: Any, prompt: Ids, n: int, *, seed: int) -> Ids:
    """As `generate` at temperature 0.8, by the model of `load_nanogpt` and its own code."""
    torch.manual_seed(seed)
    device = next(theirs.parameters()).device
    made = theirs.generate(_tensor(prompt, device)[None], n, temperature=0.8, top_k=200)
    return _ids(made[0, len(prompt) :])


def generate_batch(
    model: GPT2LMHeadModel,
    prompt: Ids,
    n: int,
    *,
    n_texts: int,
    temperature: float = 0.8,
    top_k: int = 200,
    seed: int,
) -> Ids:
    """So many texts of n characters after the same prompt, side by side: (n_texts, n).

    Keys and values of earlier characters are kept, so that a character costs a pass over itself.
    Positions are absolute: when the block is full, what is kept is worth nothing, and the last half
    of the block is read anew. So a text has half a block to a block of context, where without the
    cache it has a block, and is another one once its first block is full.
    """
    block = model.config.n_positions
    ids, generator = _begin(model, prompt, n, n_texts, seed)
    begin, known = max(0, len(prompt) - block), 0
    with torch.inference_mode():
        decoder = Decoder(model, n_texts)
        for end in range(len(prompt), len(prompt) + n):
            if end - begin > block:
                begin, known = end - block // 2, 0
            logits = decoder(ids[:, begin + known : end], known)
            known = end - begin
            ids[:, end] = _draw(logits, temperature, top_k, generator)
    return _ids(ids[:, len(prompt) :])


class Decoder:
    """The model with a cache, without what a library checks and wraps at every call.

    A character at a time, transformers' own cached forward spends most of its time outside of the
    arithmetic. This one reads the same weights, and is bound by reading them: 43 MB a character for
    10.65 M parameters, however many texts. It holds 2 * n_layer * n_texts * block * n_embd floats,
    and may be used under `torch.inference_mode` only.
    """

    def __init__(self, model: GPT2LMHeadModel, n_texts: int) -> None:
        config = model.config
        self._tokens = model.transformer.wte.weight
        self._positions = model.transformer.wpe.weight
        self._norm = model.transformer.ln_f.weight
        self._layers = [
            (
                layer.ln_1.weight,
                layer.attn.c_attn.weight,
                layer.attn.c_proj.weight,
                layer.ln_2.weight,
                layer.mlp.c_fc.weight,
                # the one matrix that is multiplied faster when it is outputs by inputs
                layer.mlp.c_proj.weight.t().contiguous(),
            )
            for layer in model.transformer.h
        ]
        head = config.n_embd // config.n_head
        shape = (config.n_layer, 2, n_texts, config.n_head, config.n_positions, head)
        self._cache = torch.empty(shape, device=model.device)

    def __call__(self, ids: Tensor, start: int) -> Tensor:
        """Reads ids (B, T) at positions [start, start + T); logits (B, V) of what follows the last.

        The positions before `start` must have been read. T > 1 only at start 0.
        """
        n_texts, length = ids.shape
        positions = self._positions[start : start + length]
        x = self._read(ids, start, positions, is_causal=length > 1)
        return self._logits(x.view(n_texts, length, -1)[:, -1])

    def read_draft(self, ids: Tensor, start: int, depths: Tensor, sees: Tensor) -> Tensor:
        """Reads the tokens of a draft, ids (T,), of a single text; logits (T, V) after each.

        They are kept at [start, start + T), but are read as if at start + depths (T,), and each
        sees those of the others that `sees` (T, T) says: see `keep`.
        """
        everything_before = sees.new_ones(len(ids), start)
        sees = torch.cat([everything_before, sees], 1)
        return self._logits(
            self._read(ids[None], start, self._positions[start + depths], attn_mask=sees)
        )

    def keep(self, start: int, places: Sequence[int]) -> None:
        """Of what was read from `start` on, these alone, which move together; places rise."""
        if list(places) != list(range(len(places))):
            moved = self._cache[:, :, :, :, [start + place for place in places]]
            self._cache[:, :, :, :, start : start + len(places)] = moved

    def _read(self, ids: Tensor, start: int, positions: Tensor, **attention: Any) -> Tensor:
        """What the layers make of ids (B, T): (B * T, C)."""
        n_texts, length = ids.shape
        end = start + length
        width = self._tokens.shape[1]
        n_heads, head = self._cache.shape[3], self._cache.shape[5]
        x = (self._tokens[ids] + positions).view(-1, width)  # (B * T, C)
        for layer, cache in zip(self._layers, self._cache, strict=True):
            norm_1, attend, project, norm_2, widen, narrow = layer
            qkv = F.layer_norm(x, (width,), norm_1) @ attend
            qkv = qkv.view(n_texts, length, 3, n_heads, head).permute(2, 0, 3, 1, 4)
            cache[:, :, :, start:end] = qkv[1:]
            keys, values = cache[:, :, :, :end]  # (B, heads, end, C / heads)
            y = F.scaled_dot_product_attention(qkv[0], keys, values, **attention)
            x = torch.addmm(x, y.transpose(1, 2).reshape(-1, width), project)
            h = F.gelu(F.layer_norm(x, (width,), norm_2) @ widen)
            x = torch.addmm(x, h, narrow.t())
        return x

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(F.layer_norm(x, (x.shape[-1],), self._norm), self._tokens)


def _begin(
    model: GPT2LMHeadModel, prompt: Ids, n: int, n_texts: int, seed: int
) -> tuple[Tensor, torch.Generator]:
    if not len(prompt):
        raise ValueError("an empty prompt: the model needs a character to begin with")
    ids = torch.empty((n_texts, len(prompt) + n), dtype=torch.long, device=model.device)
    ids[:, : len(prompt)] = _tensor(prompt, model.device)
    return ids, torch.Generator(model.device).manual_seed(seed)


def _draw(logits: Tensor, temperature: float, top_k: int, generator: torch.Generator) -> Tensor:
    """A character for each row of logits (B, V): (B,)."""
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k < logits.shape[-1]:
        least = torch.topk(logits, top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def _ids(ids: Tensor) -> Ids:
    copied: Ids = np.asarray(ids.cpu(), np.uint8)
    return copied
