"""Drafts of tokens from indexes of bytes: any tokenizer, exact as ever, promises that hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PART, make_index

import infgram
from infgram.draft import TextDrafter, Totals
from infgram.errors import (
    InvalidParameter,
    NothingProposed,
    RequestExists,
    TokenizerUnavailable,
    TokenOutOfRange,
    UnknownRequest,
)
from infgram.text import tokens
from infgram.text.tokenizing.huggingface import HuggingFace

PROSE = "It was a müde day in Zürich, and the old king said nothing to the old queen. " * 5


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "retokenize.infgram", [list(PROSE.encode())])


@pytest.fixture(scope="module")
def bpe() -> tokens.Tokenizer:
    """Of bytes, as GPT-2's."""
    return train("ByteLevel")


@pytest.fixture(scope="module")
def spaced() -> tokens.Tokenizer:
    """With a mark for spaces, as Llama's: a token alone loses its space."""
    return train("Metaspace")


def train(kind: str) -> tokens.Tokenizer:
    library = pytest.importorskip("tokenizers", reason="needs the extra `tokenizers`")
    tokenizer = library.Tokenizer(library.models.BPE())
    options = {"add_prefix_space": False} if kind == "ByteLevel" else {}
    tokenizer.pre_tokenizer = getattr(library.pre_tokenizers, kind)(**options)
    tokenizer.decoder = getattr(library.decoders, kind)()
    trainer = library.trainers.BpeTrainer(
        vocab_size=330,
        show_progress=False,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet() if kind == "ByteLevel" else [],
    )
    known = PROSE.replace("ü", "u") if kind == "ByteLevel" else PROSE  # an ü stays two bytes
    tokenizer.train_from_iterator([known], trainer)
    return HuggingFace(tokenizer.to_str().encode())


@pytest.fixture(params=["bpe", "spaced", "chars"])
def tokenizer(request: pytest.FixtureRequest) -> tokens.Tokenizer:
    if request.param == "chars":
        return tokens.load("chars")
    found: tokens.Tokenizer = request.getfixturevalue(request.param)
    return found


def replay(drafter: TextDrafter, ids: list[int], max_tokens: int = 6) -> float:
    """Tokens a step, of a model that writes these ids."""
    drafter.start("replay", ids[:2])
    at = 2
    while at < len(ids):
        draft = drafter.propose("replay", max_tokens)
        assert len(draft) <= max_tokens
        assert np.all(draft.parents < np.arange(len(draft)))
        n = len(draft.accepted(ids[at:]))
        drafter.accept("replay", ids[at : at + n + 1], n)
        at += n + 1
    drafter.stop("replay")
    return drafter.totals.tokens_per_step


def test_a_known_text_is_drafted_in_the_models_tokens(
    index: infgram.Index, tokenizer: tokens.Tokenizer
) -> None:
    ids = tokenizer.encode(PROSE[:150]).tolist()
    assert replay(TextDrafter(index, tokenizer=tokenizer), ids) > 2.5


def test_drafts_of_a_batch_are_cut_to_the_length_that_pays(
    index: infgram.Index, tokenizer: tokens.Tokenizer
) -> None:
    ids = tokenizer.encode(PROSE[:80]).tolist()
    free = TextDrafter(index, tokenizer=tokenizer)
    drafter = TextDrafter(index, tokenizer=tokenizer, cost=np.linspace(1.0, 3.0, 9))
    for each in (free, drafter):
        for name, n in (("a", 20), ("b", 2)):
            each.start(name, ids[:n])
    whole, cut = (each.propose_batch(["a", "b"], [8, 4]) for each in (free, drafter))
    assert len(whole[1]) <= 4 and 0 < len(cut[0]) < len(whole[0])
    for draft, shorter in zip(whole, cut, strict=True):
        assert shorter.token_ids.tolist() == draft.token_ids[: len(shorter)].tolist()
    drafter.accept("a", ids[20:22])
    drafter.accept("b", ids[2:3])
    assert drafter.totals.drafted == sum(map(len, cut))


