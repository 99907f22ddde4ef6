"""Inputs that are nearly what they seem: each goes in rightly, or is refused by name."""

from __future__ import annotations

import array
import bz2
import codecs
import collections
import gzip
import io
import json
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import (
    CorpusWarning,
    InfgramError,
    InputError,
    InvalidParameter,
    MalformedRecord,
    NotUnicode,
)
from infgram.text.corpus import Document, plan, plan_any
from infgram.text.reading import compression
from infgram.text.reading.compression import Source, inflated

pa = pytest.importorskip("pyarrow")
zstandard = pytest.importorskip("zstandard")


def contents(path: Path, **options: Any) -> list[Any]:
    found = [document.content for document in plan([path], **options).documents()]
    return [each if isinstance(each, bytes) else each.tolist() for each in found]


def written(path: Path, data: bytes, **options: Any) -> list[Any]:
    path.write_bytes(data)
    return contents(path, **options)


def in_memory(inputs: Any, **options: Any) -> list[Document]:
    return list(plan_any(inputs, **options)[0].documents())


def texts(inputs: Any, **options: Any) -> list[Any]:
    found = [document.content for document in in_memory(inputs, **options)]
    return [each if isinstance(each, bytes) else each.tolist() for each in found]


def parquet(**columns: Any) -> bytes:
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def arrow(new: Callable[..., Any], table: Any) -> bytes:
    sink = io.BytesIO()
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


# ---- compression ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.compress),
    ],
)
def test_what_a_bomb_inflates_to_is_never_held_whole(suffix: str, compress: Any) -> None:
    n = 1 << 27
    bomb = compress(bytes(n))
    source = Source(io.BytesIO(bomb), lambda _: None, is_stream=True)
    sizes = [len(piece) for piece in inflated("bomb", source, suffix)]
    assert sum(sizes) == n
    assert max(sizes) < (1 << 25) + compression.HEAD + (1 << 20)


def test_what_stands_in_front_of_a_tear_is_read(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % i for i in range(50_000))
    for suffix, compress in ((".gz", gzip.compress), (".zst", zstandard.compress)):
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(compress(lines)[:-9])
        told: list[str] = []
        found = list(plan([path]).documents(skip_bad=True, on_bad=told.append))
        assert [d.content for d in found] == [b"%d" % i for i in range(len(found))]
        assert len(found) > 1000 and len(told) == 1


# ---- the first bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["GIF89a", "GIF87a", "FEA1", "PAR1", "PARE", "BM", "MZ", "ARROW1"])
def test_a_text_may_begin_with_what_marks_a_binary(tmp_path: Path, word: str) -> None:
    text = f"{word} is how such a file begins\n".encode()
    assert written(tmp_path / "a.txt", text) == [text]


