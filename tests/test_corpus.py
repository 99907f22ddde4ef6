"""What holds for every kind of input, sound and broken."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import os
import pickle
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infgram.errors import EmptyCorpus, InputError, InvalidParameter, MalformedRecord, MissingExtra
from infgram.extras import how_to_install
from infgram.text import corpus
from infgram.text.corpus import Document, plan
from infgram.text.reading import compression

JAPANESE = "吾輩は猫である。\r\n\r\n名前はまだ無い。\n".encode()


def read(path: str | os.PathLike[str], **options: Any) -> list[Document]:
    return list(plan([path], **options).documents())


def texts(path: str | os.PathLike[str], **options: Any) -> list[Any]:
    return [document.content for document in read(path, **options)]


def split(data: bytes, documents: str, **options: Any) -> list[tuple[int, Any]]:
    found = plan(["-"], documents=documents, stdin=io.BytesIO(data), **options)  # type: ignore[arg-type]
    return [(document.line, document.content) for document in found.documents()]


def gz(data: bytes) -> bytes:
    return gzip.compress(data)


def zst(data: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(data))


Compress = Callable[[bytes], bytes]
COMPRESSIONS = pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gz), (".zst", zst)], ids=["gz", "zst"]
)


@pytest.fixture(params=[1, 3, 1 << 20])
def chunk_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(compression, "CHUNK", request.param)
    monkeypatch.setattr(compression, "COMPRESSED_CHUNK", request.param)
    return int(request.param)


# ---- plain text ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a", "a.py", "a.md", "a.bin", "a.TXT"])
def test_any_other_file_is_one_document_of_plain_bytes(tmp_path: Path, name: str) -> None:
    for content in (JAPANESE, b"", b"\xff\r\n"):
        (tmp_path / name).write_bytes(content)
        assert read(tmp_path / name) == [Document(content, str(tmp_path / name), 0, {})]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfx")
    assert texts(tmp_path / "a.txt") == [b"x"]
    assert texts(tmp_path / "a.txt", format="bytes") == [b"\xef\xbb\xbfx"]


def test_lines_are_documents_without_their_endings(chunk_size: int) -> None:
    data = b"one\r\n\r\n\ntwo\r\r\n three \n\nfour\rfive\nlast\r"
    expected = [(1, b"one"), (4, b"two\r"), (5, b" three "), (7, b"four\rfive"), (8, b"last")]
    assert split(data, "line") == expected


def test_paragraphs_are_documents_as_they_stand(chunk_size: int) -> None:
    data = b"\n \t\r\n one\r\n  two \r\n\r\nthree\n\x0c\n\n\nfour\n five"
    expected = [(3, b" one\r\n  two "), (6, b"three"), (10, b"four\n five")]
    assert split(data, "paragraph") == expected


def test_japanese_lines_and_paragraphs_are_cut_between_characters(chunk_size: int) -> None:
    expected = [(1, "吾輩は猫である。".encode()), (3, "名前はまだ無い。".encode())]
    assert split(JAPANESE, "line") == expected
    assert split(JAPANESE, "paragraph") == expected


PIECES = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"a", b"bc", "猫".encode()]))


def naive_end(data: bytes) -> bytes:
    return b"\r" if b"\r" in data and b"\n" not in data else b"\n"


def naive_lines(data: bytes, end: bytes) -> list[bytes]:
    lines = (data if data.endswith(end) else data + end).split(end)[:-1]
    return [line.removesuffix(b"\r") for line in lines]


@given(PIECES.map(b"".join), st.integers(1, 5))
def test_lines_agree_with_their_definition(data: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "CHUNK", size)
        found = split(data, "line")
    lines = naive_lines(data, naive_end(data))
    assert found == [(i, line) for i, line in enumerate(lines, 1) if line]


@given(PIECES.map(b"".join), st.integers(1, 5))
def test_paragraphs_agree_with_their_definition(data: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "CHUNK", size)
        found = split(data, "paragraph")
    end = naive_end(data)
    lines = naive_lines(data, end)
    for first, text in found:
        # as it stands: its bytes occur where its line begins, and none of its lines is blank
        start = sum(len(line) + 1 for line in data.split(end)[: first - 1])
        assert data[start:].startswith(text)
        assert re.match(rb"\r?(\n|\Z)|\r", data[start + len(text) :])
        assert all(line.strip() for line in naive_lines(text, end))
    covered = [first + i for first, text in found for i in range(len(naive_lines(text, end)))]
    assert covered == [i for i, line in enumerate(lines, 1) if line.strip()]
    assert len(found) == len(re.findall("x+", "".join("x" if t.strip() else " " for t in lines)))


def test_a_line_longer_than_a_chunk_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "CHUNK", 1000)
    data = b"x" * 300_000
    assert split(b"a\n" + data + b"\nb", "line") == [(1, b"a"), (2, data), (3, b"b")]


def test_lines_stream_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1 << 20
            return b"line\n" * (size // 5)

    for mode in ("line", "paragraph"):
        stdin: Any = Endless()
        if mode == "paragraph":
            stdin.read = lambda size: b"line\n\n" * (size // 6)
        documents = plan(["-"], documents=mode, stdin=stdin).documents()
        assert [next(documents).content for _ in range(500_000)][-1] == b"line"


# ---- compression ---------------------------------------------------------------------------------


@COMPRESSIONS
@pytest.mark.parametrize("mode", ["file", "line", "paragraph"])
def test_compressed_text_reads_as_the_text_itself(
    tmp_path: Path, suffix: str, compress: Compress, mode: Any, chunk_size: int
) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(compress(JAPANESE) + compress(b"") + compress(b"second frame\n"))
    (tmp_path / "a.txt").write_bytes(JAPANESE + b"second frame\n")
    assert texts(path, documents=mode) == texts(tmp_path / "a.txt", documents=mode)


@COMPRESSIONS
@pytest.mark.parametrize("mode", ["file", "line", "paragraph"])
def test_a_compressed_stream_that_was_cut_short_is_malformed(
    tmp_path: Path, suffix: str, compress: Compress, mode: Any
) -> None:
    whole = compress(os.urandom(500) + b"\nlines\n" * 500)
    path = tmp_path / f"a{suffix}"
    for kept in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(MalformedRecord, match=f"a{suffix}: .*ends too early"):
            read(path, documents=mode)


@COMPRESSIONS
def test_what_is_not_a_compressed_stream_is_malformed(
    tmp_path: Path, suffix: str, compress: Compress
) -> None:
    path = tmp_path / f"a{suffix}"
    for content in (b"not compressed at all", compress(b"x") + b"trailing garbage"):
        path.write_bytes(content)
        with pytest.raises(MalformedRecord, match=f"a{suffix}: not a sound {suffix} stream"):
            read(path)


@COMPRESSIONS
def test_compressed_json_lines_and_parquet_are_read(
    tmp_path: Path, suffix: str, compress: Compress
) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(b'{"text": "x", "id": 1}\n'))
    assert read(path) == [Document(b"x", str(path), 1, {"id": 1})]
    table = parquet({"text": ["x"], "id": [1]})
    path = tmp_path / f"a.parquet{suffix}"
    path.write_bytes(compress(table))
    assert read(path) == [Document(b"x", str(path), 1, {"id": 1})]


@COMPRESSIONS
def test_compressed_token_files_are_refused(
    tmp_path: Path, suffix: str, compress: Compress
) -> None:
    path = tmp_path / f"a.u16{suffix}"
    path.write_bytes(compress(b"ab"))
    with pytest.raises(InputError, match="decompress it first"):
        read(path)


def test_the_wide_windows_of_large_corpora_are_read(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "a.zst").write_bytes(writer.compress(b"x" * 1000) + writer.flush())
    assert texts(tmp_path / "a.zst") == [b"x" * 1000]


# ---- JSON lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "jl", "JSONL"])
def test_other_fields_of_a_json_line_are_metadata(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    record = {"text": "猫\n", "id": 7, "tags": ["a", None], "nested": {"text": 1.5}}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(record).encode() + b'\r\n\n  \n{"text":""}')
    metadata = {key: value for key, value in record.items() if key != "text"}
    assert read(path) == [
        Document("猫\n".encode(), str(path), 1, metadata),
        Document(b"", str(path), 4, {}),
    ]


def test_the_text_field_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "x", "text": "y"}')
    (document,) = read(tmp_path / "a.jsonl", text_field="body")
    assert (document.content, document.metadata) == (b"x", {"text": "y"})


def test_json_lists_of_integers_are_token_ids(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": [3, 70000, -1]}\n{"text": []}')
    ids, none = texts(tmp_path / "a.jsonl")
    assert ids.tolist() == [3, 70000, -1]
    assert none.size == 0 and none.dtype.kind == "i"


def test_numbers_json_does_not_have_become_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "score": NaN, "top": -Infinity}')
    assert read(tmp_path / "a.jsonl")[0].metadata == {"score": "NaN", "top": "-Infinity"}


BAD_LINES = {
    b'{"text": ': "not JSON",
    b"[" * 100_000: "not JSON",
    b'{"text": ' + b"1" * 5000 + b"}": "found a number",
    b"[1]": "expected a JSON object, found a list",
    b'"text"': "expected a JSON object, found a string",
    b'{"body": "x"}': "no field 'text', only 'body'",
    b"{}": "no field 'text', only none",
    b'{"text": null}': "must be a string or a list of integers, found null",
    b'{"text": 3}': "found a number",
    b'{"text": NaN}': "found a number",
    b'{"text": 1e999}': "found a number",
    b'{"text": [1, true]}': "found a list of integers and others",
    b'{"text": [1.0]}': "found a list",
    b'{"text": [1180591620717411303424]}': "beyond 64 bits",
    b'{"text": "a\xff"}': "not UTF-8 at byte 11",
    b'{"text": "\\ud800"}': "lone surrogate at character 0",
}


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: BAD_LINES[line][:30])
def test_a_bad_json_line_is_named_or_skipped(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\n{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    with pytest.raises(MalformedRecord, match=f"{path}:3: .*{BAD_LINES[line]}"):
        read(path)
    told: list[str] = []
    documents = list(plan([path]).documents(skip_bad=True, on_bad=told.append))
    assert [(d.line, d.content) for d in documents] == [(2, b"before"), (4, b"after")]
    assert len(told) == 1 and told[0].startswith(f"{path}:3: ")
    assert len(list(plan([path]).documents(skip_bad=True))) == 2


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers()) | st.none()), st.text())
def test_json_lines_come_back(records: list[dict[str, Any] | None], text: str) -> None:
    records = [record and {**record, "text": text} for record in records]
    data = "\n".join("" if r is None else json.dumps(r) for r in records).encode()
    found = list(plan("-", stdin=io.BytesIO(data), format="jsonl").documents(skip_bad=True))
    assert [{"text": bytes(d.content).decode(), **d.metadata} for d in found] == [
        record for record in records if record
    ]
    assert [d.line for d in found] == [i for i, record in enumerate(records, 1) if record]


# ---- Parquet -------------------------------------------------------------------------------------


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    "kind", ["string", "large_string", "binary", "large_binary", "string_view", "dictionary"]
)
def test_text_columns_of_every_kind_are_read(tmp_path: Path, kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    rows = ["x", "猫", ""] * 700
    if kind == "dictionary":
        column = pa.array(rows).dictionary_encode()
    else:
        try:
            column = pa.array(rows).cast(getattr(pa, kind)())
        except pa.ArrowNotImplementedError:
            pytest.skip(f"pyarrow {pa.__version__} makes no columns of {kind}")
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet({"id": range(2100), "text": column}))
    documents = read(path)
    assert [document.content for document in documents] == [row.encode() for row in rows]
    assert [document.line for document in documents] == list(range(1, 2101))
    assert documents[-1].metadata == {"id": 2099}


@pytest.mark.parametrize("width", ["uint16", "int32", "int64", "uint64"])
def test_columns_of_integer_lists_are_token_ids(tmp_path: Path, width: str) -> None:
    pa = pytest.importorskip("pyarrow")
    item = getattr(pa, width)()
    for kind in (pa.list_(item), pa.large_list(item), pa.list_(item, 2)):
        path = tmp_path / "a.parquet"
        path.write_bytes(parquet({"text": pa.array([[1, 2], [3, 4]], kind)}))
        contents = texts(path)
        assert [content.tolist() for content in contents] == [[1, 2], [3, 4]]
        assert contents[0].dtype == width


def test_null_rows_of_parquet_are_named_or_skipped(tmp_path: Path) -> None:
    for rows in (["x", None, "y"], [[1], None, [2]], [[1], [1, None], [2]]):
        path = tmp_path / "a.parquet"
        path.write_bytes(parquet({"text": rows}))
        with pytest.raises(MalformedRecord, match=f"{path}:2: .*null"):
            read(path)
        told: list[str] = []
        documents = list(plan([path]).documents(skip_bad=True, on_bad=told.append))
        assert [document.line for document in documents] == [1, 3]
        assert len(told) == 1


def test_metadata_of_parquet_can_be_written_as_json(tmp_path: Path) -> None:
    day = datetime.datetime(2020, 1, 2, 3, 4, 5)
    row = {
        "text": "x",
        "n": 3,
        "ok": True,
        "none": None,
        "half": 0.5,
        "nan": float("nan"),
        "raw": b"a\xff",
        "day": day,
        "price": decimal.Decimal("1.50"),
        "nested": {"days": [day.date()], "raw": b"b"},
    }
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet({key: [value] for key, value in row.items()}))
    (document,) = read(path)
    assert document.metadata == json.loads(json.dumps(document.metadata, allow_nan=False))
    assert document.metadata == {
        "n": 3,
        "ok": True,
        "none": None,
        "half": 0.5,
        "nan": "nan",
        "raw": "a\\xff",
        "day": "2020-01-02 03:04:05",
        "price": "1.50",
        "nested": {"days": ["2020-01-02"], "raw": "b"},
    }


def test_parquet_without_the_text_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet({"body": ["x"], "n": [1.5]}))
    with pytest.raises(MalformedRecord, match="no column 'text', only 'body', 'n'"):
        read(path)
    with pytest.raises(MalformedRecord, match="found double"):
        read(path, text_field="n")
    assert texts(path, text_field="body") == [b"x"]


def test_broken_parquet_is_malformed(tmp_path: Path) -> None:
    whole = parquet({"text": [os.urandom(9).hex() for _ in range(5000)]})
    path = tmp_path / "a.parquet"
    torn = whole[:4] + b"\xff" * 2000 + whole[2004:]
    for content in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2], torn):
        path.write_bytes(content)
        with pytest.raises(MalformedRecord, match=f"{path}: not a sound Parquet file"):
            read(path)


# ---- token files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i4", "i8", "u8"])
def test_npy_files_are_one_document_of_token_ids(tmp_path: Path, dtype: str) -> None:
    for ids in ([1, 2, 100], []):
        np.save(tmp_path / "a.npy", np.array(ids, dtype))
        (document,) = read(tmp_path / "a.npy")
        assert isinstance(document.content, np.ndarray)
        assert document.content.tolist() == ids
        assert document.content.dtype == dtype
        assert (document.line, document.metadata) == (0, {})


def test_npy_files_of_other_things_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array in (np.zeros((2, 2, 2), np.uint16), np.array([1.0]), np.array([True]), np.array(3)):
        np.save(path, array)
        with pytest.raises(InputError, match=f"{path}: token ids must be integers of shape"):
            read(path)


def test_broken_npy_files_are_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(1000))
    whole = path.read_bytes()
    np.save(path, np.array([{}], object))
    for content in (path.read_bytes(), b"", b"\x93NUM", whole[:20], whole[:-1], b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(MalformedRecord, match=f"{path}: not a sound .npy file"):
            read(path)


@pytest.mark.parametrize(
    ("name", "token_dtype", "width"),
    [
        ("a.u16", None, 2),
        ("a.u32", None, 4),
        ("a.u32", "uint16", 4),
        ("a.bin", "uint16", 2),
        ("a.bin", "uint32", 4),
    ],
)
def test_raw_token_files_are_little_endian(
    tmp_path: Path, name: str, token_dtype: Any, width: int
) -> None:
    path = tmp_path / name
    for ids in ([1, 2**16 - 1, 0], []):
        path.write_bytes(np.array(ids, f"<u{width}").tobytes())
        (content,) = texts(path, token_dtype=token_dtype)
        assert content.tolist() == ids
        assert content.dtype.itemsize == width
    path.write_bytes(b"abcde")
    with pytest.raises(InputError, match=f"{path}: .* not a multiple of that \\(1 left over\\)"):
        read(path, token_dtype=token_dtype)


# ---- folders -------------------------------------------------------------------------------------


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(folder: Path, **options: Any) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in plan([folder], **options).files]


def test_a_folder_stands_for_its_visible_files_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/z.txt", "a/b/c.py", "a.txt", "image.png", "A")
    make(tmp_path, ".hidden", ".git/config", "a/.x/y.txt", "old.infgram/manifest.json")
    expected = ["A", "a/b/c.py", "a/z.txt", "a.txt", "b.txt", "image.png"]
    assert names(tmp_path) == expected
    assert [document.content for document in read(tmp_path)] == [e.encode() for e in expected]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "d/b.txt", "d/e/c.txt"]),
        ("d/*.txt", ["d/b.txt"]),
        ("d/**/*.txt", ["d/b.txt", "d/e/c.txt"]),
        ("**/e/*", ["d/e/c.txt"]),
        ("**", ["a.txt", "d/b.txt", "d/e/c.txt", "d/f.md"]),
        ("**/[af].*", ["a.txt", "d/f.md"]),
    ],
)
def test_a_glob_chooses_files_of_a_folder(tmp_path: Path, glob: str, expected: list[str]) -> None:
    make(tmp_path, "a.txt", "d/b.txt", "d/e/c.txt", "d/f.md")
    assert names(tmp_path, glob=glob) == expected


def test_a_folder_without_a_match_is_an_empty_corpus(tmp_path: Path) -> None:
    make(tmp_path, ".hidden")
    with pytest.raises(EmptyCorpus, match=re.escape(f"{tmp_path}: ") + r".*'\*\*/\*\.md'"):
        plan([tmp_path], glob="**/*.md")


def test_loops_of_links_end_and_linked_files_are_read(tmp_path: Path) -> None:
    make(tmp_path, "a/x.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.txt").symlink_to(tmp_path / "a" / "x.txt")
    assert names(tmp_path) == ["a/x.txt", "link.txt"]


def test_a_pipe_in_a_folder_does_not_hang(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_be_listed_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=f"{tmp_path}: permission denied"):
        plan([tmp_path])


def test_an_index_is_not_a_corpus(tmp_path: Path) -> None:
    make(tmp_path, "old.infgram/manifest.json")
    with pytest.raises(InputError, match="is an infgram index"):
        plan([tmp_path / "old.infgram"])


# ---- streams -------------------------------------------------------------------------------------


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(JAPANESE)))
    assert read("-") == [Document(JAPANESE, "-", 0, {})]
    assert not sys.stdin.buffer.closed


def test_standard_input_follows_the_document_mode_and_kind() -> None:
    assert split(b"a\n\nb\n", "line") == [(1, b"a"), (3, b"b")]
    assert split(b'{"text": "x"}\n', "file", format="jsonl") == [(1, b"x")]
    with pytest.raises(MalformedRecord, match=r"^-:1: "):
        split(b"x", "file", format="jsonl")


def test_standard_input_is_given_once() -> None:
    with pytest.raises(InputError, match="given twice"):
        plan(["-", "-"])


@pytest.mark.parametrize("mode", ["file", "line"])
def test_a_pipe_is_read_as_a_stream(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a\nb\n" * 50_000,))
    writer.start()
    found = plan([path], documents=mode)
    assert found.n_bytes == 0 and found.files[0].is_stream
    content = [bytes(document.content) for document in found.documents()]
    writer.join()
    assert content == ([b"a\nb\n" * 50_000] if mode == "file" else [b"a", b"b"] * 50_000)


@pytest.mark.parametrize("name", ["p.npy", "p.u16"])
def test_a_pipe_of_what_must_be_a_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="and this is a stream; save it, and give its path"):
        read(tmp_path / name)


# ---- inputs --------------------------------------------------------------------------------------


def test_a_missing_input_is_named() -> None:
    for path in ("no/such.txt", "no\x00such"):
        with pytest.raises(InputError, match=re.escape(path)):
            plan([path])


def test_no_inputs_are_an_empty_corpus() -> None:
    with pytest.raises(EmptyCorpus, match="no inputs"):
        plan([])


def test_unknown_choices_are_refused() -> None:
    options: list[dict[str, Any]] = [
        {"documents": "word"},
        {"token_dtype": "uint9"},
        {"format": "docx"},
    ]
    for option in options:
        with pytest.raises(InvalidParameter, match="must be one of"):
            plan(["-"], **option)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet", "a.npy", "a.u16", "a.txt.gz"])
def test_a_file_that_became_unreadable_is_named_or_skipped(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"")
    make(tmp_path, "sound")
    found = plan([tmp_path / name, tmp_path / "sound"])
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        list(found.documents())
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name}: "):
        list(found.documents())
    told: list[str] = []
    documents = list(found.documents(skip_bad=True, on_bad=told.append))
    assert [document.content for document in documents] == [b"sound"]
    assert len(told) == 1


def test_a_forbidden_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.txt")

    def refuse(path: str, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match="permission denied; make it readable"):
        list(plan([tmp_path]).documents())


def test_inputs_keep_their_order_and_may_repeat(tmp_path: Path) -> None:
    make(tmp_path, "b", "a")
    found = plan([tmp_path / "b", tmp_path, str(tmp_path / "b")])
    assert [d.content for d in found.documents()] == [b"b", b"a", b"b", b"b"]
    assert [d.content for d in found.documents()] == [b"b", b"a", b"b", b"b"]


def test_a_lone_path_is_one_input(tmp_path: Path) -> None:
    make(tmp_path, "a")
    assert [file.path for file in plan(str(tmp_path / "a")).files] == [str(tmp_path / "a")]
    assert plan(tmp_path / "a").files == plan([tmp_path / "a"]).files


def test_a_torn_file_among_many_is_skipped_from_where_it_is_torn(tmp_path: Path) -> None:
    lines = b"".join(b"%d\n" % i for i in range(100_000))
    (tmp_path / "a.gz").write_bytes(gz(lines)[:-20])
    make(tmp_path, "b")
    told: list[str] = []
    found = plan([tmp_path], documents="line").documents(skip_bad=True, on_bad=told.append)
    contents = [bytes(document.content) for document in found]
    assert contents[-1] == b"b"
    assert lines.startswith(b"\n".join(contents[:-1])) and len(contents) > 1000
    assert told == [
        f"{tmp_path}/a.gz: the .gz stream ends too early; make or download the file again"
    ]


def test_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x\n" * 2_000_000)
    (tmp_path / "a.gz").write_bytes(gz(JAPANESE))
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n' * 9)
    (tmp_path / "a.parquet").write_bytes(parquet({"text": ["x"] * 5000}))
    (tmp_path / "b.parquet").write_bytes(parquet({"text": [b""][:0]}))
    (tmp_path / "c.parquet.gz").write_bytes(gz(parquet({"text": ["x"] * 5000})))
    np.save(tmp_path / "a.npy", np.arange(9))
    for mode in ("file", "line", "paragraph"):
        found = plan([tmp_path], documents=mode)
        steps: list[int] = []
        for _ in found.documents(on_bytes=steps.append):
            pass
        assert sum(steps) == found.n_bytes == sum(p.stat().st_size for p in tmp_path.iterdir())
        assert min(steps) >= 0


def test_plans_and_documents_can_be_pickled(tmp_path: Path) -> None:
    make(tmp_path, "a")
    again = pickle.loads(pickle.dumps(plan([tmp_path])))
    documents = list(again.documents())
    assert pickle.loads(pickle.dumps(documents)) == documents == read(tmp_path)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("a.zst", "zstandard", "zstd"), ("a.parquet", "pyarrow", "parquet")],
)
def test_a_missing_library_names_the_extra_even_when_skipping(
    tmp_path: Path, name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=f"{name}: .*{re.escape(how_to_install(extra))}"):
        list(plan([tmp_path]).documents(skip_bad=True))


def test_files_are_closed_when_reading_stops_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\nb\n")
    opened: list[BinaryIO] = []

    def spy(*args: Any, **options: Any) -> Any:
        opened.append(open(*args, **options))
        return opened[-1]

    monkeypatch.setattr(corpus, "open", spy, raising=False)
    documents = plan([tmp_path], documents="line").documents()
    next(documents)
    documents.close()  # type: ignore[attr-defined]
    assert opened[0].closed