def test_what_is_expected_of_unknown_prose_is_about_what_comes(
    prose: bytes, part_index: infgram.Index, bpe: tokens.Tokenizer
) -> None:
    totals = totals_of(prose[PART : PART + 4000], part_index, bpe)
    assert totals.expected == pytest.approx(totals.accepted, rel=0.25)


def test_what_is_expected_of_shakespeare_comes(
    training: infgram.Index, validation: bytes, bpe: tokens.Tokenizer
) -> None:
    totals = totals_of(validation[:4000], training, bpe)
    assert totals.expected == pytest.approx(totals.accepted, rel=0.15)


def totals_of(text: bytes, index: infgram.Index, tokenizer: tokens.Tokenizer) -> Totals:
    drafter = TextDrafter(index, tokenizer=tokenizer)
    replay(drafter, tokenizer.encode(text).tolist(), 8)
    return drafter.totals


def test_characters_that_tokens_cut_are_read_as_a_whole(
    index: infgram.Index, bpe: tokens.Tokenizer
) -> None:
    """Tokens of single bytes: an ü is two of them, and nothing is drafted in its middle."""
    text = PROSE[:60]
    ids = [bpe.encode(c).tolist() for c in text]
    flat = [token for each in ids for token in each]
    assert len(flat) > len(text)
    drafter = TextDrafter(index, tokenizer=bpe)
    drafter.start("a", flat[:1])
    for token in flat[1:]:
        drafter.propose("a")
        drafter.accept("a", [token])
    assert bytes(drafter._bytes._running("a").token_ids.tolist()) == text.encode()


def test_the_bytes_that_are_read_are_the_text(
    index: infgram.Index, tokenizer: tokens.Tokenizer
) -> None:
    ids = tokenizer.encode(PROSE[:300]).tolist()
    drafter = TextDrafter(index, tokenizer=tokenizer)
    drafter.start("a", ids[:1])
    for token in ids[1:]:
        drafter.extend("a", [token])
    read = bytes(drafter._bytes._running("a").token_ids.tolist())
    assert read.decode().strip() == tokenizer.decode(ids).decode().strip()


def test_a_draft_is_as_large_as_pays(index: infgram.Index, bpe: tokens.Tokenizer) -> None:
    context = bpe.encode("the old").tolist()

    def size(cost: list[float]) -> int:
        drafter = TextDrafter(index, tokenizer=bpe, cost=cost)
        drafter.start("a", context)
        return len(drafter.propose("a"))

    assert size([1.0] * 9) > 2
    assert size([1.0 + 10.0 * k for k in range(9)]) == 0


def test_a_session_serves_other_tokenizers(
    bpe: tokens.Tokenizer, spaced: tokens.Tokenizer, tmp_path: Path
) -> None:
    first = TextDrafter(tokenizer=bpe)
    first.start("a", bpe.encode("It").tolist())
    first.extend("a", bpe.encode(" was a most unusual sentence.").tolist())
    first.stop("a")
    first.save_session(tmp_path / "session")
    second = TextDrafter(tokenizer=spaced, tree=False)
    second.load_session(tmp_path / "session")
    second.start("b", spaced.encode("a most unusual").tolist())
    path = second.propose("b").path().tolist()
    assert b"sentence".startswith(second.tokenizer.decode(path).strip()[:8])
    assert path
    second.forget_session()
    assert len(second.propose("b")) == 0 or second.propose("b").match_len == 0


Act = Callable[[TextDrafter], object]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda d: d.propose("nobody"), UnknownRequest),
        (lambda d: d.accept("nobody", [1]), UnknownRequest),
        (lambda d: d.stop("nobody"), UnknownRequest),
        (lambda d: d.start("a", [1]), RequestExists),
        (lambda d: d.accept("a", [1]), NothingProposed),
        (lambda d: d.extend("a", [0x110000]), TokenOutOfRange),
        (lambda d: d.propose("a", -1), InvalidParameter),
        (lambda d: (d.propose("a"), d.accept("a", [0], 1)), InvalidParameter),
    ],
)
def test_what_is_out_of_turn_is_refused(
    index: infgram.Index, act: Act, error: type[Exception]
) -> None:
    drafter = TextDrafter(index, tokenizer="chars")
    drafter.start("a", [ord("t")])
    with pytest.raises(error):
        act(drafter)
    drafter.propose("a")  # it goes on
    drafter.accept("a", [ord("h")])


