"""Which spans of a text stand in the corpus: against trying every one, however long it takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of_all_kinds import KINDS, TEXT, made

import infgram
from infgram.errors import InvalidParameter, TokenOutOfRange, UndecodableText
from infgram.occurrences import draw
from infgram.text.placing import place
from infgram.text.tokens import load

# characters of one to four bytes, halves of two that begin alike, and what is no UTF-8
RAW = [c.encode() for c in "abé è'.\n𝒜"] + [b"\xc3", b"\xff"]
Tokens = Sequence[int]


def naive(
    documents: Sequence[Tokens], text: Tokens, may_be: Callable[[int, int], bool], most: int | None
) -> dict[tuple[int, int], int]:
    """The maximal spans [begin, end) of tokens, and how often each occurs."""
    occurs = {}
    for begin in range(len(text)):
        for end in range(begin + 1, len(text) + 1):
            n = count(documents, text[begin:end])
            if n and (most is None or n <= most) and may_be(begin, end):
                occurs[begin, end] = n
    return {
        (begin, end): n
        for (begin, end), n in occurs.items()
        if not any(
            b <= begin and end <= e and (b, e) != (begin, end)  # it lies in a longer one
            for b, e in occurs
        )
    }


def count(documents: Sequence[Tokens], ngram: Tokens) -> int:
    n = len(ngram)
    return sum(
        list(document[i : i + n]) == list(ngram)
        for document in documents
        for i in range(len(document) - n + 1)
    )


def characters_of(raw: bytes) -> list[bytes]:
    """Characters, and bytes that are none."""
    return [c.encode("utf-8", "surrogateescape") for c in raw.decode("utf-8", "surrogateescape")]


def word_places(characters: Sequence[str]) -> set[int]:
    """The places between characters that lie in a word."""
    found = set()
    # one code unit a character, so that places are those of the list
    text = "".join(c if len(c) == 1 else "\ufffd" for c in characters)
    for word in re.finditer(r"(?:[^\W\d_]|['’])+", text):
        if any(c.isalpha() for c in word[0]):
            found |= set(range(word.start() + 1, word.end()))
    return found


contents = st.lists(st.sampled_from(RAW), min_size=1, max_size=10).map(b"".join)


@settings(max_examples=examples(300))
@given(
    documents=st.lists(contents, min_size=1, max_size=4),
    text=st.lists(st.sampled_from(RAW), max_size=12).map(b"".join),
    chars=st.booleans(),
    one_shard=st.booleans(),
    least=st.integers(1, 4),
    most=st.none() | st.integers(1, 3),
    whole_words=st.booleans(),
    delimiters=st.sampled_from(["", ".", "\n.", "é"]),
)
def test_the_spans_are_all_that_are_maximal_and_no_other(
    memory_folder: Path,
    documents: list[bytes],
    text: bytes,
    chars: bool,
    one_shard: bool,
    least: int,
    most: int | None,
    whole_words: bool,
    delimiters: str,
) -> None:
    """Of bytes and of characters, over shards and documents, with every wish and without."""
    tokenizer = load("chars" if chars else "bytes")
    if chars:
        documents = [document.decode(errors="replace").encode() for document in documents]
        text = text.decode(errors="replace").encode()
    ids = [tokenizer.encode(document).tolist() for document in documents]
    index = make_index(
        memory_folder / "spans.infgram",
        ids,
        tokenizer=tokenizer,
        shard_tokens=10**6 if one_shard else max(map(len, ids)) + 2,
    )
    shown = [c.decode(errors="replace") for c in characters_of(text)]
    sizes = [1 if chars else len(c) for c in characters_of(text)]
    at = {int(b): i for i, b in enumerate(np.cumsum([0, *sizes]))}  # characters by tokens before
    in_words = word_places(shown)

    def may_be(begin: int, end: int) -> bool:
        if begin not in at or end not in at:
            return False
        if whole_words and (at[begin] in in_words or at[end] in in_words):
            return False
        return not set("".join(shown[at[begin] : at[end] - 1])) & set(delimiters)

    tokens = tokenizer.encode(text).tolist()
    expected = naive(ids, tokens, may_be, most)
    expected = {span: n for span, n in expected.items() if span[1] - span[0] >= least}
    found = infgram.attribute(
        index,
        text,
        min_length=least,
        max_count=most,
        whole_words=whole_words,
        delimiters=delimiters,
        max_documents=10**6,
    )
    assert found.text == "".join(shown) and found.n_tokens == len(tokens)
    assert [(span.start, span.end, span.count) for span in found.spans] == [
        (at[begin], at[end], n) for (begin, end), n in sorted(expected.items())
    ]
    occurrences = Counter(token for document in ids for token in document)
    for span, (begin, end) in zip(found.spans, sorted(expected), strict=True):
        assert span.text == found.text[span.start : span.end] and span.n_tokens == end - begin
        each = [np.log(occurrences[token] / sum(map(len, ids))) for token in tokens[begin:end]]
        assert span.log_prob == pytest.approx(sum(each))
        assert len(span.documents) == span.count
        for match in span.documents:
            there = ids[match.document][match.offset :][: span.n_tokens]
            assert there == tokens[begin:end]
            assert match == index.find(tokens[begin:end], limit=10**6)[span.documents.index(match)]


@settings(max_examples=examples(100))
@given(
    documents=st.lists(
        st.lists(st.integers(0, 5), min_size=1, max_size=10), min_size=1, max_size=4
    ),
    text=st.lists(st.integers(0, 6), max_size=12),
    wide=st.booleans(),
)
def test_token_ids_have_spans_too(
    memory_folder: Path, documents: list[list[int]], text: list[int], wide: bool
) -> None:
    """Of 16 and of 32 bits; one of the ids never occurs."""
    index = make_index(
        memory_folder / "ids.infgram",
        documents,
        tokenizer=load("ids", vocab_size=7),
        shard_tokens=max(map(len, documents)) + 2,
        code_bits=32 if wide else 16,
    )
    found = infgram.attribute(index, text, min_length=1)
    assert found.text == " ".join(map(str, text))
    expected = naive(documents, text, lambda begin, end: True, None)
    told = [([int(i) for i in span.text.split()], span.count) for span in found.spans]
    assert told == [(text[b:e], n) for (b, e), n in sorted(expected.items())]
    assert [found.text[span.start : span.end] for span in found.spans] == [
        span.text for span in found.spans
    ]


@pytest.mark.filterwarnings("ignore::infgram.errors.UnknownTokens")
@pytest.mark.parametrize("kind", KINDS)
def test_tokenizers_of_all_kinds_place_their_tokens_in_the_text(tmp_path: Path, kind: str) -> None:
    """What a span shows is its part of the text, and the whole text stands in a corpus of it."""
    pytest.importorskip("tokenizers")
    (tmp_path / "t.json").write_text(made(kind))
    path = tmp_path / "corpus.infgram"
    index = infgram.build([TEXT, "A moon"], path, tokenizer=tmp_path / "t.json")
    placed = place(index.tokenizer, TEXT)
    text = TEXT if kind != "characters" else index.decode(index.ids(TEXT))  # it skips some
    assert placed.text == text and len(placed.token_ids) == len(index.ids(TEXT))
    starts, ends = placed.begins[placed.can_begin()], placed.ends[placed.can_end()]
    assert len(starts) == len(ends)  # of what cannot be cut, in order and apart
    assert (starts < ends).all() and (ends[:-1] <= starts[1:]).all()
    missing = set(text) - {c for b, e in zip(starts, ends, strict=True) for c in text[b:e]}
    assert not {c for c in missing if c.isascii() and c.isalnum()}

    unknown = index.tokenizer.unknown_id
    has_all = unknown is None or unknown not in index.ids(TEXT)
    found = infgram.attribute(index, TEXT, min_length=1)
    if has_all:
        (span,) = found.spans
        assert text.startswith(span.text) and span.count == 1
        assert not text[span.end :].strip()
    assert all(text[span.start : span.end] == span.text for span in found.spans)
    known = [int(i) for i in index.ids(TEXT)]
    by_ids = infgram.attribute(index, known, min_length=1)
    assert by_ids.text == index.decode(known)
    (span,) = by_ids.spans
    assert span.n_tokens == len(known) and span.text == by_ids.text


def test_characters_that_several_tokens_make_are_never_cut(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "t.json").write_text(made("byte-level"))
    index = infgram.build(["a 猫 b"], tmp_path / "i.infgram", tokenizer=tmp_path / "t.json")
    n_of_cat = len(index.ids("猫"))
    assert n_of_cat > 1
    for text in ("x 猫 b", "x 猪 b", index.ids("x 猪 b")):  # the two cats begin alike
        spans = infgram.attribute(index, text, min_length=1).spans
        assert any("猫" in span.text for span in spans) == (isinstance(text, str) and "猫" in text)
        assert not any("猪" in span.text or "\ufffd" in span.text for span in spans)


@pytest.mark.filterwarnings("ignore::infgram.errors.UnknownTokens")
def test_small_letters_of_a_tokenizer_do_not_change_the_text(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "t.json").write_text(made("WordPiece"))
    index = infgram.build([TEXT], tmp_path / "i.infgram", tokenizer=tmp_path / "t.json")
    text = "So: HELLO   World AND\tmoon"
    (span,) = [s for s in infgram.attribute(index, text, min_length=3).spans if s.n_tokens > 3]
    assert span.text == "HELLO   World AND\tmoon" == text[span.start : span.end]


@settings(max_examples=examples(60))
@given(
    corpora=st.lists(
        st.lists(st.text("ab ", min_size=1, max_size=10), min_size=1, max_size=3),
        min_size=2,
        max_size=3,
    ),
    text=st.text("ab ", max_size=12),
    whole_words=st.booleans(),
)
def test_several_indexes_answer_as_one_of_all_their_documents(
    memory_folder: Path, corpora: list[list[str]], text: str, whole_words: bool
) -> None:
    indexes = [
        make_index(
            memory_folder / f"{i}.infgram",
            [list(document.encode()) for document in corpus],
            shard_tokens=12,
        )
        for i, corpus in enumerate(corpora)
    ]
    together = make_index(
        memory_folder / "all.infgram",
        [list(document.encode()) for corpus in corpora for document in corpus],
    )

    def ask(index: Any) -> infgram.Attribution:
        return infgram.attribute(
            index, text, min_length=1, whole_words=whole_words, max_documents=10**6
        )

    found, expected = ask(indexes), ask(together)
    assert len(found.spans) == len(expected.spans)
    firsts = np.cumsum([0, *map(len, corpora)]).tolist()
    for one, other in zip(found.spans, expected.spans, strict=True):
        assert (one.start, one.end, one.count) == (other.start, other.end, other.count)
        assert one.log_prob == pytest.approx(other.log_prob)
        # of one index after another
        places = [(match.document, match.offset) for match in one.documents]
        counts = [index.count(one.text) for index in indexes]
        numbers = np.repeat(firsts[:-1], counts).tolist()
        assert [(first + n, at) for first, (n, at) in zip(numbers, places, strict=True)] == [
            (match.document, match.offset) for match in other.documents
        ]


# Which spans are kept -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index() -> infgram.Index:
    return infgram.build(["to be or not to be, that is the question\nxyzzy plugh\n" * 3, "to be "])


PASTED = "be not to be or to be, that was is the question: xyzzy plough"


def test_the_longest_or_the_least_probable_are_kept_in_the_order_of_the_text(
    index: infgram.Index,
) -> None:
    everything = infgram.attribute(index, PASTED, min_length=4).spans
    assert len(everything) > 4
    for rank, key in (
        ("length", lambda span: -span.n_tokens),
        ("log_prob", lambda span: span.log_prob),
    ):
        for n in range(1, len(everything) + 2):
            best = sorted(everything, key=key)[:n]
            kept = infgram.attribute(index, PASTED, min_length=4, rank=rank, limit=n).spans  # type: ignore[arg-type]
            found = [(span.start, span.end) for span in kept]
            assert found == sorted((span.start, span.end) for span in best)
    # one for each twenty of 61 tokens, rounded up
    assert len(infgram.attribute(index, PASTED, min_length=4, density=0.05).spans) == 4
    assert len(infgram.attribute(index, PASTED, min_length=4, density=0.05, limit=1).spans) == 1


def test_what_is_short_is_left_out_unless_it_is_asked_for(index: infgram.Index) -> None:
    text = "to be or not to be, that was the question"
    assert [span.text for span in infgram.attribute(index, text).spans] == [text[:25]]
    assert len(infgram.attribute(index, text, min_length=8).spans) == 2
    ids = infgram.build([[1, 2, 3, 4, 5, 6]], tokenizer="ids", vocab_size=9)
    assert len(infgram.attribute(ids, [1, 2, 3, 4]).spans) == 0
    assert len(infgram.attribute(ids, [1, 2, 3, 4, 5]).spans) == 1


def test_places_are_drawn_by_the_seed_and_tell_line_and_column(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["needle in hay", "été — in hay", "straw", "\t", ""]
    paths = []
    for i in range(5):
        lines = [words[j] for j in rng.integers(0, len(words), 9_000)]
        paths.append(tmp_path / f"{i}.txt")
        paths[-1].write_text("\n".join(lines), encoding="utf-8", newline="")
    index = infgram.build(list(paths), tmp_path / "hay.infgram", shard_tokens=200_000)
    assert index.n_shards > 1

    def find(text: str, seed: int) -> infgram.Attribution:
        return infgram.attribute(index, text, min_length=10, max_documents=10, seed=seed)

    found = find("a needle in hay, été — in hay", 3)
    assert found == find("a needle in hay, été — in hay", 3)
    assert len({find("a needle in hay", seed).spans[0].documents for seed in range(5)}) == 5
    assert [(span.text, len(span.documents)) for span in found.spans] == [
        ("needle in hay", 10),
        ("été — in hay", 10),
    ]
    for span in found.spans:
        for match in span.documents:
            line = Path(match.source).read_text(encoding="utf-8").split("\n")[match.line - 1]
            assert line[match.column - 1 :][: len(span.text)] == span.text
        assert [m.document for m in span.documents] == sorted(m.document for m in span.documents)


def test_rows_are_drawn_alike_and_without_replacement() -> None:
    ranges = np.array([[5, 8], [0, 0], [2, 4]])
    everything = [(0, 5), (0, 6), (0, 7), (2, 2), (2, 3)]
    seen: Counter[tuple[int, int]] = Counter()
    for seed in range(2_000):
        rows = [tuple(row) for row in draw(ranges, 2, np.random.default_rng(seed)).tolist()]
        assert len(set(rows)) == 2 and rows == sorted(rows)
        seen.update(rows)
    assert set(seen) == set(everything)
    assert all(abs(n - 800) < 120 for n in seen.values())  # 800 each, five standard deviations
    assert draw(ranges, 9, np.random.default_rng(0)).tolist() == [list(row) for row in everything]
    assert draw(ranges, 0, np.random.default_rng(0)).shape == (0, 2)


# What is made of spans ----------------------------------------------------------------------------


def test_passages_are_the_spans_merged_where_they_overlap(index: infgram.Index) -> None:
    found = infgram.attribute(index, PASTED, min_length=4)
    inside = np.zeros(len(PASTED), bool)
    for span in found.spans:
        inside[span.start : span.end] = True
    assert found.covered == pytest.approx(inside.mean())
    for before, after in zip(found.passages, found.passages[1:], strict=False):
        assert before.end <= after.start
    assert sum(len(passage.spans) for passage in found.passages) == len(found.spans)
    for passage in found.passages:
        assert passage.text == PASTED[passage.start : passage.end]
        assert inside[passage.start : passage.end].all()
        places = [(match.source, match.document) for match in passage.documents]
        every = {(m.source, m.document) for span in passage.spans for m in span.documents}
        assert len(set(places)) == len(places) and set(places) == every
    assert "".join(text for text, _ in found.runs()) == PASTED
    at = 0
    for text, owner in found.runs():
        covering = [s for s in found.spans if s.start < at + len(text) and at < s.end]
        assert (owner is None) == (not covering)
        if owner is not None:
            assert found.spans[owner].n_tokens == max(span.n_tokens for span in covering)
        at += len(text)


@pytest.mark.parametrize("text", ["", "~~~~", b"\xff\xfe"])
def test_a_text_of_which_nothing_occurs_has_no_spans(
    index: infgram.Index, text: str | bytes
) -> None:
    found = infgram.attribute(index, text, min_length=1)
    assert (len(found.spans), found.covered, found.passages) == (0, 0.0, ())
    assert "".join(part for part, _ in found.runs()) == found.text
    assert "0 spans" in found._repr_html_()


def test_spans_go_into_tables_with_their_documents(index: infgram.Index) -> None:
    pytest.importorskip("pyarrow")
    full = infgram.attribute(index, PASTED, min_length=4).spans
    table, empty = full.to_arrow(), infgram.attribute(index, "", min_length=4).spans.to_arrow()
    assert table.schema == empty.schema and table.num_rows == len(full)
    (first, *_) = table["documents"].to_pylist()
    assert first[0]["source"] == full[0].documents[0].source
    assert first[0]["metadata"] == "{}"


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"min_length": 0}, "min_length is 0, expected a whole number of at least 1"),
        ({"max_count": 0}, "max_count is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"max_documents": -1}, "max_documents is -1"),
        ({"context": -1}, "context is -1"),
        ({"density": 0}, "density is 0, expected a number above 0 and up to 1"),
        ({"density": 1.5}, "density is 1.5"),
        ({"rank": "beauty"}, "rank is 'beauty', expected one of: length, log_prob"),
        ({"delimiters": 3}, "delimiters is 3, expected str"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_is_refused(index: infgram.Index, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(said)):
        infgram.attribute(index, "to be", **wrong)


def test_indexes_with_other_tokenizers_are_not_asked_together(index: infgram.Index) -> None:
    other = infgram.build(["to be"], tokenizer="chars")
    with pytest.raises(InvalidParameter, match="has another tokenizer than"):
        infgram.attribute([index, other], "to be")
    with pytest.raises(InvalidParameter, match="expected an index or several"):
        infgram.attribute([], "to be")


def test_a_model_a_wrong_id_and_what_is_no_text_are_refused(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="index is"):
        infgram.attribute(infgram.Model(index), "to be")  # type: ignore[arg-type]
    with pytest.raises(TokenOutOfRange):
        infgram.attribute(index, [1, 256])
    with pytest.raises(UndecodableText):
        infgram.attribute(infgram.build(["abc"], tokenizer="chars"), b"\xff")


def test_of_equal_spans_the_first_is_kept() -> None:
    index = infgram.build(["ab"])
    found = infgram.attribute(index, "abxabyabzab", min_length=2, rank="log_prob", limit=1)
    assert [span.start for span in found.spans] == [0]


def test_a_density_is_what_it_says() -> None:
    index = infgram.build(["a b c d e"])
    for n in range(1, 30):
        text = "a_b_c_d_e_" * 10
        found = infgram.attribute(index, text, min_length=1, density=n / 100)
        assert len(found.spans) == n
