"""A random model of llama's kind in a file of GGUF, tiny: for what reads such files.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_SPECIAL = 3
VOCAB_SIZE = N_SPECIAL + 256  # a token for each byte behind them
_WIDTH, _BLOCKS, _HEADS, _INNER = 32, 2, 2, 64
_ALIGNED = 32
_UINT32, _INT32, _FLOAT32, _STRING, _ARRAY = 4, 5, 6, 8, 9
_UNKNOWN, _CONTROL, _BYTE = 2, 3, 6  # kinds of tokens


def write_tiny_model(path: Path, n_positions: int) -> None:
    """Of so many positions, with weights that are always the same."""
    tensors = _tensors(np.random.default_rng(0))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(_keys(n_positions)))
    for key, (kind, value) in _keys(n_positions).items():
        head += _text(key) + struct.pack("<I", kind) + _value(kind, value)
    data = b""
    for name, values in tensors.items():
        shape = values.shape[::-1]  # the fastest dimension first
        head += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 0, len(data))  # 32-bit floats
        data += _padded(values.astype("<f4").tobytes())
    path.write_bytes(_padded(head) + data)


def _keys(n_positions: int) -> dict[str, tuple[int, Any]]:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256]
    return {
        "general.architecture": (_STRING, "llama"),
        "llama.context_length": (_UINT32, n_positions),
        "llama.embedding_length": (_UINT32, _WIDTH),
        "llama.block_count": (_UINT32, _BLOCKS),
        "llama.feed_forward_length": (_UINT32, _INNER),
        "llama.attention.head_count": (_UINT32, _HEADS),
        "llama.attention.layer_norm_rms_epsilon": (_FLOAT32, 1e-5),
        "tokenizer.ggml.model": (_STRING, "llama"),
        "tokenizer.ggml.tokens": (_ARRAY, (_STRING, tokens)),
        "tokenizer.ggml.scores": (_ARRAY, (_FLOAT32, [0.0] * VOCAB_SIZE)),
        "tokenizer.ggml.token_type": (_ARRAY, (_INT32, kinds)),
        "tokenizer.ggml.bos_token_id": (_UINT32, 1),
        "tokenizer.ggml.eos_token_id": (_UINT32, 2),
    }


def _tensors(rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    def random(*shape: int) -> NDArray[np.float64]:
        return rng.normal(size=shape) / np.sqrt(shape[-1])

    tensors = {
        "token_embd.weight": rng.normal(size=(VOCAB_SIZE, _WIDTH)),
        "output_norm.weight": np.ones(_WIDTH),
        "output.weight": random(VOCAB_SIZE, _WIDTH),
    }
    for i in range(_BLOCKS):
        tensors |= {
            f"blk.{i}.attn_norm.weight": np.ones(_WIDTH),
            f"blk.{i}.ffn_norm.weight": np.ones(_WIDTH),
            f"blk.{i}.ffn_gate.weight": random(_INNER, _WIDTH),
            f"blk.{i}.ffn_up.weight": random(_INNER, _WIDTH),
            f"blk.{i}.ffn_down.weight": random(_WIDTH, _INNER),
        }
        for name in ("q", "k", "v", "output"):
            tensors[f"blk.{i}.attn_{name}.weight"] = random(_WIDTH, _WIDTH)
    return tensors


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(kind: int, value: Any) -> bytes:
    if kind == _ARRAY:
        of, values = value
        return struct.pack("<IQ", of, len(values)) + b"".join(_value(of, each) for each in values)
    if kind == _STRING:
        return _text(value)
    return struct.pack({_UINT32: "<I", _INT32: "<i", _FLOAT32: "<f"}[kind], value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNED)