def test_requests_that_were_forgotten_take_no_memory(index: infgram.Index) -> None:
    drafter = TextDrafter(index, tokenizer="chars", max_requests=2)
    for i in range(10):
        drafter.start(i, [ord("t")])
    assert len(drafter) == len(drafter._requests) == 2
    with pytest.raises(UnknownRequest, match="forgotten"):
        drafter.propose(3)


def test_what_does_not_fit_is_refused(
    index: infgram.Index, bpe: tokens.Tokenizer, memory_folder: Path
) -> None:
    of_tokens = make_index(memory_folder / "of-tokens.infgram", [[1, 2, 3]], tokenizer=bpe)
    with pytest.raises(TokenizerUnavailable, match="expected 'bytes'"):
        TextDrafter(of_tokens, tokenizer=bpe)
    with pytest.raises(TokenizerUnavailable, match="100 tokens"):
        TextDrafter(index, tokenizer=bpe, vocab_size=100)
    with pytest.raises(TokenizerUnavailable, match="no tokenizer"):
        TextDrafter(index, tokenizer="nonsense")
    with pytest.raises(InvalidParameter, match="max_tokens"):
        TextDrafter(index, tokenizer=bpe, max_tokens=-1)
    with pytest.raises(InvalidParameter, match="cost"):
        TextDrafter(index, tokenizer=bpe, cost=json.loads("[]"))


# Tokenizers, vocabularies and ids as callers have them --------------------------------------------


def test_ids_that_pad_a_vocabulary_are_read_as_no_text(
    index: infgram.Index, bpe: tokens.Tokenizer
) -> None:
    """A model may write them; what stands around them is drafted from as it would be."""
    size = bpe.vocab_size
    padded = TextDrafter(index, tokenizer=bpe, vocab_size=size + 12, tree=False)
    plain = TextDrafter(index, tokenizer=bpe, tree=False)
    before, after = bpe.encode("It was a m").tolist(), bpe.encode("the old k").tolist()
    padded.start("a", [size, *before, size + 11])
    plain.start("a", before)
    padded.extend("a", [*after, size + 3])
    plain.extend("a", after)
    draft = padded.propose("a", 4)
    assert max(draft.token_ids.tolist(), default=0) < size
    padded.accept("a", [size + 1])
    padded.extend("a", bpe.encode("ing said nothing to").tolist())
    plain.extend("a", bpe.encode("ing said nothing to").tolist())
    assert padded.propose("a", 4).path().tolist() == plain.propose("a", 4).path().tolist()
    with pytest.raises(TokenOutOfRange):
        padded.extend("a", [size + 12])


def test_a_tokenizer_may_be_an_object_of_its_library(
    index: infgram.Index, bpe: tokens.Tokenizer
) -> None:
    library = pytest.importorskip("tokenizers", reason="needs the extra `tokenizers`")
    assert bpe.file is not None
    own = library.Tokenizer.from_str(bpe.file.decode())
    assert drafted(index, own) == drafted(index, bpe)


@pytest.mark.torch
def test_a_tokenizer_may_be_an_object_of_transformers(
    index: infgram.Index, bpe: tokens.Tokenizer
) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `draft`")
    library = pytest.importorskip("tokenizers")
    assert bpe.file is not None
    own = library.Tokenizer.from_str(bpe.file.decode())
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=own)
    assert drafted(index, fast) == drafted(index, bpe)


@pytest.mark.torch
def test_a_tokenizer_may_be_written_in_python(index: infgram.Index) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `draft`")
    slow = transformers.ByT5Tokenizer()
    drafter = TextDrafter(index, tokenizer=slow, vocab_size=len(slow), tree=False)
    ids = slow.encode("It was a m", add_special_tokens=False)
    drafter.start("a", ids)
    drafted = slow.decode(drafter.propose("a", 6).path().tolist())
    assert "It was a m" + drafted == PROSE[: 10 + len(drafted)] and len(drafted) >= 4