def test_the_first_bytes_decide_over_the_name_of_a_table(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.arrow", "a.feather"):
        for data, what in (
            (b"PK\x03\x04" + bytes(30), "zip archive"),
            (b"FEA1" + bytes(30), "Feather file of version 1"),
            (b"PARE" + bytes(30), "encrypted Parquet"),
        ):
            with pytest.raises(InputError, match=f"holds no text: it is an? {what}"):
                written(tmp_path / name, data)


def test_bytes_that_do_not_print_are_no_text(tmp_path: Path) -> None:
    rng = random.Random(0)
    noise = bytes(rng.randrange(1, 256) for _ in range(300))
    with pytest.raises(InputError, match="holds no text: it is binary: not UTF-8 at"):
        written(tmp_path / "a.br", noise)
    (tmp_path / "text.txt").write_bytes(b"text")
    assert contents(tmp_path) == [b"text"]
    # text in some encoding, with a stray control character; text in UTF-8, with many of them
    for text in ("un café ".encode("latin-1") * 20 + b"\x14", "ü\x01\x02\x03".encode()):
        assert written(tmp_path / "b.txt", text) == [text]


@pytest.mark.parametrize("name", ["part-00000", "a.txt", "a.log"])
def test_records_are_records_whatever_their_name(tmp_path: Path, name: str) -> None:
    lines = b'{"n": 1, "text": "a\\nb"}\n{"text": "c"}\n'
    array_ = b'[\n {"text": "a\\nb"},\n {"text": "c"}\n]\n'
    for data in (lines, array_, lines.decode().encode("utf-16"), codecs.BOM_UTF8 + lines):
        for compress in (bytes, gzip.compress):
            assert written(tmp_path / name, compress(data)) == [b"a\nb", b"c"]
            corpus = plan(["-"], stdin=io.BytesIO(compress(data)))
            assert [d.content for d in corpus.documents()] == [b"a\nb", b"c"]
    assert written(tmp_path / name, lines, format="text") == [lines]
    for other in (b'{"version": 3, "names": "text"}', b"{ text }", b"[1, 2]"):
        assert written(tmp_path / name, other) == [other]
    long = b'{"version": 3, "of": ["' + b"x" * (1 << 17) + b'"], "text": "a"}'
    assert written(tmp_path / name, long[:90_000]) == [long[:90_000]]
    assert written(tmp_path / name, b'{"text": "' + b"x" * (1 << 17) + b'"}') == [b"x" * (1 << 17)]


# ---- records -------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab,\"' é", min_size=1), min_size=1), st.sampled_from(["\n", "\r\n", "\r"]))
def test_lines_may_end_in_all_three_ways(rows: list[str], end: str) -> None:
    quoted = ['"' + row.replace('"', '""') + '"' for row in rows]
    table = end.join(["n,text", *(f"{i},{row}" for i, row in enumerate(quoted)), ""])
    records = end.join([*(json.dumps({"text": row}) for row in rows), ""])
    plain = [row.replace("\r", "") for row in rows]
    for data, options in (
        (table, {"format": "csv"}),
        (records, {"format": "jsonl"}),
        (end.join([*plain, ""]), {"format": "text", "documents": "line"}),
    ):
        corpus = plan(["-"], stdin=io.BytesIO(data.encode()), **options)  # type: ignore[arg-type]
        found = list(corpus.documents())
        assert [d.content for d in found] == [row.encode() for row in rows]
        first = 2 if options["format"] == "csv" else 1
        assert [d.line for d in found] == list(range(first, first + len(rows)))


def test_matches_tell_the_lines_of_an_old_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("one\rtwo né two\r\rtwo".encode())
    (tmp_path / "b.txt").write_bytes(b"a\rtwo\nb\rtwo")
    for tokenizer in ("bytes", "chars"):
        files = [tmp_path / "a.txt", tmp_path / "b.txt"]
        index = infgram.build(
            files, tmp_path / "i.infgram", tokenizer=tokenizer, overwrite=True, calibrate=False
        )
        found = sorted((Path(m.source).name, m.line, m.column) for m in index.find("two"))
        assert found == [
            ("a.txt", 2, 1),
            ("a.txt", 2, 8),
            ("a.txt", 4, 1),
            ("b.txt", 1, 3),
            ("b.txt", 2, 3),
        ]


def test_a_field_may_hold_another_kind_of_line_end(tmp_path: Path) -> None:
    for end, inside in (("\r\n", "\r"), ("\n", "\r"), ("\n", "\r\n"), ("\r", "\r"), ("\r\n", "\n")):
        data = f'text,n{end}"a{inside}b",1{end}c,2{end}'.encode()
        assert written(tmp_path / "a.csv", data) == [f"a{inside}b".encode(), b"c"]


def test_the_header_of_a_table_may_stand_on_several_lines(tmp_path: Path) -> None:
    assert written(tmp_path / "a.csv", b'\n \n"i\nd",text\n1,a\n') == [b"a"]
    (document,) = plan([tmp_path / "a.csv"]).documents()
    assert (document.line, dict(document.metadata)) == (5, {"i\nd": "1"})


def test_marks_between_joined_files_are_no_text(tmp_path: Path) -> None:
    record = codecs.BOM_UTF8 + b'{"text": "a"}\n'
    assert written(tmp_path / "a.jsonl", record * 3) == [b"a"] * 3
    assert written(tmp_path / "a.json", record * 3) == [b"a"] * 3
    pretty = codecs.BOM_UTF8 + b'{\n"text": "a"\n}\n'
    assert written(tmp_path / "a.json", pretty * 3) == [b"a"] * 3


def test_records_one_behind_the_other_need_no_lines(tmp_path: Path) -> None:
    assert written(tmp_path / "a.json", b'{"text":"a"}{"text":"b"}') == [b"a", b"b"]
    assert written(tmp_path / "a.json", b'{"text":"a"} {"text":"b"}\n{"text":"c"}') == [
        b"a",
        b"b",
        b"c",
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'{\n "text": "a"\n}\n', "a.jsonl:1: not JSON at character 2.*--format json"),
        ("a.jsonl", b'{"text": "a"}{"text": "b"}\n', "from character 14 on.*--format json"),
        ("a.jsonl", b'[{"text": "a"}]\n', "found a list; --format json"),
        ("a.jsonl", b'{"text": "a\xff"}\n', "not UTF-8.*--encoding"),
        ("a.jsonl", b'{"text": ["a", "b"]}\n', r"a list of strings; --text-field 'text\[\]'"),
        ("a.jsonl", b'{"text": "a", "b": ' + b"[" * 10**5 + b"}\n", "nested too deeply"),
        ("a.json", b'[{"text": "a", "b": ' + b"[" * 10**5 + b"}]", "nested too deeply"),
        ("a.csv", b'text,n\n"a,1\n', "a.csv:2: .*a quote that opens here is never closed"),
        ("a.csv", b'text,n\n"a"b,1\n', "a.csv:2: .*text behind a closing quote"),
        ("a.csv", b"text,n\na\rb,1\n", "a.csv:2: .*a carriage return outside quotes"),
        ("a.csv", b'"text', "no column 'text'"),
    ],
)
def test_what_is_broken_is_said_in_plain_words(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    with pytest.raises(MalformedRecord, match=message) as raised:
        written(tmp_path / name, data)
    for word in ("NoneType", "dict", "recursion", "csv.", "universal-newline", "(char"):
        assert word not in str(raised.value)


def test_numbers_of_any_length_are_kept_and_are_no_text(tmp_path: Path) -> None:
    digits = "7" * 5000
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "a", "n": {digits}}}\n')
    (document,) = plan([path]).documents()
    assert document.metadata["n"] == digits
    for value in ("NaN", "-Infinity", "1e999", digits, f"[{digits}]"):
        for name, data in (
            ("a.jsonl", f'{{"text": {value}}}'),
            ("a.json", f'[{{"text": {value}}}]'),
        ):
            with pytest.raises(MalformedRecord, match="field 'text' must be"):
                written(tmp_path / name, data.encode())
    with pytest.raises(MalformedRecord, match="must be strings, found a number, a string"):
        written(path, b'{"text": ["a", NaN]}', text_field="text[]")


