"""Tokenizers of all kinds, made on the spot from a text that is its own example of trouble."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

TEXT = (
    "Hello world and moon. The moon's world, and the sun; don't!\n"
    "hello  two blanks\tand tabs\r\n\n  Indented naïve café, 吾輩は猫である。 👩‍👩‍👧 end. "
    "A [MASK] token, an <|end of text|> one, e\u0301 and ﬁne. 12345 and 1,234.5 [UNK] x. "
)


def _trained(tokenizer: Any, trainer: Any) -> str:
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    return str(tokenizer.to_str())


def _byte_level(*, prefix: bool = False, added: bool = False, fused: bool = False) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    if fused:
        tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<|end of text|>"] if added else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    if added:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A <s>", special_tokens=[("<s>", 0)]
        )
    return _trained(tokenizer, trainer)


def _metaspace_bpe(*, fallback: bool) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>"]
    if fallback:
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + 90,
        limit_alphabet=40,
        special_tokens=special,
        show_progress=False,
    )
    return _trained(tokenizer, trainer)


def _llama() -> str:
    """As Llama 2's: no pre-tokenizer, blanks by normalisers."""
    from tokenizers import Tokenizer, normalizers

    content = json.loads(_metaspace_bpe(fallback=True))
    tokenizer = Tokenizer.from_str(json.dumps({**content, "pre_tokenizer": None}))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return str(tokenizer.to_str())


def _word_piece() -> str:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=110,
        limit_alphabet=45,
        special_tokens=["[UNK]", "[MASK]"],
        show_progress=False,
    )
    return _trained(tokenizer, trainer)


def _unigram(*, fallback: bool = False) -> str:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = ["▁", "▁and", "▁the", "Hello", "▁wor", "ld", "▁moon", "n", "▁\n", "moon"]
    letters = sorted(set(TEXT) - set("吾é\t" if fallback else "吾") - {" "})
    vocabulary = [("<unk>", 0.0), *((p, -2.0 - i / 7) for i, p in enumerate(pieces))]
    vocabulary += [(c, -6.0 - i / 9) for i, c in enumerate(letters) if c not in pieces]
    if fallback:
        vocabulary += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=fallback))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    if fallback:
        tokenizer.decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]
        )
    return str(tokenizer.to_str())


def _word_level(*, unknown: bool) -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers

    split = pre_tokenizers.Whitespace()
    words = sorted({word for word, _ in split.pre_tokenize_str(TEXT)})
    if unknown:
        words = [word for word in words if word not in ("sun", "café")]
    names = (["[UNK]"] if unknown else []) + words
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(names))}
    model = models.WordLevel(vocabulary, unk_token="[UNK]") if unknown else None
    tokenizer = Tokenizer(model or models.WordLevel(vocabulary, unk_token="<none>"))
    tokenizer.pre_tokenizer = split
    if unknown:
        tokenizer.add_special_tokens(["[UNK]", "[MASK]"])
    return str(tokenizer.to_str())


def _characters() -> str:
    """A BPE without merges, unknown token and blanks of its own, in small letters."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    vocabulary = {c: i for i, c in enumerate(sorted(set(TEXT.lower()) - set("吾👩")))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.decoder = decoders.Fuse()
    return str(tokenizer.to_str())


def _end_of_word() -> str:
    """As the first GPT's: a token says whether its word ends with it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(
        vocab_size=200,
        special_tokens=["<unk>"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    return _trained(tokenizer, trainer)


KINDS: dict[str, Callable[[], str]] = {
    "byte-level": _byte_level,
    "byte-level with a prefix": lambda: _byte_level(prefix=True),
    "byte-level with added tokens": lambda: _byte_level(added=True),
    "byte-level, fused": lambda: _byte_level(fused=True),
    "Metaspace": lambda: _metaspace_bpe(fallback=False),
    "Metaspace with bytes": lambda: _metaspace_bpe(fallback=True),
    "Llama": _llama,
    "WordPiece": _word_piece,
    "Unigram": _unigram,
    "Unigram with bytes": lambda: _unigram(fallback=True),
    "word-level": lambda: _word_level(unknown=True),
    "word-level without unknown": lambda: _word_level(unknown=False),
    "characters": _characters,
    "end of word": _end_of_word,
}


@cache
def made(kind: str) -> str:
    """The tokenizer.json of a kind."""
    return KINDS[kind]()
