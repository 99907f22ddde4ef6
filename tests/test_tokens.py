"""What holds for every tokenizer, and for the gate that token ids pass."""

from __future__ import annotations

import array
import importlib
import itertools
import json
import pickle
import re
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import infgram
from infgram.errors import (
    InvalidParameter,
    MissingExtra,
    TokenError,
    TokenizerUnavailable,
    TokenOutOfRange,
    UndecodableText,
)
from infgram.extras import how_to_install
from infgram.text import tokens
from infgram.text.tokenizing.tiktoken import _tiktoken_digest

JAPANESE = "吾輩は猫である。名前はまだ無い。"
EMOJI = "naïve 👩‍👩‍👧 end"
TEXTS = ["", "a", "hello world", JAPANESE, EMOJI, "a\x00b\r\n", "<|end|> and [X]"]


@pytest.fixture(scope="session")
def bpe_json() -> str:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["[X]"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["hello world, hello there", JAPANESE], trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[X] $A", special_tokens=[("[X]", tokenizer.token_to_id("[X]"))]
    )
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=5)
    return str(tokenizer.to_str())


@pytest.fixture
def bpe_file(bpe_json: str, tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(bpe_json, encoding="utf-8")
    return path


PLUGIN = """
def toy():
    ranks = {bytes([i]): i for i in range(256)}
    ranks[b"he"] = 256
    return dict(name="infgram_toy", pat_str=r"\\s*\\S+|\\s+", mergeable_ranks=ranks,
                special_tokens={"<|end|>": 260})

def offline():
    raise OSError("no network")

ENCODING_CONSTRUCTORS = {"infgram_toy": toy, "infgram_offline": offline}
"""


@pytest.fixture
def toy_tiktoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("tiktoken")
    registry = importlib.import_module("tiktoken.registry")
    plugins = tmp_path / "plugins" / "tiktoken_ext"
    plugins.mkdir(parents=True)
    (plugins / "infgram_toy_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(plugins.parent))
    monkeypatch.setattr(registry, "ENCODINGS", {})
    monkeypatch.setattr(registry, "ENCODING_CONSTRUCTORS", None)
    registry._available_plugin_modules.cache_clear()
    monkeypatch.delitem(sys.modules, "tiktoken_ext.infgram_toy_plugin", raising=False)
    return "tiktoken:infgram_toy"


@pytest.fixture(params=["bytes", "chars", "tokenizers", "tiktoken"])
def tokenizer(request: pytest.FixtureRequest) -> tokens.Tokenizer:
    name = {"tokenizers": "bpe_file", "tiktoken": "toy_tiktoken"}.get(request.param)
    return tokens.load(request.getfixturevalue(name) if name else request.param)


# ---- every tokenizer -----------------------------------------------------------------------------


def test_many_texts_have_the_ids_that_each_has_alone(tokenizer: tokens.Tokenizer) -> None:
    contents: list[Any] = [*TEXTS, b"\xff", "", "a\ud800b", np.array([7, 200]), np.array([2**40])]
    contents += [text.encode() for text in TEXTS]
    contents *= 30
    found = list(tokenizer.encode_all(iter(contents)))
    assert len(found) == len(contents)
    for content, ids in zip(contents, found, strict=True):
        expected = _one(tokenizer, content)
        assert type(ids) is type(expected)
        if isinstance(ids, np.ndarray):
            assert ids.dtype == tokenizer.dtype
            assert ids.tolist() == expected.tolist()
        else:
            assert str(ids) == str(expected)


def _one(tokenizer: tokens.Tokenizer, content: Any) -> Any:
    try:
        if isinstance(content, np.ndarray):
            return tokens.check_ids(content, tokenizer.vocab_size)
        return tokenizer.encode(content)
    except (UndecodableText, TokenOutOfRange) as error:
        return error


def test_texts_without_end_are_encoded_as_they_come(tokenizer: tokens.Tokenizer) -> None:
    read = itertools.count()
    texts = (f"text {next(read)}" for _ in itertools.count())
    first = list(itertools.islice(tokenizer.encode_all(texts), 20))
    assert [tokenizer.decode(ids) for ids in first if isinstance(ids, np.ndarray)] == [
        b"text %d" % i for i in range(20)
    ]
    assert next(read) < 1_000_000  # it reads ahead, but not without bounds


@pytest.mark.parametrize("text", TEXTS)
def test_decoding_what_was_encoded_gives_the_text(tokenizer: tokens.Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.ndim == 1
    assert ids.dtype == tokenizer.dtype
    assert ids.size == 0 or int(ids.max()) < tokenizer.vocab_size
    assert tokenizer.decode(ids) == text.encode()


def test_bytes_and_str_of_one_text_have_the_same_ids(tokenizer: tokens.Tokenizer) -> None:
    for text in TEXTS:
        np.testing.assert_array_equal(tokenizer.encode(text), tokenizer.encode(text.encode()))


def test_a_pickled_tokenizer_is_the_same(tokenizer: tokens.Tokenizer) -> None:
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.spec() == tokenizer.spec()
    assert again.file == tokenizer.file
    np.testing.assert_array_equal(again.encode(JAPANESE), tokenizer.encode(JAPANESE))


def test_a_tokenizer_is_restored_from_what_an_index_stores(tokenizer: tokens.Tokenizer) -> None:
    again = tokens.restore(tokenizer.spec(), tokenizer.file)
    assert again.spec() == tokenizer.spec()
    assert set(tokenizer.spec()) == {"name", "vocab_size", "sha256"}


def test_a_tokenizer_with_another_hash_is_not_restored(tokenizer: tokens.Tokenizer) -> None:
    with pytest.raises(TokenizerUnavailable) as caught:
        tokens.restore({**tokenizer.spec(), "sha256": "00ff"}, tokenizer.file)
    assert "00ff" in str(caught.value)
    assert tokenizer.sha256 in str(caught.value)


def test_decode_refuses_ids_outside_the_vocabulary(tokenizer: tokens.Tokenizer) -> None:
    for bad in (tokenizer.vocab_size, -1, 2**40, 2**70):
        with pytest.raises(TokenOutOfRange, match=f"{bad} at place 1"):
            tokenizer.decode([1, bad])


def test_threads_can_share_a_tokenizer(tokenizer: tokens.Tokenizer) -> None:
    texts = [f"{JAPANESE} hello {i}" for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda text: tokenizer.decode(tokenizer.encode(text)), texts))
    assert results == [text.encode() for text in texts]


def test_text_tokenizers_name_the_offset_of_a_byte_that_is_not_utf8(
    tokenizer: tokens.Tokenizer,
) -> None:
    if tokenizer.reads_text:
        with pytest.raises(UndecodableText, match="byte 0xff at byte offset 4"):
            tokenizer.encode("né".encode() + b"a\xff")
        with pytest.raises(UndecodableText, match="offset 0"):
            tokenizer.encode(JAPANESE.encode()[:2])
    else:
        assert tokenizer.decode(tokenizer.encode(b"a\xff")) == b"a\xff"


def test_text_tokenizers_refuse_lone_surrogates(tokenizer: tokens.Tokenizer) -> None:
    with pytest.raises(UndecodableText, match="character 1"):
        tokenizer.encode("a\ud800")


# ---- one tokenizer -------------------------------------------------------------------------------


@given(st.binary())
def test_bytes_are_their_own_ids(data: bytes) -> None:
    tokenizer = tokens.load("bytes")
    assert tokenizer.encode(data).tolist() == list(data)
    assert tokenizer.decode(tokenizer.encode(data)) == data
    assert tokenizer.decode(list(data)) == data


@given(st.binary())
def test_undecodable_arguments_keep_their_bytes(data: bytes) -> None:
    argument = data.decode("utf-8", "surrogateescape")
    assert tokens.load("bytes").encode(argument).tobytes() == data


@given(st.text())
def test_chars_are_code_points(text: str) -> None:
    tokenizer = tokens.load("chars")
    assert tokenizer.encode(text).tolist() == [ord(char) for char in text]
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode()


def test_chars_do_not_decode_a_surrogate() -> None:
    with pytest.raises(TokenOutOfRange, match="55296 at place 1 is a surrogate"):
        tokens.load("chars").decode([65, 0xD800])


def test_identity_hashes_never_change() -> None:
    assert tokens.load("bytes").sha256.startswith("277089d91c0bdf4f")
    assert tokens.load("bytes").sha256 != tokens.load("chars").sha256
    assert tokens.load("ids", vocab_size=10).sha256 != tokens.load("ids", vocab_size=11).sha256


def test_tokenizers_add_no_special_tokens_and_neither_cut_nor_pad(bpe_file: Path) -> None:
    tokenizer = tokens.load(bpe_file)
    text = "hello world, hello there, " * 10
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode()
    assert tokenizer.encode("a").size == 1


def test_tokenizers_with_holes_count_the_largest_id(bpe_file: Path) -> None:
    spec = json.loads(bpe_file.read_text(encoding="utf-8"))
    spec["model"]["vocab"]["far"] = 1000
    bpe_file.write_text(json.dumps(spec))
    tokenizer = tokens.load(str(bpe_file))
    assert tokenizer.vocab_size == 1001
    assert tokenizer.decode([1000]) == b"far"
    with pytest.raises(TokenOutOfRange, match="999 stands for nothing"):
        tokenizer.decode([1000, 999])


@pytest.mark.parametrize("largest", [2**31 + 5, 2**32 - 2, 2**32 - 1])
def test_ids_of_tokenizers_may_be_large_and_far_between(tmp_path: Path, largest: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    library = Tokenizer(models.WordLevel({"a": 0, "b": 1}, "a"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    spec = json.loads(library.to_str())
    spec["model"]["vocab"]["b"] = largest
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    if largest == tokens.ABSENT:
        with pytest.raises(TokenizerUnavailable, match="a token has the id 4294967295, expected"):
            tokens.load(tmp_path)
        return
    tracemalloc.start()
    tokenizer = tokens.load(tmp_path)
    assert tokenizer.vocab_size == largest + 1
    assert tokenizer.encode("a b b").tolist() == [0, largest, largest]
    assert tokenizer.decode([0, largest]) == b"a b"
    assert tokenizer.can_begin([0, largest]).tolist() == [True, True]
    for hole in (1, largest - 1):
        with pytest.raises(TokenOutOfRange, match=f"token id {hole} stands for nothing"):
            tokenizer.decode([0, hole])
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_the_identity_of_tokenizers_is_their_file(bpe_file: Path) -> None:
    tokenizer = tokens.load(bpe_file)
    assert tokenizer.name == "tokenizers"
    assert tokenizer.file == bpe_file.read_bytes()
    with pytest.raises(TokenizerUnavailable, match="not the one of the index"):
        tokens.restore(tokenizer.spec(), bpe_file.read_bytes() + b"\n")
    with pytest.raises(TokenizerUnavailable, match="lacks its tokenizer's file"):
        tokens.restore(tokenizer.spec(), None)


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    for content in (b"", b"{}", b"\xff\xfe", b"[1]"):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(TokenizerUnavailable, match="not a `tokenizers` JSON file"):
            tokens.load(tmp_path / "x.json")


def test_tiktoken_takes_special_tokens_for_plain_text(toy_tiktoken: str) -> None:
    tokenizer = tokens.load(toy_tiktoken)
    assert tokenizer.name == toy_tiktoken
    assert tokenizer.vocab_size == 261
    assert tokenizer.encode("he<|end|>").tolist() == [256, *b"<|end|>"]
    assert tokenizer.decode([256, 260]) == b"he<|end|>"


def test_tiktoken_decodes_part_of_a_character(toy_tiktoken: str) -> None:
    tokenizer = tokens.load(toy_tiktoken)
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == b"\xc3"


def test_texts_are_found_and_counted_in_tokens_of_tiktoken(
    toy_tiktoken: str, tmp_path: Path
) -> None:
    text = "he said: the hehe of 猫と猫, hé"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    index = infgram.build(tmp_path / "a.txt", tmp_path / "a.infgram", tokenizer=toy_tiktoken)
    for wanted in ("he", "e", "猫", "h", "eh", " hehe of 猫", "é", "x"):
        expected = sum(text.startswith(wanted, i) for i in range(len(text)))
        assert index.count_text(wanted) == expected
    (match,) = index.find("と", context=3)
    assert (match.before, match.match, match.after) == ("猫", "と", "猫")
    made = infgram.generate(index, "he said", k=1, temperature=0, max_tokens=15)
    assert made.text.rstrip("\ufffd") == text[7:22]
    assert index.decode(index.ids("猫")[1:], after=index.ids("猫")[:1]) == "猫"


def test_holes_of_tiktoken_have_no_text(toy_tiktoken: str) -> None:
    with pytest.raises(TokenOutOfRange, match="258 stands for nothing"):
        tokens.load(toy_tiktoken).decode([1, 258])


def test_text_that_tiktoken_gives_up_on_is_a_token_error(
    toy_tiktoken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer: Any = tokens.load(toy_tiktoken)

    def give_up(text: str, **options: object) -> None:
        raise ValueError("Max stack size exceeded")

    monkeypatch.setattr(tokenizer._encoding, "encode_to_numpy", give_up)
    with pytest.raises(TokenError, match="Max stack size"):
        tokenizer.encode(" ")


def test_tiktoken_encodings_that_cannot_be_had_are_unavailable(toy_tiktoken: str) -> None:
    with pytest.raises(TokenizerUnavailable, match="no network"):
        tokens.load("tiktoken:infgram_offline")
    with pytest.raises(TokenizerUnavailable, match="nonesuch"):
        tokens.load("tiktoken:nonesuch")


def test_every_part_of_a_tiktoken_encoding_is_in_its_hash(toy_tiktoken: str) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([i]): i for i in range(256)}
    parts: list[dict[str, Any]] = [
        {"pat_str": ".", "mergeable_ranks": ranks, "special_tokens": {"x": 256}},
        {"pat_str": "..", "mergeable_ranks": ranks, "special_tokens": {"x": 256}},
        {"pat_str": ".", "mergeable_ranks": {**ranks, b"ab": 257}, "special_tokens": {"x": 256}},
        {"pat_str": ".", "mergeable_ranks": ranks, "special_tokens": {"y": 256}},
        {"pat_str": ".", "mergeable_ranks": ranks, "special_tokens": {}},
    ]
    digests = {_tiktoken_digest(tiktoken.Encoding("same", **part)) for part in parts}
    assert len(digests) == len(parts)


def test_bare_ids_have_no_text() -> None:
    tokenizer = tokens.load("ids", vocab_size=50_000)
    assert (tokenizer.vocab_size, tokenizer.dtype) == (50_000, np.dtype(np.uint32))
    assert not tokenizer.reads_text
    assert tokens.restore(tokenizer.spec(), None).vocab_size == 50_000
    assert pickle.loads(pickle.dumps(tokenizer)).spec() == tokenizer.spec()
    with pytest.raises(TokenizerUnavailable, match="give token ids"):
        tokenizer.encode("a")
    with pytest.raises(TokenizerUnavailable):
        tokenizer.decode([1])


def test_the_vocabulary_size_is_given_for_ids_alone() -> None:
    with pytest.raises(InvalidParameter, match="give vocab_size"):
        tokens.load("ids")
    with pytest.raises(InvalidParameter, match="not for 'bytes'"):
        tokens.load("bytes", vocab_size=256)
    for vocab_size in (0, -1, 2**32):
        with pytest.raises(InvalidParameter, match="from 1 to 4294967295"):
            tokens.load("ids", vocab_size=vocab_size)


def test_an_unknown_name_lists_what_is_accepted(tmp_path: Path) -> None:
    for spec in ("word", tmp_path / "none.json", tmp_path, "a\x00b", ""):
        with pytest.raises(TokenizerUnavailable, match="'bytes', 'chars', 'ids', 'tiktoken:NAME'"):
            tokens.load(spec)


def test_a_damaged_description_is_refused() -> None:
    damaged: list[dict[str, object]] = [
        {},
        {"name": 3},
        {"name": "word", "vocab_size": 1},
        {"name": "ids", "vocab_size": "7"},
    ]
    for spec in damaged:
        with pytest.raises(TokenizerUnavailable):
            tokens.restore(spec, None)


@pytest.mark.parametrize("module", ["tokenizers", "tiktoken"])
def test_a_missing_library_names_the_extra(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(MissingExtra, match=re.escape(how_to_install("tokenizers"))):
        tokens.load("tiktoken:x" if module == "tiktoken" else tmp_path / "t.json")


def test_importing_tokens_imports_no_optional_library() -> None:
    code = (
        "import sys; from infgram.text import tokens, corpus; "
        "assert not {'tokenizers', 'tiktoken', 'zstandard', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- check_ids -----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 255)),
    st.sampled_from(["u1", "i2", "u2", "i4", "u4", ">u4", "i8", "u8", ">i2"]),
)
def test_ids_of_every_width_pass_unchanged(ids: list[int], dtype: str) -> None:
    checked = tokens.check_ids(np.array(ids, dtype), 256)
    assert checked.dtype in (np.uint8, np.uint32)
    assert checked.flags.c_contiguous and checked.flags.aligned
    assert checked.tolist() == ids == tokens.check_ids(ids, 256).tolist()


@given(st.lists(st.integers(-(2**70), 2**70) | st.integers(-2, 12)), st.integers(1, 12))
def test_the_first_id_outside_the_vocabulary_is_named(ids: list[int], vocab_size: int) -> None:
    bad = [(i, token) for i, token in enumerate(ids) if not 0 <= token < vocab_size]
    if bad:
        with pytest.raises(TokenOutOfRange, match=f"id {bad[0][1]} at place {bad[0][0]} "):
            tokens.check_ids(ids, vocab_size)
    else:
        assert tokens.check_ids(ids, vocab_size).tolist() == ids


def test_no_width_wraps() -> None:
    wide: list[Any] = [
        np.array([2**32 + 1]),
        np.array([2**63 + 1], np.uint64),
        np.array([-1], np.int8),
        np.array([-(2**32) + 1]),
        [np.uint64(2**63 + 1)],
        [-1, 2**63],
    ]
    for bad in wide:
        with pytest.raises(TokenOutOfRange):
            tokens.check_ids(bad, 2**32)


def test_the_largest_id_passes() -> None:
    assert tokens.check_ids([2**32 - 1], 2**32).tolist() == [2**32 - 1]


def test_other_sequences_of_integers_pass() -> None:
    mixed: list[Any] = [np.int8(0), 1, np.uint64(2)]
    for ids in (range(3), (0, 1, 2), array.array("H", [0, 1, 2]), mixed):
        checked = tokens.check_ids(ids, 3)
        assert checked.dtype == np.uint32
        assert checked.tolist() == [0, 1, 2]
    assert tokens.check_ids([], 3).dtype == np.uint32


def test_what_is_not_a_flat_list_of_integers_is_refused() -> None:
    refused: list[Any] = [
        [1.0],
        [1, True],
        ["1"],
        [None],
        [[1], [2]],
        "12",
        b"12",
        np.array([1.0]),
        np.array([True]),
        np.array([[1]]),
        np.array(1),
        np.array(["1"]),
    ]
    for ids in refused:
        with pytest.raises(TokenError):
            tokens.check_ids(ids, 256)


def test_good_arrays_are_not_copied() -> None:
    wide, narrow = np.arange(9, dtype=np.uint32), np.arange(9, dtype=np.uint8)
    assert tokens.check_ids(wide, 9) is wide
    assert tokens.check_ids(narrow, 256) is narrow
    assert tokens.check_ids(narrow, 257).dtype == np.uint32
    assert tokens.check_ids(wide[::2], 9).flags.c_contiguous


def test_misaligned_arrays_are_copied() -> None:
    misaligned = np.zeros(9, np.uint8)[1:].view("<u4")
    assert tokens.check_ids(misaligned, 9).flags.aligned