# ---- tables --------------------------------------------------------------------------------------


def test_tables_are_read_from_pipes_and_open_files(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"]})
    forms = [
        parquet(text=["a", "b"]),
        arrow(pa.ipc.new_file, table),
        arrow(pa.ipc.new_stream, table),
    ]
    for data in forms:
        for compress in (bytes, gzip.compress):
            corpus = plan(["-"], stdin=io.BytesIO(compress(data)))
            assert [d.content for d in corpus.documents()] == [b"a", b"b"]
        (tmp_path / "a").write_bytes(data)
        with open(tmp_path / "a", "rb") as handle:
            assert texts(handle) == [b"a", b"b"]


def test_a_damaged_table_ends_no_process(tmp_path: Path) -> None:
    rng = random.Random(1)
    table = pa.table(
        {"text": [f"hello {i}" for i in range(30)], "s": [{"a": i} for i in range(30)]}
    )
    forms = [
        arrow(pa.ipc.new_file, table),
        arrow(pa.ipc.new_stream, table),
        parquet(text=["a" * 9] * 9),
    ]
    outcomes = collections.Counter[bool]()
    for whole in forms:
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            (tmp_path / "a.arrow").write_bytes(data)
            try:
                contents(tmp_path / "a.arrow")
            except InfgramError:
                outcomes[False] += 1
            else:
                outcomes[True] += 1
    assert outcomes[False] > 100 and outcomes[True] > 10


def test_bytes_and_views_of_lists_are_text_and_ids(tmp_path: Path) -> None:
    for column, expected in (
        (pa.array([b"ab", b"cd"], pa.binary(2)), [b"ab", b"cd"]),
        (pa.array([[1, 2], [3]], pa.list_view(pa.int32())), [[1, 2], [3]]),
    ):
        data = arrow(pa.ipc.new_file, pa.table({"text": column}))
        assert written(tmp_path / "a.arrow", data) == expected


# ---- bytes that somebody holds -------------------------------------------------------------------


def test_bytes_are_read_in_their_encoding_or_it_is_said(tmp_path: Path) -> None:
    held = ["un café".encode("latin-1"), b"plain", "à".encode("latin-1")]
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(text=held))
    for inputs in (iter(held), [{"text": each} for each in held], path):
        notes: list[CorpusWarning] = []
        found = plan_any(inputs)[0].documents(on_note=notes.append)
        assert [d.content for d in found] == held
        (note,) = notes
        assert isinstance(note, NotUnicode) and "byte 0xe9" in str(note)
    for inputs in (iter(held), [{"text": each} for each in held], path):
        assert texts(inputs, encoding="latin-1") == ["un café".encode(), b"plain", "à".encode()]
    with pytest.raises(MalformedRecord, match="memory:1: not utf-8 near byte 6"):
        texts(iter(held), encoding="utf-8")
    # strings are text already, whatever the encoding of the rest
    assert texts(["café", b"caf\xe9"], encoding="latin-1") == ["café".encode()] * 2
    assert texts(iter([b"caf\xe9"]), format="bytes", encoding="latin-1") == [b"caf\xe9"]


