"""Exported back-off files: what a reader makes of them is what the model says."""

from __future__ import annotations

import io
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arpa import Arpa
from conftest import PART, examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models import randomly_calibrated

import infgram
from infgram import KneserNey, Longest, Model, arpa_words, export_arpa
from infgram.errors import InvalidParameter
from infgram.text.tokens import load


def exported(model: Model) -> Arpa:
    file = io.BytesIO()
    counts = export_arpa(model, file)
    arpa = Arpa.read(file.getvalue().decode())
    assert [len(listed) for listed in arpa.orders] == counts
    return arpa


def scores(model: Model, ids: list[int], *, bos: bool, eos: bool) -> list[float]:
    found = model.score(np.array(ids, np.uint32), bos=bos, eos=eos).log_prob
    return (found / math.log(10)).tolist()


texts = st.text("abc", max_size=14).map(lambda text: list(text.encode()))


@settings(max_examples=examples(60))
@given(
    documents=st.lists(texts, min_size=1, max_size=5).filter(any),
    unseen=st.lists(st.text("abcd", max_size=9).map(lambda text: list(text.encode())), max_size=3),
    order=st.integers(2, 5),
    shard_tokens=st.sampled_from([8, 1000]),
    code_bits=st.sampled_from([8, 16, 32]),
    bos=st.booleans(),
    eos=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_reader_scores_as_the_model_does(
    memory_folder: Path,
    documents: list[list[int]],
    unseen: list[list[int]],
    order: int,
    shard_tokens: int,
    code_bits: int,
    bos: bool,
    eos: bool,
    seed: int,
) -> None:
    index = make_index(
        memory_folder / "arpa.infgram",
        documents,
        shard_tokens=max(shard_tokens, 2 + max(map(len, documents))),
        code_bits=code_bits,
    )
    randomly_calibrated(index, seed)
    model = Model(index, KneserNey(max_order=order))
    arpa = exported(model)
    for text in [*documents, *unseen]:
        words = arpa_words(index, text)
        found = arpa.scores(words, bos=bos, eos=eos)
        assert found == pytest.approx(scores(model, text, bos=bos, eos=eos), abs=2e-6)
    # <unk> is one of the tokens that the corpus never had.
    n_others = model.n_unseen - 1
    for context in [[], ["<s>"], ["a"], ["b", "a"], ["a", "b", "c", "a"]]:
        total = sum(10 ** arpa.log10(context, word) for word in arpa.vocabulary)
        total += n_others * 10 ** arpa.log10(context, "<unk>")
        assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_of_prose_a_reader_scores_as_the_model_does(
    prose: bytes, part_index: infgram.Index, order: int
) -> None:
    model = Model(part_index, KneserNey(max_order=order))
    text = list(prose[PART : PART + 3000] + b"\x00\xffand so on")
    found = exported(model).scores(arpa_words(part_index, text), bos=True, eos=True)
    assert found == pytest.approx(scores(model, text, bos=True, eos=True), abs=1e-5)


def test_kenlm_scores_an_exported_file_as_the_model_does(
    prose: bytes, part_index: infgram.Index, tmp_path: Path
) -> None:
    kenlm = pytest.importorskip("kenlm", reason="needs kenlm")
    model = Model(part_index, KneserNey(max_order=5))
    export_arpa(model, tmp_path / "part.arpa")
    read = kenlm.Model(str(tmp_path / "part.arpa"))
    assert read.order == 5
    text = list(prose[PART : PART + 3000] + b"\x00\xffand so on")
    words = " ".join(arpa_words(part_index, text))
    for bos, eos in [(False, False), (True, True)]:
        found = [log10 for log10, _, _ in read.full_scores(words, bos=bos, eos=eos)]
        assert found == pytest.approx(scores(model, text, bos=bos, eos=eos), abs=1e-4)


def test_every_token_has_a_word_of_its_own_without_blanks(memory_folder: Path) -> None:
    index = make_index(memory_folder / "all-bytes.infgram", [list(range(256))])
    words = arpa_words(index, [*range(256), index.end_of_text])
    assert len(set(words)) == 257 and words[-1] == "</s>"
    assert all(word and not set(word) & set(" \t\n\v\f\r\0\x85\xa0") for word in words)
    assert [words[i] for i in (9, 32, 65, 92, 0xE9)] == ["\\x09", "\\x20", "A", "\\\\", "\\xe9"]
    arpa = exported(Model(index, KneserNey(max_order=2)))
    assert arpa.log10([], "<unk>") == -99  # there is no other token
    chars = make_index(
        memory_folder / "blanks.infgram",
        [[ord(c) for c in "a\u00a0é\u3000語\\"]],
        tokenizer=load("chars"),
    )
    assert arpa_words(chars, chars.ids("a\u00a0é\u3000語\\?")) == [
        *("a", "\\xa0", "é", "\\u{3000}", "語", "\\\\", "<unk>")
    ]


def test_words_of_the_format_are_no_tokens(memory_folder: Path, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")
    words = ["<s>", "</s>", "<unk>", "<UNK>", "a", "b"]
    file = tmp_path / "tokenizer.json"
    tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    ).save(str(file))
    index = make_index(
        memory_folder / "special.infgram", [[0, 4, 5, 2, 1], [3, 4]], tokenizer=load(file)
    )
    assert arpa_words(index, range(6)) == ["\\i0", "\\i1", "\\i2", "\\i3", "a", "b"]
    exported(Model(index, KneserNey(max_order=3)))


def test_bare_ids_are_written_as_numbers(memory_folder: Path) -> None:
    index = make_index(
        memory_folder / "numbers.infgram", [[3, 1, 3, 1]], tokenizer=load("ids", vocab_size=9)
    )
    assert arpa_words(index, [3, 1, 8, 9]) == ["3", "1", "<unk>", "</s>"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda i: Model(i), "expected KneserNey\\(max_order=n\\)"),
        (lambda i: Model(i, KneserNey(254)), "with n from 2 to 253"),
        (lambda i: Model(i, Longest()), "the model is Longest"),
        (lambda i: Model(i, KneserNey(3), adapt=True), "adapts"),
        (lambda i: Model([i, i], KneserNey(3)), "mixes 2 indexes"),
    ],
)
def test_what_the_format_cannot_express_is_refused(
    part_index: infgram.Index, tmp_path: Path, make: Any, says: str
) -> None:
    with pytest.raises(InvalidParameter, match=says):
        export_arpa(make(part_index), tmp_path / "x.arpa")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_a_pipe_or_device_is_written_to_and_stays(
    part_index: infgram.Index, tmp_path: Path
) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    model = Model(part_index, KneserNey(max_order=2))
    for path in (pipe, link):
        with ThreadPoolExecutor(1) as pool:
            read = pool.submit(pipe.read_bytes)
            export_arpa(model, path)
            Arpa.read(read.result().decode())
        assert pipe.is_fifo() and link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_what_stood_there_is_replaced_or_left_as_it_was(
    part_index: infgram.Index, tmp_path: Path
) -> None:
    path = tmp_path / "x.arpa"
    path.write_text("before")

    def stop(_stage: str, done: int, total: int) -> None:
        assert 0 < done <= total
        raise KeyboardInterrupt

    model = Model(part_index, KneserNey(max_order=3))
    with pytest.raises(KeyboardInterrupt):
        export_arpa(model, path, progress=stop)
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["x.arpa"]
    told: list[tuple[str, int, int]] = []
    export_arpa(model, path, progress=lambda *each: told.append(each))
    assert {stage for stage, _, _ in told} == {"export"}
    assert told[-1][1] == told[-1][2]
    assert os.listdir(tmp_path) == ["x.arpa"]
    Arpa.read(path.read_text())
