"""What is shown, counted and cut is the corpus's text, whatever kind of tokenizer made the tokens.

The oracle is the library itself, on whole documents, and scans of token ids and of text.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from command_line import run
from tokenizers_of_all_kinds import KINDS, TEXT, made

import infgram
from infgram.errors import (
    BadRecordSkipped,
    InvalidParameter,
    TokenError,
    TokenizerUnavailable,
    TokenOutOfRange,
    UndecodableText,
    UnknownTokens,
)
from infgram.models import sampling
from infgram.store.building import build_index
from infgram.text.corpus import Document
from infgram.text.tokenizing import huggingface, seams
from infgram.text.tokenizing.files import read_tokenizer
from infgram.text.tokenizing.huggingface import HuggingFace
from infgram.text.tokenizing.seams import Seams
from infgram.text.tokens import ABSENT, Tokenizer, load, restore

pytest.importorskip("tokenizers")

# Their decoders look at several tokens at once, or at what comes next.
_UNCOUNTABLE = {"end of word"}
# A stretch that begins within a word has no tokens.
_NEVER_CUT = {"word-level without unknown"}


def n_common(one: Sequence[object], other: Sequence[object]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


class Case:
    """An index of a few documents, and what the library says of each as a whole."""

    def __init__(self, kind: str, folder: Path) -> None:
        file = folder / "tokenizer.json"
        file.write_text(made(kind), encoding="utf-8")
        self.kind = kind
        self.tokenizer: Tokenizer = load(file)
        halves = TEXT.partition("naïve")
        texts = [TEXT, "", halves[2] + TEXT, " and moon", "moon", halves[0], "world"]
        self.ids = [self.tokenizer.encode(text).tolist() for text in texts]
        documents = [
            Document(np.array(ids, np.uint32), "memory", i, {}) for i, ids in enumerate(self.ids)
        ]
        build_index(documents, folder / "a.infgram", tokenizer=self.tokenizer)
        self.index = infgram.open(folder / "a.infgram")
        self.texts = [self.decoded(ids) for ids in self.ids]

    def decoded(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids).decode()

    def reached(self, document: int, place: int) -> tuple[int, bool]:
        """Characters whose tokens stand in front of a place; whether none of another does."""
        front = self.decoded(self.ids[document][:place])
        n = n_common(front, self.texts[document])
        return n, n == len(front)

    def scanned(self, ngram: Sequence[int]) -> int:
        n = len(ngram)
        return sum(
            ids[i : i + n] == list(ngram) for ids in self.ids for i in range(len(ids) - n + 1)
        )


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("kinds"))


def parts(case: Case, n: int, longest: int) -> Iterator[tuple[int, int, int]]:
    """Random stretches of documents: the document, its first token and the one behind."""
    rng = random.Random(0)
    for _ in range(n):
        document = rng.choice([0, 2, 3, 4, 5])
        begin = rng.randrange(len(case.ids[document]))
        yield document, begin, min(begin + rng.randint(1, longest), len(case.ids[document]))


# ---- what is shown -------------------------------------------------------------------------------


def test_a_document_reads_as_the_library_decodes_it(case: Case) -> None:
    assert [case.index.document(i).text for i in range(len(case.ids))] == case.texts


def test_what_is_found_reads_as_it_stands_in_its_document(case: Case) -> None:
    for document, begin, end in parts(case, 40, 6):
        ids, text = case.ids[document], case.texts[document]
        for context in (2, 60):
            found = case.index.find(ids[begin:end], limit=1000, context=context)
            (match,) = (m for m in found if (m.document, m.offset) == (document, begin))
            first, last = max(begin - context, 0), min(end + context, len(ids))
            middle, _ = case.reached(document, begin)
            behind = next(
                n
                for n, whole in (case.reached(document, i) for i in range(end, len(ids) + 1))
                if whole
            )
            stop = max(behind, case.reached(document, last)[0])
            begins = min(case.reached(document, first)[0], middle)
            assert match.before == text[begins:middle]
            assert match.match == text[middle:behind]
            assert match.after == text[behind:stop]


def test_what_is_generated_and_streamed_is_what_stands_behind_the_prompt(case: Case) -> None:
    for document, begin, end in parts(case, 12, 9):
        prompt = case.ids[document][begin:end] if begin % 3 else case.ids[document][:end]
        settings: dict[str, Any] = {"k": 2, "max_tokens": 40, "seed": begin}
        made = infgram.generate(case.index, prompt, **settings)
        before, whole = case.decoded(prompt), case.decoded([*prompt, *made.token_ids.tolist()])
        expected = whole[n_common(before, whole) :]
        assert made.text == expected
        for size in (1, 7):
            with patch.object(sampling, "_CHUNK_TOKENS", size):
                pieces = list(infgram.stream(case.index, prompt, **settings))
            assert "".join(pieces) == expected
        model = infgram.Model(case.index, infgram.SBIS(k=2))
        steps = model.trace(made.token_ids, context=prompt)
        assert "".join(step.text for step in steps) == expected


def test_a_text_that_is_generated_word_by_word_is_the_document(case: Case) -> None:
    ids = case.ids[0]
    made = infgram.generate(case.index, ids[:9], k=1, temperature=0, max_tokens=len(ids) - 9)
    n = n_common(made.token_ids.tolist(), ids[9:])
    assert n >= 5
    assert case.index.decode(ids[:9]) + made.text == case.decoded([*ids[:9], *made.token_ids])


def test_stop_strings_are_found_across_tokens(case: Case) -> None:
    prompt = case.ids[0][:5]
    plain = infgram.generate(case.index, prompt, k=1, max_tokens=30, seed=3)
    stop = plain.text[3:6]
    made = infgram.generate(case.index, prompt, k=1, max_tokens=30, seed=3, stop=stop)
    assert made.text == plain.text[: plain.text.find(stop)]
    assert made.finish_reason == "stop"


def test_no_two_tokens_are_shown_alike(case: Case) -> None:
    shown = [case.tokenizer.piece(i) for i in case.index.alphabet[1:].tolist()]
    assert "" not in shown
    assert len(set(shown)) == len(shown)


# ---- what is counted -----------------------------------------------------------------------------


def test_a_count_is_that_of_the_text_s_tokens(case: Case) -> None:
    rng = random.Random(1)
    for _ in range(150):
        begin = rng.randrange(len(TEXT))
        text = TEXT[begin : begin + rng.randint(1, 12)]
        try:
            ids = case.tokenizer.encode(text).tolist()
        except TokenError:
            with pytest.raises(TokenError, match="no tokens for this text"):
                case.index.count(text)
            continue
        looked_up = case.tokenizer.encode_ngram(text).tolist()
        expected = 0 if ABSENT in looked_up or not ids else case.scanned(ids)
        assert case.index.count(text) == expected
        assert case.index.count_batch([text]).tolist() == [expected]
        assert case.index.count(ids) == (case.scanned(ids) if ids else case.index.n_tokens)
        assert case.index.ntd(text).prompt_cnt <= expected
        assert len(case.index.find(text, limit=1000)) == expected
        levels = case.index.levels(text)
        assert all(level.n <= len(ids) for level in levels)
        if ABSENT in looked_up:
            behind = len(looked_up) - 1 - looked_up[::-1].index(ABSENT)
            assert all(level.n <= len(looked_up) - 1 - behind for level in levels)


def test_places_of_a_text_are_those_in_the_decoded_documents(case: Case) -> None:
    if case.kind in _UNCOUNTABLE:
        with pytest.raises(TokenError, match="BPEDecoder"):
            case.index.count_text("a")
        return
    rng = random.Random(2)
    texts = ["a", " ", "and", " and", "and ", "an", "o", "moon", "Hello", "never here", "\n", "吾"]
    for _ in range(150):
        document = case.texts[rng.choice([0, 2, 5])]
        begin = rng.randrange(len(document))
        texts.append(document[begin : begin + rng.randint(1, 14)])
    for text in texts:
        expected = sum(whole.startswith(text, i) for whole in case.texts for i in range(len(whole)))
        assert case.index.count_text(text) == expected, text
        assert case.index.count_text(text.encode()) == expected


def test_an_unknown_word_is_no_other_unknown_word(case: Case) -> None:
    unknown = case.tokenizer.unknown_id
    assert case.index.n_unknown == (0 if unknown is None else case.scanned([unknown]))
    if unknown is None:
        return
    assert case.index.n_unknown == case.index.count([unknown])
    ids = case.tokenizer.encode_ngram("\u05d0 and").tolist()
    if unknown in case.tokenizer.encode("\u05d0 and").tolist():
        assert ABSENT in ids
        assert case.index.count("\u05d0 and") == 0
        assert case.index.find("\u05d0") == []
        assert len(case.index.ntd("\u05d0")) == 0
        assert case.index.levels("\u05d0") == []


def test_an_empty_text_has_no_places(case: Case) -> None:
    with pytest.raises(InvalidParameter, match="empty"):
        case.index.count_text("")
    for ask in (case.index.count_text, case.index.count):
        with pytest.raises((UndecodableText, TokenError)):
            ask("a\ud800")


def test_a_text_without_tokens_is_not_the_empty_one(tmp_path: Path) -> None:
    case = Case("word-level", tmp_path)
    assert case.tokenizer.encode(" ").size == 0
    assert case.index.count(" ") == 0
    assert case.index.count("") == case.index.n_tokens
    assert case.index.count_batch([" ", ""]).tolist() == [0, case.index.n_tokens]
    assert len(case.index.ntd(" ")) == 0
    assert case.index.find(" ") == []
    assert case.index.match_lengths(" ").size == 0


def test_the_unknown_token_can_be_spelt_out(tmp_path: Path) -> None:
    case = Case("word-level", tmp_path)
    assert case.index.count("[UNK]") == case.index.n_unknown > 0
    assert case.index.count("sun") == case.index.count("unicorn") == 0


def test_the_blank_that_a_prompt_ends_with_is_not_written_twice(tmp_path: Path) -> None:
    case = Case("word-level", tmp_path)
    for prompt in ("Hello", "Hello ", "Hello\n"):
        made = infgram.generate(case.index, prompt, k=1, max_tokens=2, seed=0)
        assert made.text == " world and"[len(prompt) - 5 :]
        pieces = infgram.stream(case.index, prompt, k=1, max_tokens=2, seed=0)
        assert "".join(pieces) == made.text


# ---- builds --------------------------------------------------------------------------------------


def test_a_build_says_how_many_tokens_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(made("word-level"), encoding="utf-8")
    (tmp_path / "a.txt").write_text("the sun and the unicorn\n")
    with pytest.warns(UnknownTokens, match="2 of 5 tokens are unknown"):
        index = infgram.build(tmp_path / "a.txt", tmp_path / "a.infgram", tokenizer=tmp_path)
    assert index.n_unknown == 2


def test_a_folder_without_a_tokenizer_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(TokenizerUnavailable, match=r"no tokenizer\.json: found no tokenizer"):
        load(tmp_path)
    (tmp_path / "spiece.model").touch()
    with pytest.raises(TokenizerUnavailable, match=r"found only spiece\.model \(SentencePiece's\)"):
        load(str(tmp_path))


@pytest.mark.parametrize("tokenizer", ["bytes", "chars"])
def test_token_ids_are_not_taken_for_bytes(tmp_path: Path, tokenizer: str) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2, 200], np.uint8))
    np.array([1, 2, 200], "<u2").tofile(tmp_path / "a.u16")
    (tmp_path / "a.jsonl").write_text('{"text": [1, 2, 200]}\n{"text": "abc"}\n')
    for name in ("a.npy", "a.u16", "a.jsonl"):
        with pytest.raises(TokenError, match=rf"{name}.*tokenizer='ids' and vocab_size=N"):
            infgram.build(tmp_path / name, tmp_path / "a.infgram", tokenizer=tokenizer)
    with pytest.warns(BadRecordSkipped, match="holds token ids"):
        index = infgram.build(
            tmp_path / "a.jsonl", tmp_path / "a.infgram", tokenizer=tokenizer, skip_bad=True
        )
    assert (index.n_documents, index.count("abc")) == (1, 1)


def test_a_stranger_s_tokenizer_file_crashes_nothing() -> None:
    spec = json.loads(made("word-level"))
    for unknown in (-1, 2**32, 2**70, True, "x", None, 1.5):
        spec["model"]["vocab"]["[UNK]"] = unknown
        assert read_tokenizer(json.dumps(spec).encode()).unknown_id is None
    broken = [b"", b"[]", b"{}", b'{"model": 3}', b'{"model": {}, "decoder": []}', b"[" * 100_000]
    for file in broken:
        with pytest.raises(TokenizerUnavailable, match="not a `tokenizers` JSON file"):
            read_tokenizer(file)
    file = made("Llama").encode()
    more = restore({**load_of(file).spec(), "vocab_size": 10**6}, file)
    with pytest.raises(TokenOutOfRange, match="999999 stands for nothing"):
        more.decode([5, 999_999])
    assert more.can_begin([999_999, 5]).tolist()[0]


def load_of(file: bytes) -> Tokenizer:
    return HuggingFace(file)


def test_a_tokenizer_that_draws_its_tokens_in_training_does_not_here(tmp_path: Path) -> None:
    spec = json.loads(made("byte-level"))
    spec["model"]["dropout"] = 0.5
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    (tmp_path / "plain.json").write_text(made("byte-level"), encoding="utf-8")
    assert (
        load(tmp_path).encode(TEXT).tolist() == load(tmp_path / "plain.json").encode(TEXT).tolist()
    )


# ---- the command line ----------------------------------------------------------------------------


def test_the_command_line_says_how_a_query_was_cut(tmp_path: Path) -> None:
    case = Case("byte-level", tmp_path)
    path = str(case.index.path)
    done = run("count", "-i", path, "the", "Hello")
    assert done.stdout == f"0\tthe\n{case.index.count('Hello')}\tHello\n"
    places = case.index.count_text("the")
    assert "'the' was looked up as 't" in done.stderr
    assert "as ' t" in done.stderr
    assert f"however they are cut: {places} (infgram count --text)" in done.stderr
    assert run("count", "-i", path, "--text", "the").stdout == f"{places}\tthe\n"
    for ask, exit_code in ((["find"], 1), (["next"], 1), (["next", "--levels"], 0)):
        done = run(*ask, "-i", path, "the", exit_code=exit_code)
        assert "was looked up as" in done.stderr
    assert run("count", "-i", path, " world and").stderr == ""


def test_the_command_line_says_that_words_are_unknown(tmp_path: Path) -> None:
    case = Case("word-level", tmp_path)
    path = str(case.index.path)
    done = run("count", "-i", path, "unicorn", " ", exit_code=1)
    assert done.stdout == "0\tunicorn\n0\t \n"
    assert "'unicorn' was read as '[UNK]': the tokenizer does not know all of it" in done.stderr
    assert "' ' has no token of its own" in done.stderr
    assert f"{case.index.n_unknown} tokens" in run("info", path).stdout


# ---- long texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_has_the_same_tokens_in_pieces(kind: str) -> None:
    import tokenizers

    library = tokenizers.Tokenizer.from_str(made(kind))
    rng = random.Random(3)
    words = [*TEXT.split(" "), "", "a\n", "\n", "word,", "吾輩は"]
    if kind == "word-level without unknown":
        words = [word for word in TEXT.split(" ") if "[" not in word]
    text = " ".join(rng.choice(words) for _ in range(8000))
    tokenizer = load_of(made(kind).encode())
    with patch.object(seams, "_PIECE", 1500), patch.object(huggingface, "_BATCH_PER_CORE", 4000):
        pieces = list(Seams(library).pieces(text.encode()))
        ids = tokenizer.encode(text)
        some = text.split(" ")
        rows = [" ".join(some[i : i + 9]) for i in range(0, 2000, 9)]
        many = [text, "", *rows, " ".join(some[:3000])]
        side_by_side = list(tokenizer.encode_all(iter(many)))
    for one, found in zip(many, side_by_side, strict=True):
        assert np.array_equal(found, library.encode(one, add_special_tokens=False).ids)
    assert ids.tolist() == library.encode(text, add_special_tokens=False).ids
    assert len(pieces) > 10 or kind in _NEVER_CUT


def test_a_text_is_not_cut_where_tokens_depend_on_how_far_it_is_from_the_beginning() -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    vocabulary = {word: i for i, word in enumerate(["?", "ab", "a", "b"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]{1,7}"), "isolated")
    text = "some words in a row " * 1000
    with patch.object(seams, "_PIECE", 500):
        assert list(Seams(tokenizer).pieces(text.encode())) == [text]


def test_a_text_is_not_cut_where_a_token_joins_two_words() -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers

    letters = ["▁", "a", "b", "b▁", "b▁a", "?"]
    merges = [("b", "▁"), ("b▁", "a")]
    vocabulary = {token: i for i, token in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="?"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Replace("▁", " ")
    text = "ab ab a aab ba " * 1000
    with patch.object(seams, "_PIECE", 500):
        ids = HuggingFace(tokenizer.to_str().encode()).encode(text)
        pieces = list(Seams(tokenizer).pieces(text.encode()))
    assert ids.tolist() == tokenizer.encode(text).ids
    assert all(not piece.endswith("b") for piece in pieces[:-1])


def test_a_fault_in_the_library_ends_no_program() -> None:
    from tokenizers import Tokenizer, decoders, models

    library = Tokenizer(models.WordLevel({"a": 0, "b": 1}, "a"))
    library.decoder = decoders.Sequence([decoders.Replace("a", ""), decoders.Strip(" ", 0, 1)])
    try:  # a strip of nothing
        library.decode([0, 1], skip_special_tokens=False)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
    else:
        pytest.skip("this release of tokenizers has no such fault")
    tokenizer = load_of(library.to_str().encode())
    for ask in (tokenizer.decode, tokenizer.texts):
        with pytest.raises(TokenError, match="a fault in the tokenizers library"):
            ask([0, 1])


def test_a_long_text_names_the_byte_that_is_not_utf8(tmp_path: Path) -> None:
    tokenizer = Case("byte-level", tmp_path).tokenizer
    text = b"some words in a row " * 20_000 + b"\xff and more"
    with pytest.raises(UndecodableText, match="byte 0xff at byte offset 400000"):
        tokenizer.encode(text)
    with pytest.raises(UndecodableText, match="character 400000"):
        tokenizer.encode("some words in a row " * 20_000 + "\ud800")