def test_an_open_file_of_text_is_decoded_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("café".encode("latin-1"))
    assert texts(io.StringIO("café"), encoding="latin-1") == ["café".encode()]
    with open(tmp_path / "a.txt", encoding="latin-1") as handle:
        assert texts(handle, encoding="latin-1") == ["café".encode()]
    with codecs.open(str(tmp_path / "a.txt"), encoding="latin-1") as handle:
        assert texts(handle, encoding="latin-1") == ["café".encode()]
    with pytest.raises(InvalidParameter, match="encoding is 'nope'"):
        texts(io.StringIO("café"), encoding="nope")


class _Readable:
    def __init__(self, read: Callable[..., Any]) -> None:
        self.read = read


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    refused = pytest.raises(MalformedRecord, match=r"a\.txt: not utf-8 \(byte 0xe9\)")
    with open(tmp_path / "a.txt", encoding="utf-8") as handle, refused:
        texts(handle)
    for closed in (handle, io.BytesIO()):
        closed.close()
        with pytest.raises(InputError, match=r"cannot be read: .*closed.*open for reading"):
            texts(closed)
    refused_too = pytest.raises(InputError, match=r"w\.txt: cannot be read")
    with open(tmp_path / "w.txt", "w", encoding="utf-8") as handle, refused_too:
        texts(handle)
    with pytest.raises(MalformedRecord, match="lone surrogate"):
        texts(io.StringIO("a\ud800"))
    for wrong in (_Readable(lambda n: None), _Readable(lambda: b"")):
        with pytest.raises(InputError, match="memory: cannot be read"):
            texts(wrong)
    with pytest.raises(InputError, match="memory:1: found an open file among texts"):
        texts([io.StringIO("a")])


# ---- memory --------------------------------------------------------------------------------------


def test_ids_may_stand_in_any_sequence_of_integers() -> None:
    for ids in (
        [1, 2],
        (1, 2),
        [np.int64(1), 2],
        np.array([1, 2], ">u2"),
        array.array("i", [1, 2]),
    ):
        assert texts(iter([ids])) == texts([{"text": ids}]) == [[1, 2]]
    assert texts([{"text": [1, 0, 2]}], separator=0) == [[1], [2]]
    for wrong in ([True, False], [1.0], np.array([True]), [[1]], np.ma.array([1, 2], mask=[0, 1])):
        with pytest.raises(MalformedRecord, match=r"memory:1"):
            texts(iter([wrong]))
        with pytest.raises(MalformedRecord, match=r"memory:1: field 'text' must be"):
            texts([{"text": wrong}])
    with pytest.raises(InputError, match="masked array"):
        texts(np.ma.array([1, 2], mask=[0, 1]))


