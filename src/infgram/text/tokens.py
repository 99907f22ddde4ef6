"""Tokenizers by name: `load` makes one, and `restore` rebuilds the one an index was built with.

Every tokenizer can be pickled and used by many threads at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import InvalidParameter, TokenizerUnavailable
from .tokenizing.contract import ACCEPTED, Tokenizer, TokenTexts, utf8
from .tokenizing.files import in_folder
from .tokenizing.huggingface import HuggingFace
from .tokenizing.ids import ABSENT, Ids, TokenArray, check_ids
from .tokenizing.objects import of_object
from .tokenizing.plain import BareIds, Bytes, Chars
from .tokenizing.tiktoken import Tiktoken

__all__ = [
    "ABSENT",
    "Ids",
    "Query",
    "TokenArray",
    "TokenTexts",
    "Tokenizer",
    "check_ids",
    "load",
    "of_object",
    "restore",
    "utf8",
]

Query = str | bytes | Ids
"""Text, or token ids: what every question about an n-gram or a context accepts."""


def load(spec: str | os.PathLike[str], *, vocab_size: int | None = None) -> Tokenizer:
    """The tokenizer called `spec`: "bytes", "chars", "ids", "tiktoken:NAME", or a path: of a
    `tokenizers` JSON file, or of a folder with a tokenizer.json.

    `vocab_size` belongs to "ids" alone, which stands for token ids that were made elsewhere.
    A `tokenizers` file recognises its added tokens in text, as it does for the model it was made
    for; tiktoken reads special tokens as plain text.

    Raises TokenizerUnavailable for an unknown name or an unusable file, MissingExtra if a library
    is not installed, InvalidParameter if `vocab_size` is missing, misplaced or out of range.

    >>> load("chars").encode("né").tolist()
    [110, 233]
    """
    if spec == "ids":
        if vocab_size is None:
            raise InvalidParameter(
                "the tokenizer 'ids' has no vocabulary: give vocab_size (--vocab-size N), a number "
                "above every id"
            )
        return BareIds(vocab_size)
    if vocab_size is not None:
        raise InvalidParameter(f"vocab_size is for the tokenizer 'ids', not for {str(spec)!r}")
    if spec == "bytes":
        return Bytes()
    if spec == "chars":
        return Chars()
    if isinstance(spec, str) and spec.startswith("tiktoken:"):
        return Tiktoken(spec)
    try:
        path = Path(spec)
        file = (in_folder(path) if path.is_dir() else path).read_bytes()
    except (OSError, ValueError) as error:
        raise TokenizerUnavailable(
            f"no tokenizer {str(spec)!r}: expected {ACCEPTED} ({error})"
        ) from error
    return HuggingFace(file)


def restore(spec: Mapping[str, object], file: bytes | None) -> Tokenizer:
    """The tokenizer whose `spec()` and `file` an index stored, checked to be the same one.

    Raises TokenizerUnavailable if it cannot be loaded here or is not the same any more,
    MissingExtra if a library is not installed.

    >>> restore(load("bytes").spec(), None).name
    'bytes'
    """
    name, vocab_size, sha256 = (spec.get(key) for key in ("name", "vocab_size", "sha256"))
    tokenizer: Tokenizer
    if name == "tokenizers":
        if file is None or not isinstance(vocab_size, int):
            raise TokenizerUnavailable("the index lacks its tokenizer's file: build it again")
        tokenizer = HuggingFace(file, vocab_size)
    elif name == "ids" and isinstance(vocab_size, int):
        tokenizer = BareIds(vocab_size)
    elif name in ("bytes", "chars") or (isinstance(name, str) and name.startswith("tiktoken:")):
        tokenizer = load(str(name))
    else:
        raise TokenizerUnavailable(f"no tokenizer {name!r}: expected {ACCEPTED}")
    if tokenizer.spec() != {"name": name, "vocab_size": vocab_size, "sha256": sha256}:
        raise TokenizerUnavailable(
            f"the tokenizer {name!r} is not the one of the index: it has {tokenizer.vocab_size} "
            f"tokens and sha256 {tokenizer.sha256}, the index has {vocab_size} and {sha256}; "
            "install the version the index was built with, or build the index again"
        )
    return tokenizer
