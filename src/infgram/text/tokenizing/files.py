"""Alone in knowing what stands in a tokenizer.json: its place, its unknown token, its decoder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import TokenizerUnavailable

NAME = "tokenizer.json"
_NO_ID = 2**32 - 1
_OTHERS = {
    "tokenizer.model": "SentencePiece's",
    "spiece.model": "SentencePiece's",
    "vocab.json": "a slow tokenizer's",
    "vocab.txt": "a slow tokenizer's",
    "tekken.json": "Mistral's",
    "tiktoken.model": "tiktoken's",
}
_ALONE = ("ByteFallback", "Metaspace", "Replace", "WordPiece", "Strip", "Fuse")


@dataclass(frozen=True)
class Decoder:
    """How tokens become text again.

    - `name`: what the file calls it, "none" where it has none: then tokens are joined by blanks.
    - `joins_bytes`: whether each token has its bytes, and a text those of its tokens.
    - `falls_back`: whether tokens like <0xE5> are bytes. A row of them is decoded as one.
    - `adds_up`: whether what a token adds to a text depends only on whether it is the first.
    """

    name: str
    joins_bytes: bool
    falls_back: bool
    adds_up: bool


@dataclass(frozen=True)
class TokenizerFile:
    """What a file says that the library does not tell.

    - `unknown_id`: the id of the token that stands for what has none; None if there is none.
    - `decoder`: how tokens become text again.
    """

    unknown_id: int | None
    decoder: Decoder


def read_tokenizer(file: bytes) -> TokenizerFile:
    """Reads the content of a tokenizer.json that the library takes.

    Raises TokenizerUnavailable if it is not laid out as the library's.

    >>> file = b'{"model": {"unk_token": "?", "vocab": {"?": 7}}, "decoder": {"type": "ByteLevel"}}'
    >>> read_tokenizer(file).unknown_id, read_tokenizer(file).decoder.joins_bytes
    (7, True)
    """
    try:
        content = json.loads(file)
        return TokenizerFile(
            _unknown_id(content, content["model"]), _decoder(content.get("decoder"))
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TokenizerUnavailable(
            f"not a `tokenizers` JSON file: {error!r}; expected what Tokenizer.save writes"
        ) from error


def _unknown_id(content: dict[str, Any], model: dict[str, Any]) -> int | None:
    found = model.get("unk_id")
    unknown = model.get("unk_token")
    if isinstance(unknown, str):
        added = {token["content"]: token["id"] for token in content.get("added_tokens") or ()}
        vocabulary = model.get("vocab")
        known = vocabulary if isinstance(vocabulary, dict) else {}
        found = known.get(unknown, added.get(unknown))
    return found if type(found) is int and 0 <= found < _NO_ID else None


def _decoder(decoder: dict[str, Any] | None) -> Decoder:
    if decoder is None:
        return Decoder("none", joins_bytes=False, falls_back=False, adds_up=True)
    parts = decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]
    names = [part["type"] for part in parts]
    return Decoder(
        "+".join(names),
        joins_bytes=names[:1] == ["ByteLevel"] and set(names[1:]) <= {"Fuse"},
        falls_back="ByteFallback" in names,
        adds_up=_adds_up(parts),
    )


def _adds_up(parts: Iterable[dict[str, Any]]) -> bool:
    """Each part must work on one token at a time, or on the first character of all."""
    fused = False
    for part in parts:
        name = part["type"]
        if name not in _ALONE:
            return False
        one_in_front = name == "Strip" and part["start"] <= 1 and part["stop"] == 0
        if fused and not (one_in_front or name == "Fuse"):
            return False
        fused = fused or name == "Fuse"
    return True


def in_folder(folder: Path) -> Path:
    """The tokenizer.json of a model's folder.

    Raises TokenizerUnavailable, which tells what else there is, if it has none.
    """
    path = folder / NAME
    if path.is_file():
        return path
    others = [f"{name} ({whose})" for name, whose in _OTHERS.items() if (folder / name).exists()]
    found = f"only {', '.join(others)}" if others else "no tokenizer"
    raise TokenizerUnavailable(
        f"the folder {str(folder)!r} has no {NAME}: found {found}; transformers writes one with "
        "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
    )