def test_tables_of_pyarrow_are_their_rows_whole_or_in_parts() -> None:
    table = pa.table({"text": ["a", "b", "c"], "n": [1, 2, 3]})
    parts = table.to_batches(max_chunksize=2)
    file = pa.BufferReader(parquet(text=["a", "b", "c"], n=[1, 2, 3]))
    import pyarrow.dataset
    import pyarrow.parquet

    for inputs in (
        table,
        parts,
        iter(parts),
        table.to_reader(2),
        (table.slice(i, 1) for i in range(3)),
        pyarrow.dataset.dataset(table),
        pyarrow.parquet.ParquetFile(file),
    ):
        found = in_memory(inputs)
        assert [d.content for d in found] == [b"a", b"b", b"c"]
        assert [d.line for d in found] == [1, 2, 3]
        assert [d.metadata["n"] for d in found] == [1, 2, 3]
    assert texts(parts[0]) == [b"a", b"b"]
    assert texts(pa.array([{"text": "a"}])) == [b"a"]
    ids = pa.record_batch({"other": pa.array([7, 8]), "text": pa.array([[1, 2], [3]])})
    assert texts(ids) == [[1, 2], [3]]


class _Frame:
    """What is asked of a data frame of pandas."""

    def __init__(self, columns: list[Any], *rows: tuple[Any, ...]) -> None:
        self.columns = columns
        self._rows = rows

    def __iter__(self) -> Any:
        return iter(self.columns)

    def itertuples(self, **_: Any) -> Any:
        return iter(self._rows)


def test_frames_may_come_one_after_another_and_repeat_names() -> None:
    frames = [_Frame(["text", "n", "n"], ("a", 1, 2)), _Frame(["text"], ("b",), ("c",))]
    found = in_memory(iter(frames))
    assert [(d.content, d.line) for d in found] == [(b"a", 1), (b"b", 2), (b"c", 3)]
    assert found[0].metadata == {"n": 1, "n (2)": 2}
    with pytest.raises(InputError, match="2 columns are called 'text'"):
        texts(_Frame(["text", "text"], ("a", "b")))


def test_a_frame_that_is_read_by_itself_is_no_open_file() -> None:
    class Chunks:
        def read(self, n: int | None = None) -> Any:
            raise AssertionError

        def __iter__(self) -> Any:
            return iter([_Frame(["text"], ("a",)), _Frame(["text"], ("b",))])

    class Lazy:
        def __getitem__(self, at: object) -> object:
            raise TypeError("LazyFrame is not subscriptable")

        def collect(self) -> None: ...

    assert texts(Chunks()) == [b"a", b"b"]
    with pytest.raises(InputError, match=r"inputs are Lazy.*give \.collect\(\)"):
        texts(Lazy())


# ---- arrays and folders --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
def test_a_damaged_npy_is_malformed(tmp_path: Path) -> None:
    rng = random.Random(2)
    np.save(tmp_path / "a.npy", np.arange(50))
    whole = (tmp_path / "a.npy").read_bytes()
    n_refused = 0
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(128)] = rng.randrange(256)
        (tmp_path / "b.npy").write_bytes(data)
        try:
            contents(tmp_path / "b.npy")
        except InfgramError:
            n_refused += 1
    assert n_refused > 500


