"""Every decoder of transformers, tiny and random, written with drafts and without.

    python tests/architectures.py                        # all of them: half an hour of a core
    python tests/architectures.py llama mamba
    python tests/architectures.py -o docs/drafting-architectures.md

A model is made from the default configuration of its family, with all that is large made small:
sizes by their names, lists of layers cut. What cannot be made that way is listed with the reason.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from infgram.draft import Drafter
from infgram.draft.engines.huggingface import Report, decode
from infgram.draft.engines.huggingface.ways import why_no_trees
from infgram.errors import InvalidParameter

VOCAB = 48
N_POSITIONS = 256
N_LAYERS = 4

# Sizes, by what configurations call them. Those that a configuration lacks are passed over.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input", "padded_vocab_size"), VOCAB),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "model_dim", "embed_dim"), 32),
    **dict.fromkeys(("embedding_size", "word_embed_proj_dim", "ffn_hidden_size"), 32),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim", "dff", "inner_dim"), 64),
    **dict.fromkeys(("decoder_ffn_dim", "encoder_ffn_dim", "dim_ff", "d_inner"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(("intermediate_size_mlp", "moe_ffn_hidden_size"), 32),
    **dict.fromkeys(("moe_shared_expert_intermediate_size", "shared_intermediate_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers"), N_LAYERS),
    **dict.fromkeys(("decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads"), 2),
    **dict.fromkeys(("head_dim", "attention_head_dim", "global_head_dim", "d_kv"), 8),
    **dict.fromkeys(("swa_head_dim", "dim_head"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), N_POSITIONS),
    **dict.fromkeys(("max_seq_len", "max_sequence_length", "context_length"), N_POSITIONS),
    **dict.fromkeys(("sliding_window", "window_size", "attention_window_size"), 16),
    **dict.fromkeys(("attention_chunk_size", "sliding_window_size"), 16),
    **dict.fromkeys(("n_routed_experts", "num_experts", "num_local_experts"), 4),
    **dict.fromkeys(("moe_num_experts", "n_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("num_experts_per_token", "moe_top_k"), 2),
    **dict.fromkeys(("n_group", "topk_group", "moe_num_shared_experts", "n_shared_experts"), 1),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "o_lora_rank", "lora_rank"), 8),
    **dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "rotary_dim"), 8),
    **dict.fromkeys(("qk_head_dim", "index_head_dim"), 16),
    **dict.fromkeys(("index_n_heads", "index_heads"), 2),
    **dict.fromkeys(("index_topk",), 64),
    **dict.fromkeys(("hidden_size_per_layer_input", "laurel_rank"), 8),
    **dict.fromkeys(("state_size", "ssm_state_size", "mamba_d_state"), 8),
    **dict.fromkeys(("time_step_rank", "mamba_dt_rank"), 4),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"), 4),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim", "mamba_headdim"), 16),
    **dict.fromkeys(("mamba_n_groups", "n_groups"), 1),
    **dict.fromkeys(("mamba_d_ssm",), 64),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size"), 8),
    **dict.fromkeys(("lru_width", "attention_hidden_size"), 32),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8),
    **dict.fromkeys(("first_k_dense_replace", "num_dense_layers"), 1),
    **dict.fromkeys(("num_hash_buckets", "num_kv_shared_layers", "num_nextn_predict_layers"), 0),
}
_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")

_HEADS = "num_attention_heads"
_HYBRID = ["linear_attention", "full_attention", "linear_attention", "linear_attention"]
_CONVOLUTIONAL = {"layer_types": ["conv", "full_attention", "conv", "conv"]}
# What a family needs beside sizes, so that each kind of its layers is there.
_CHANGES: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {"linear_head_dim": 8, "linear_num_heads": 4, "num_expert_group": 1},
    "bamba": {"attn_layer_indices": [1]},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "gemma4_text": {"per_layer_config": {}},
    "gemma4_unified_text": {"per_layer_config": {}},
    "gpt_neo": {"attention_types": [[["global", "local"], N_LAYERS // 2]]},
    "granitemoehybrid": {"layer_types": _HYBRID},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2": {"full_attn_idxs": None, **_CONVOLUTIONAL},
    "lfm2_moe": _CONVOLUTIONAL,
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        **{"attention_hidden_size": 64, "attention_head_dim": 16},
    },
    "zamba2": {"attention_hidden_size": 64, "attention_head_dim": 16},
    "zaya": {"num_experts_per_tok": 1},
}


def families() -> dict[str, str]:
    """The classes of decoders, by model type."""
    return {
        kind: name if isinstance(name, str) else name[0]
        for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()
    }


def small(config: PreTrainedConfig) -> dict[str, Any]:
    """What to make a configuration from so that its model is tiny."""
    found: dict[str, Any] = {}
    for name, value in config.to_dict().items():
        inner = getattr(config, name, None)
        if isinstance(inner, PreTrainedConfig):
            found[name] = small(inner)
        elif name in _TOKENS:
            found[name] = None if value is None else 0
        elif isinstance(value, list) and len(value) == getattr(config, "num_hidden_layers", None):
            found[name] = _cut(value)
        elif name == "is_decoder":
            found[name] = True
        elif name == "num_key_value_heads" and value == getattr(config, _HEADS, None):
            found[name] = _SIZES[_HEADS]
        elif name in _SIZES and isinstance(value, int) and not isinstance(value, bool):
            found[name] = _SIZES[name]
    return found


def _cut(kinds: Any) -> Any:
    """So many layers, one of each kind among them."""
    if not isinstance(kinds, list) or len(kinds) <= N_LAYERS:
        return kinds
    firsts = [i for i, kind in enumerate(kinds) if kind not in kinds[:i]]
    places = [*firsts, *(i for i in range(len(kinds)) if i not in firsts)][:N_LAYERS]
    return [kinds[i] for i in sorted(places)]


def model_of(kind: str, **changes: Any) -> Any:
    """A random model of a family, in float64, with weights so large that it writes no loops."""
    config_class = type(AutoConfig.for_model(kind))
    config = config_class(**(small(config_class()) | _CHANGES.get(kind, {}) | changes))
    model_class = getattr(transformers, families()[kind])
    torch.manual_seed(7)
    model = model_class(config)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # the others take no float64
    for name in _TOKENS:
        setattr(model.generation_config, name, None)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0.0, 3.0 / parameter.shape[-1] ** 0.5)
        elif "norm" not in name.lower() and "bias" in name.lower():
            parameter.data.normal_(0.0, 0.2)
    return model.double().eval()


@dataclass(frozen=True)
class Outcome:
    """What became of a family.

    - `way`: "tree", "path", "refused", "not made", "not tried", or "CHANGED" where a text was
      another one.
    - `note`: the reason.
    """

    kind: str
    way: str
    note: str = ""
    n_texts: int = 0
    tokens_per_step: float = 0.0


def outcome_of(kind: str, *, n_prompts: int = 20, n_new: int = 16) -> Outcome:
    """Greedy texts with drafts against those without, each prompt twice."""
    try:
        model = model_of(kind)
        plain = [_write(model, _prompt(seed), n_new) for seed in reversed(range(n_prompts))]
    except Exception as error:
        return Outcome(kind, "not made", _said(error))
    drafter, report = Drafter(vocab_size=VOCAB), Report()
    try:
        for text in plain * 2:
            prompt = text[:, :-n_new]
            drafted = _write(
                model, prompt, n_new, custom_generate=decode, drafter=drafter, report=report
            )
            if not torch.equal(drafted, text):
                return Outcome(kind, "CHANGED", f"after {report.n_tokens} tokens")
    except InvalidParameter as error:
        said = str(error)
        _, bracket, rest = said.partition("(")
        reason = rest.partition("), so drafts")[0] if bracket else said.partition(":")[0]
        return Outcome(kind, "refused", reason.partition("; generate")[0])
    return Outcome(kind, report.way, why_no_trees(model), 2 * n_prompts, report.tokens_per_step)


def _prompt(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(1, VOCAB, (1, 10 + 2 * seed), generator=rng)


def _write(model: Any, prompt: torch.Tensor, n_new: int, **options: Any) -> torch.Tensor:
    given = {"max_new_tokens": n_new, "min_new_tokens": n_new, "do_sample": False}
    return model.generate(prompt, **given, pad_token_id=0, **options)


def _said(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:100]}{'...' * (len(said) > 100)}"


# As a page ----------------------------------------------------------------------------------------

_TOP = """# Drafts, model by model