class _Encoding:
    """What of a tiktoken encoding is looked at: bytes, and a name that tiktoken does not know."""

    name = "of my own"
    n_vocab = 256
    _pat_str = "."
    _mergeable_ranks = {bytes([i]): i for i in range(256)}  # noqa: RUF012
    _special_tokens: dict[str, int] = {}  # noqa: RUF012

    def encode_to_numpy(self, text: str, disallowed_special: object) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8).astype(np.uint32)

    def decode_bytes(self, ids: list[int]) -> bytes:
        return bytes(ids)

    def decode_single_token_bytes(self, token: int) -> bytes:
        return bytes([token])


def test_a_tokenizer_may_be_an_encoding_of_tiktoken(index: infgram.Index) -> None:
    drafter = TextDrafter(index, tokenizer=_Encoding(), tree=False)
    drafter.start("a", list(b"the old k"))
    assert bytes(drafter.propose("a", 4).path().tolist()) == b"ing "


@pytest.mark.parametrize(
    "options",
    [
        {"vocab_size": "x"},
        {"vocab_size": -1},
        {"vocab_size": True},
        {"vocab_size": 2**40},
        {"max_tokens": "x"},
        {"tree": "no"},
        {"session_tokens": 2**40},
    ],
)
def test_what_a_drafter_cannot_be_made_from_is_refused(
    index: infgram.Index, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} is .*, expected"):
        TextDrafter(index, tokenizer="chars", **options)


@pytest.mark.parametrize(
    "options",
    [
        *({"min_prob": found} for found in (float("nan"), -0.5, 2, "x", None)),
        {"tree": "no"},
        {"max_tokens": -1},
        {"batch_size": 0},
    ],
)
def test_what_no_draft_can_have_is_refused(index: infgram.Index, options: dict[str, Any]) -> None:
    drafter = TextDrafter(index, tokenizer="chars")
    drafter.start("a", [ord(c) for c in "the old "])
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} is .*, expected"):
        drafter.propose("a", **options)


@pytest.mark.parametrize("n", [-1, 3, 2**70, 1.5, "x", True])
def test_how_many_were_accepted_is_a_number_of_those_given(index: infgram.Index, n: Any) -> None:
    drafter = TextDrafter(index, tokenizer="chars")
    drafter.start("a", [ord(c) for c in "the old "])
    drafter.propose("a")
    with pytest.raises(InvalidParameter, match=r"num_accepted is .* from 0 to 2"):
        drafter.accept("a", [ord("k"), ord("i")], n)
    assert drafter.totals.steps == 0
    drafter.accept("a", [ord("k"), ord("i")])


def test_a_drafter_says_which_requests_run(index: infgram.Index) -> None:
    drafter = TextDrafter(index, tokenizer="chars")
    assert "a" not in drafter
    drafter.start("a", [ord("k")])
    assert "a" in drafter
    drafter.stop("a")
    assert "a" not in drafter


def drafted(index: infgram.Index, tokenizer: object) -> list[int]:
    drafter = TextDrafter(index, tokenizer=tokenizer, tree=False)
    drafter.start("a", drafter.tokenizer.encode("the old k"))
    found: list[int] = drafter.propose("a", 4).path().tolist()
    assert found
    return found


@pytest.mark.parametrize("found", [object(), 3, None, len, int, HuggingFace, tokens.Tokenizer])
def test_what_is_no_tokenizer_is_refused_at_once(index: infgram.Index, found: object) -> None:
    with pytest.raises(TokenizerUnavailable, match=r"tokenizer is a .*, expected"):
        TextDrafter(index, tokenizer=found)


@pytest.mark.torch
def test_a_prompt_may_be_a_tensor(index: infgram.Index) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `draft`")
    drafter = TextDrafter(index, tokenizer="chars", tree=False)
    drafter.start("a", torch.tensor([ord(c) for c in "the old k"]))
    assert drafter.propose("a", 3).path().tolist() == [ord(c) for c in "ing"]
    for wrong, said in [
        (torch.tensor([[1, 2]]), r"shape \(1, 2\)"),
        (torch.tensor([0.5]), "tensor of torch.float32"),
        (torch.tensor([True]), "array of bool"),
    ]:
        with pytest.raises(infgram.errors.TokenError, match=said):
            drafter.start("b", wrong)