def infini_gram(folder: Path, documents: list[list[int]]) -> None:
    folder.mkdir()
    data, offsets = b"", []
    for ids in documents:
        offsets.append(len(data))
        data += b"\xff\xff" + np.array(ids, "<u2").tobytes()
    (folder / "tokenized.0").write_bytes(data)
    np.array(offsets, "<u8").tofile(folder / "offset.0")
    lines = b"".join(b'{"i": %d}\n' % i for i in range(len(documents)))
    (folder / "metadata.0").write_bytes(lines)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("offset.0", lambda data: data[8:], "the first one at 0"),
        ("offset.0", None, "no 'offset.0', which the index of infini-gram expects"),
        ("tokenized.0", lambda data: data + b"x", "not the tokens of an index of infini-gram"),
        ("tokenized.0", lambda data: data[:-1], "not the tokens of an index of infini-gram"),
        ("tokenized.0", lambda data: b"", "not the tokens of an index of infini-gram"),
        ("metadata.0", lambda data: data[9:], "metadata.0:3: expected a line"),
        ("metadata.0", lambda data: b"x" + data, "metadata.0:1: expected a line"),
        ("metadata.0", lambda data: data * 2, "more lines than the 3 documents"),
    ],
)
def test_an_index_of_infini_gram_that_is_not_whole_is_refused(
    tmp_path: Path, name: str, change: Any, message: str
) -> None:
    infini_gram(tmp_path / "a", [[1, 2], [3], []])
    assert contents(tmp_path / "a") == [[1, 2], [3], []]
    path = tmp_path / "a" / name
    data = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change(data))
    with pytest.raises(InputError, match=message):
        contents(tmp_path / "a")


def test_a_folder_of_datasets_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    names = ["data-0.arrow", "data-1.arrow"]
    for name in names:
        table = pa.table({"text": [name]})
        (folder / name).write_bytes(arrow(pa.ipc.new_stream, table))
    (folder / "dataset_info.json").write_text("{}")
    state: dict[str, Any] = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(state))
    assert contents(tmp_path) == [name.encode() for name in names]
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match="kept the order of the rows in a file of its own"):
        contents(tmp_path)
    del state["_indices_data_files"]
    (folder / "state.json").write_text(json.dumps(state))
    (folder / names[1]).unlink()
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InputError, match=r"no 'data-1\.arrow', which state\.json expects"):
        contents(tmp_path)
    told: list[str] = []
    found = plan([tmp_path]).documents(skip_bad=True, on_bad=told.append)
    assert [d.content for d in found] == [b"text"] and len(told) == 1
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["set", "test"]}')
    with pytest.raises(InputError, match=r"no 'test', which dataset_dict\.json expects"):
        contents(tmp_path)


def test_an_index_is_no_corpus_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        index = infgram.build(".", "index", overwrite=True, calibrate=False)
        assert [index.document(i).text for i in range(index.n_documents)] == ["hello"]
    with pytest.raises(InputError, match="this is an infgram index"):
        contents(tmp_path / "index")


@pytest.mark.parametrize("name", ["evil\x1b]0;title\x07.txt", "\udcff.txt"])
def test_a_name_never_commands_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"\x7fELF" + bytes(9))
    Path(f"of_text_{name}").write_bytes(b"caf\xe9")
    refused = run("build", name, "-o", "a", exit_code=2)
    skipped = run("build", name, f"of_text_{name}", "-o", "a", "--skip-bad")
    for said in (refused.stdout, refused.stderr, skipped.stdout, skipped.stderr):
        assert all(c.isprintable() or c == "\n" for c in said)
    assert "holds no text" in refused.stderr and "holds no text" in skipped.stderr
    assert "not UTF-8" in skipped.stderr


def test_a_pipe_with_the_name_of_a_file_of_an_index_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "CURRENT")
    (tmp_path / "a" / "a.txt").write_text("text")
    assert contents(tmp_path) == contents(tmp_path / "a") == [b"text"]


def test_lines_of_gitignore_end_as_those_of_git(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes("a\x0cb.txt\r\nc\u2028d.txt\n".encode())
    for name in ("a\x0cb.txt", "c\u2028d.txt", "b.txt", "d.txt"):
        (tmp_path / name).write_text(name)
    assert sorted(contents(tmp_path)) == [b"b.txt", b"d.txt"]


def test_a_glob_is_a_pattern() -> None:
    with pytest.raises(InvalidParameter, match="glob is 5"):
        plan(["."], glob=5)  # type: ignore[arg-type]