`make architectures` writes this page. Every family of decoders in transformers {version} is made \
tiny and random, in float64, and writes {n_prompts} prompts greedily, twice, with drafts and \
without: the texts are equal, token for token, wherever the table says tree or path. Nothing is \
known of a family beforehand; `decode` looks at how the model reads ([drafting.md](drafting.md)).

| families | way |
| --- | --- |
{counts}

- **tree**: drafts branch, and the texts of a batch are read in one pass.
- **path**: drafts are single paths, and the texts of a batch are written one after another.
- **refused**: an error before anything is written.
- **not tried** yet.
- **not made**: the default configuration, made small, does not give a model that writes a text \
without drafts, or what it needs is not installed.

| family | way | tokens a step | why |
| --- | --- | --- | --- |
{rows}
"""


def page(outcomes: Iterable[Outcome], n_prompts: int) -> str:
    """The table in Markdown."""
    outcomes = list(outcomes)
    ways = [each.way for each in outcomes]
    counts = "\n".join(f"| {ways.count(way)} | {way} |" for way in sorted(set(ways)))
    return _TOP.replace("\\\n", "").format(
        version=transformers.__version__,
        n_prompts=n_prompts,
        counts=counts,
        rows="\n".join(map(_row, outcomes)),
    )


def _row(outcome: Outcome) -> str:
    tokens = f"{outcome.tokens_per_step:.2f}" if outcome.n_texts else ""
    note = outcome.note.replace("|", "\\|").replace("<", "&lt;")
    return f"| {outcome.kind} | {outcome.way} | {tokens} | {note} |"


def _too_long(*_: Any) -> None:
    raise TimeoutError("it takes too long")


def main() -> int:
    parser = argparse.ArgumentParser(description="Drafts, model by model.")
    parser.add_argument("kind", nargs="*", help="model types, as 'llama'; all if none is named")
    parser.add_argument("-o", "--output", type=Path, help="where to write the page")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120.0, help="of a processor, a family")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    outcomes = []
    signal.signal(signal.SIGVTALRM, _too_long)
    for kind in asked.kind or sorted(families()):
        signal.setitimer(signal.ITIMER_VIRTUAL, asked.seconds)
        try:
            outcomes.append(outcome_of(kind, n_prompts=asked.prompts))
        except TimeoutError as error:
            outcomes.append(Outcome(kind, "not made", _said(error)))
        print(_row(outcomes[-1]), flush=True)
    if asked.output:
        asked.output.write_text(page(outcomes, asked.prompts), encoding="utf-8")
    return int(any(each.way == "CHANGED" for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
