"""The sound indexes: small, of every kind of token, shape and width of codes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import infgram
from infgram.store.building import MAX_SHARD_TOKENS, build_index
from infgram.store.growing import add_documents
from infgram.text.corpus import Document
from infgram.text.tokens import Tokenizer, load

from .folders import CURRENT, VERIFIED, Folder

_SYLLABLES = ["ba", "de", "no", "th", "is", "or", "ma", "we", "st", "ly", "un", "ed", "qu", "a"]
_STRANGE = ["naïve", "über", "don't", "it’s", "東京", "🙂", "…", "x1"]


@dataclass(frozen=True)
class Base:
    """A sound index, and what is asked of those that are made from it."""

    name: str
    path: Path
    documents: tuple[Any, ...]
    """Text or arrays of ids, as they were indexed."""

    def __str__(self) -> str:
        return self.name

    @cached_property
    def is_text(self) -> bool:
        return isinstance(self.documents[0], str)


@dataclass(frozen=True)
class _Recipe:
    name: str
    documents: Callable[[random.Random], Sequence[Any]]
    tokenizer: Callable[[Sequence[Any]], Tokenizer]
    shard_tokens: int = MAX_SHARD_TOKENS
    code_bits: int | None = None
    two_sided: bool = False
    calibrated: bool = False
    first_format: bool = False
    grown: bool = False
    """Built of the first document, the others added one by one, and each third one removed."""
    layout: str = "fast"


def make_all(folder: Path, only: Iterable[str] | None = None) -> list[Base]:
    """Builds the sound indexes in a folder, all or those of these names; the same each time."""
    names = [recipe.name for recipe in _RECIPES if recipe.name != "pieces" or _has_tokenizers()]
    chosen = names if only is None else list(only)
    return [_make(recipe, folder) for recipe in _RECIPES if recipe.name in chosen]


def _make(recipe: _Recipe, folder: Path) -> Base:
    documents = list(recipe.documents(random.Random(recipe.name)))
    contents = [
        Document(
            document.encode() if isinstance(document, str) else document,
            f"memory/{i % 3}",
            i,
            {"number": i, "title": f"the {i}th"} if i % 2 else {},
            isinstance(document, str) and i % 3 > 0,  # one source in three is records
        )
        for i, document in enumerate(documents)
    ]
    path = folder / f"{recipe.name}.infgram"
    with patch("infgram.store.building._code_bits", lambda n: recipe.code_bits or _code_bits(n)):
        build_index(
            contents[:1] if recipe.grown else contents,
            path,
            tokenizer=recipe.tokenizer(documents),
            shard_tokens=recipe.shard_tokens,
            two_sided=recipe.two_sided,
            layout=recipe.layout,
        )
    index = infgram.open(path)
    if recipe.grown:
        for content in contents[1:]:
            add_documents([content], path, tokenizer=index.tokenizer)
        index = infgram.remove(path, documents=range(1, len(documents), 3))
        del documents[1::3]
    if recipe.calibrated:
        infgram.calibrate(index)
        if recipe.two_sided:
            infgram.calibrate(index.backwards)
    if recipe.first_format:
        to_first_format(path)
    return Base(recipe.name, path, tuple(documents))


def _code_bits(n_codes: int) -> int:
    return 8 if n_codes <= 1 << 8 else 16 if n_codes <= 1 << 16 else 32


def to_first_format(path: Path) -> None:
    """Makes of an index what infgram 0.1 would have built: its files lie in the folder itself."""
    (generation,) = path.glob("generation-*")
    for entry in generation.iterdir():
        shutil.move(entry, path)
    generation.rmdir()
    (path / CURRENT).unlink()
    folder = Folder.at(path)
    for unit in folder.units:
        unit.manifest["version"] = 1
        del unit.manifest["optional"]
        (unit.path / VERIFIED).unlink()
        unit.recalibrate()
    folder.seal()
    folder.finish()


# Texts --------------------------------------------------------------------------------------------


def prose(rng: random.Random, n: int) -> str:
    """About n characters of words that come again, with apostrophes and what is not ASCII."""
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 3))) for _ in range(60)]
    phrases = [rng.choices(words, k=rng.randint(2, 6)) for _ in range(20)]
    parts: list[str] = []
    size = 0
    while size < n:
        chosen = rng.choice(phrases) if rng.random() < 0.7 else [rng.choice(words + _STRANGE)]
        part = " ".join(chosen) + rng.choice([" ", " ", ", ", ".\n"])
        parts.append(part)
        size += len(part)
    return "".join(parts)


def _one(n: int) -> Callable[[random.Random], list[str]]:
    return lambda rng: [prose(rng, n)]


def _several(*sizes: int) -> Callable[[random.Random], list[str]]:
    """Documents of one text, so that they share words; some of them empty."""

    def documents(rng: random.Random) -> list[str]:
        text = prose(rng, sum(sizes))
        bounds = np.cumsum([0, *sizes]).tolist()
        return [text[begin:end] for begin, end in pairwise(bounds)]

    return documents


def _wide(*sizes: int) -> Callable[[random.Random], list[str]]:
    """Documents of more than 256 different characters."""

    def documents(rng: random.Random) -> list[str]:
        made = []
        for text in _several(*sizes)(rng):
            many = "".join(chr(rng.randrange(0x4E00, 0x4E00 + 400)) for _ in range(len(text) // 4))
            made.append(text + many + text[: len(text) // 2])
        return made

    return documents


def _numbers(n_different: int, *sizes: int) -> Callable[[random.Random], list[Any]]:
    """Token ids of which runs come again."""

    def documents(rng: random.Random) -> list[Any]:
        known = [rng.randrange(50_000) for _ in range(n_different)]
        runs = [rng.choices(known, k=rng.randint(3, 30)) for _ in range(30)]
        return [np.array([*chain(*rng.choices(runs, k=n // 15 + 1))][:n], np.uint32) for n in sizes]

    return documents


# Tokenizers ---------------------------------------------------------------------------------------


def _named(name: str, **options: Any) -> Callable[[Sequence[Any]], Tokenizer]:
    return lambda _: load(name, **options)


def _has_tokenizers() -> bool:
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        return False
    return True


def _pieces(documents: Sequence[str]) -> Tokenizer:
    """Byte pairs of the text itself, as a JSON file of `tokenizers`."""
    import tempfile

    from tokenizers import Tokenizer as Made
    from tokenizers import decoders, models, pre_tokenizers, trainers

    made = Made(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
    )
    made.train_from_iterator(documents, trainer)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(made.to_str())
        file.flush()
        return load(file.name)


_RECIPES = [
    _Recipe("bytes", _one(6000), _named("bytes"), calibrated=True),
    _Recipe("compact", _several(2000, 1500, 0, 900), _named("bytes"), layout="compact"),
    _Recipe(
        "compact numbers",
        _numbers(600, 1500, 1200),
        _named("ids", vocab_size=50_000),
        shard_tokens=1600,
        two_sided=True,
        layout="compact",
    ),
    _Recipe("grown", _several(900, 700, 0, 300, 1200, 800), _named("bytes"), grown=True),
    _Recipe("letters", lambda rng: ["abcab" * 40 + "b" * 90], _named("bytes")),
    _Recipe("one", lambda rng: ["x"], _named("bytes"), calibrated=True, two_sided=True),
    _Recipe(
        "shards",
        _several(900, 0, 700, 1200, 40, 0, 800),
        _named("bytes"),
        shard_tokens=1800,
        two_sided=True,
        calibrated=True,
    ),
    _Recipe("sides", _several(1500, 1000, 3), _named("bytes"), two_sided=True),
    _Recipe("characters", _several(1500, 900), _named("chars"), two_sided=True, calibrated=True),
    _Recipe(
        "wide",
        _wide(900, 500, 0, 700),
        _named("chars"),
        shard_tokens=2000,
        two_sided=True,
        calibrated=True,
    ),
    _Recipe(
        "first_format",
        _several(800, 700, 0, 900),
        _named("bytes"),
        shard_tokens=1600,
        two_sided=True,
        calibrated=True,
        first_format=True,
    ),
    _Recipe("wide_alone", _wide(1500), _named("chars")),
    _Recipe(
        "ids",
        _numbers(150, 1500, 600, 1200),
        _named("ids", vocab_size=50_000),
        shard_tokens=2500,
        code_bits=32,
        calibrated=True,
    ),
    _Recipe(
        "ids_two_sided", _numbers(500, 900, 900), _named("ids", vocab_size=60_000), two_sided=True
    ),
    _Recipe("pieces", _several(1800, 1500, 0, 40), _pieces, calibrated=True, shard_tokens=600),
]
