"""What people hold goes in rightly, or is refused by name: kinds, encodings, damage, folders."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import subprocess
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infgram_cli.texts import FORMATS

import infgram
from infgram.errors import (
    CorpusWarning,
    EmptyCorpus,
    FilesSkipped,
    InputError,
    InvalidParameter,
    MalformedRecord,
    NotUnicode,
    ReadAsText,
)
from infgram.text.corpus import Document, Format, plan, plan_any

pa = pytest.importorskip("pyarrow")
zstandard = pytest.importorskip("zstandard")

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: bytes(zstandard.ZstdCompressor().compress(data)),
}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "shift_jis", "latin-1"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXTS = st.lists(TEXT, min_size=1, max_size=5)


def read(path: Path, **options: Any) -> list[Document]:
    return list(plan([path], **options).documents())


def contents(path: Path, **options: Any) -> list[Any]:
    return [document.content for document in read(path, **options)]


def stdin(data: bytes, **options: Any) -> list[Any]:
    corpus = plan(["-"], stdin=io.BytesIO(data), **options)
    return [document.content for document in corpus.documents()]


def json_lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in texts).encode()


def json_array(texts: list[str]) -> bytes:
    return json.dumps([{"text": t} for t in texts], indent=2, ensure_ascii=False).encode()


def json_sequence(texts: list[str]) -> bytes:
    return "\n".join(json.dumps({"text": t}, indent=2) for t in texts).encode()


def table_of(delimiter: str) -> Callable[[list[str]], bytes]:
    def write(texts: list[str]) -> bytes:
        rows = io.StringIO(newline="")
        writer = csv.writer(rows, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["id", "text"])
        writer.writerows([[str(i), text] for i, text in enumerate(texts)])
        return rows.getvalue().encode()

    return write


def parquet(texts: list[Any], **columns: Any) -> bytes:
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"text": texts, **columns}), sink)
    return sink.getvalue()


def arrow(new: Callable[..., Any]) -> Callable[[list[str]], bytes]:
    def write(texts: list[str]) -> bytes:
        sink = io.BytesIO()
        table = pa.table({"text": texts})
        with new(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        return sink.getvalue()

    return write


RECORDS: dict[str, tuple[str, Callable[[list[str]], bytes]]] = {
    "jsonl": (".jsonl", json_lines),
    "json": (".json", json_lines),
    "array": (".json", json_array),
    "sequence": (".json", json_sequence),
    "csv": (".csv", table_of(",")),
    "semicolons": (".csv", table_of(";")),
    "tsv": (".tsv", table_of("\t")),
    "parquet": (".parquet", parquet),
    "arrow": (".arrow", arrow(pa.ipc.new_stream)),
    "feather": (".feather", arrow(pa.ipc.new_file)),
}


# ---- round trips ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading")


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("kind", RECORDS)
@settings(max_examples=15, deadline=None)
@given(texts=TEXTS)
def test_records_of_every_kind_come_back(
    folder: Path, kind: str, compression: str, texts: list[str]
) -> None:
    suffix, write = RECORDS[kind]
    if suffix in (".csv", ".tsv"):  # a zero byte is no text
        texts = [text.replace("\0", "") for text in texts]
    path = folder / f"a{suffix}{compression}"
    path.write_bytes(COMPRESS[compression](write(texts)))
    assert contents(path) == [text.encode() for text in texts]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=15, deadline=None)
@given(text=TEXT)
def test_text_in_every_encoding_comes_back(
    folder: Path, encoding: str, compression: str, text: str
) -> None:
    text = "A" + text.replace("\0", "").replace("\ufeff", "")
    written = text.encode(encoding, "replace")
    text = written.decode(encoding)
    path = folder / f"a.txt{compression}"
    path.write_bytes(COMPRESS[compression](written))
    asked = None if encoding in ENCODINGS[:4] else encoding
    assert contents(path, encoding=asked) == [text.encode()]
    if not compression:
        assert stdin(written, encoding=asked) == [text.encode()]


@settings(max_examples=20, deadline=None)
@given(texts=TEXTS)
def test_documents_of_an_index_are_what_was_read(folder: Path, texts: list[str]) -> None:
    texts = [f"A{text}".replace("\0", "") for text in texts]
    files = []
    for i, (suffix, write) in enumerate(RECORDS.values()):
        files.append(folder / f"round-{i}{suffix}")
        files[-1].write_bytes(write(texts))
    index = infgram.build(files, folder / "round.infgram", overwrite=True)
    found = [index.document(i).text for i in range(index.n_documents)]
    assert found == texts * len(RECORDS)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_records_in_another_encoding_are_decoded(folder: Path, kind: str) -> None:
    suffix, write = RECORDS[kind]
    data = write(["naïve", "日本"]) if kind == "csv" else '{"text": "naïve"}\n'.encode()
    for encoding in ("utf-16", "utf-8-sig"):
        (folder / f"e{suffix}").write_bytes(data.decode().encode(encoding))
        assert contents(folder / f"e{suffix}")[0] == "naïve".encode()


# ---- the first bytes decide ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a", "a.json", "a.bin"])
def test_the_first_bytes_decide_and_not_the_name(tmp_path: Path, name: str) -> None:
    for write in (parquet, arrow(pa.ipc.new_stream), arrow(pa.ipc.new_file)):
        (tmp_path / name).write_bytes(write(["x", "y"]))
        assert contents(tmp_path / name) == [b"x", b"y"]
    np.save(tmp_path / "ids.npy", np.arange(3))
    (tmp_path / name).write_bytes((tmp_path / "ids.npy").read_bytes())
    assert contents(tmp_path / name)[0].tolist() == [0, 1, 2]
    for compress in COMPRESS.values():
        (tmp_path / "a.txt").write_bytes(compress(b"text\n"))
        assert contents(tmp_path / "a.txt") == [b"text\n"]


@pytest.mark.parametrize("compression", COMPRESS)
def test_standard_input_is_read_by_its_first_bytes_and_as_asked(compression: str) -> None:
    compress = COMPRESS[compression]
    assert stdin(compress(json_lines(["a\nb", "c"]))) == [b"a\nb", b"c"]
    assert stdin(compress(json_lines(["a"])), format="text") == [json_lines(["a"])]
    assert stdin(compress(table_of(",")(["a"])), format="csv") == [b"a"]
    assert stdin(compress(json_array(["a", "b"])), format="json") == [b"a", b"b"]
    assert stdin(compress(b'{"other": 1}\n')) == [b'{"other": 1}\n']


BINARIES = {
    "zip": b"PK\x03\x04" + bytes(30),
    "tar": bytes(257) + b"ustar" + bytes(200),
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(20),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(9),
    "JPEG": b"\xff\xd8\xff\xe0",
    "GIF": b"GIF89a\x01\0\x01\0",
    "PDF": b"%PDF-1.7\n",
    "SQLite": b"SQLite format 3\0",
    "pickle": b"\x80\x04\x95",
    "zero byte": b"who knows\0",
    "utf-16-le": "text".encode("utf-16-le"),
    "compressed twice": gzip.compress(gzip.compress(b"x")),
}


@pytest.mark.parametrize("name", BINARIES)
def test_a_binary_is_refused_by_name_and_left_out_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.x").write_bytes(BINARIES[name])
    with pytest.raises(InputError, match=rf"data\.x: holds no text: .*{name}.*--format bytes"):
        read(tmp_path / "data.x")
    assert contents(tmp_path / "data.x", format="bytes") == [BINARIES[name]]
    (tmp_path / "a.txt").write_bytes(b"text")
    notes: list[CorpusWarning] = []
    corpus = plan([tmp_path])
    steps: list[int] = []
    found = list(corpus.documents(on_note=notes.append, on_bytes=steps.append))
    assert [document.content for document in found] == [b"text"]
    assert sum(steps) == corpus.n_bytes
    (note,) = notes
    assert isinstance(note, FilesSkipped) and note.n_files == 1
    assert name in str(note) and "data.x" in str(note)


def test_gzip_with_zeros_behind_it_is_sound(tmp_path: Path) -> None:
    for suffix in (".gz", ".bz2", ".xz"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(
            COMPRESS[suffix](b"one") + bytes(512) + COMPRESS[suffix](b"two") + bytes(8)
        )
        assert contents(path) == [b"onetwo"]


def test_text_that_is_not_utf8_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("un café\nun thé\n".encode("latin-1"))
    with pytest.warns(NotUnicode, match=r"a\.txt: not UTF-8 \(byte 0xe9 at offset 6\).*--encoding"):
        index = infgram.build(tmp_path / "a.txt", tmp_path / "a.infgram")
    assert index.count("café") == 0
    index = infgram.build(tmp_path / "a.txt", tmp_path / "b.infgram", encoding="latin-1")
    assert index.count("café") == 1
    with pytest.raises(MalformedRecord, match="not utf-8"):
        read(tmp_path / "a.txt", encoding="utf-8")
    with pytest.raises(InvalidParameter, match="encoding is 'latin-9000'"):
        read(tmp_path / "a.txt", encoding="latin-9000")


# ---- records -------------------------------------------------------------------------------------


def test_a_path_leads_to_the_text(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "u", "content": "hi"}, {"role": "t"}, {"content": "there"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps({**chat, "id": 3}))
    (document,) = read(tmp_path / "a.jsonl", text_field="messages[].content")
    assert document.content == b"hi\nthere"
    assert document.metadata == {"messages": [{"role": "u"}, {"role": "t"}, {}], "id": 3}
    (tmp_path / "a.parquet").write_bytes(parquet(["x"], messages=[chat["messages"]]))
    assert contents(tmp_path / "a.parquet", text_field="messages[].content") == [b"hi\nthere"]
    (tmp_path / "b.jsonl").write_text('{"a": {"b": "deep"}, "a.c": "flat"}')
    assert contents(tmp_path / "b.jsonl", text_field="a.b") == [b"deep"]
    assert contents(tmp_path / "b.jsonl", text_field="a.c") == [b"flat"]
    for field in ("a.x", "a[].b", "q.b", "a.b.c"):
        with pytest.raises(MalformedRecord, match=r"b\.jsonl:1: "):
            read(tmp_path / "b.jsonl", text_field=field)


def test_lines_of_records_are_where_they_begin(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,"a\nb"\n\n2,c\n')
    assert [document.line for document in read(tmp_path / "a.csv")] == [2, 5]
    (tmp_path / "a.json").write_text('[\n{"text":\n "a"},\n\n {"text": "b"}]\n')
    assert [document.line for document in read(tmp_path / "a.json")] == [2, 5]


BROKEN = {
    "a.csv": [b"id,other\n1,2\n", b'id,text\n1,"open\n', b"id,text\n1,2,3\n", b"text,text\na,b\n"],
    "b.csv": ["text\ncafé\n".encode("latin-1")],
    "a.json": [
        b'[{"text": "a"}',
        b'[{"text": "a"} {"text": "b"}]',
        b'[{"text": "a"}] x',
        b'{"text": ',
        b"words",
        b'{"other": 1}',
        b'[{"text": 3}]',
        b'[{"text": "a"}, \xff]',
    ],
    "a.arrow": [b"ARROW1\0\0" + bytes(40), b"\xff\xff\xff\xff\x10\0\0\0"],
    "a.txt": [b"\xff\xfea", b"\xff\xfe\x00\xd8"],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, name: str) -> None:
    for content in BROKEN[name]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)


def test_a_record_that_is_broken_can_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,a\n2\n3,b\n")
    told: list[str] = []
    found = plan([tmp_path / "a.csv"]).documents(skip_bad=True, on_bad=told.append)
    assert [document.content for document in found] == [b"a", b"b"]
    assert told == [f"{tmp_path}/a.csv:3: 1 columns, expected 2 as in the first line"]


def test_a_long_array_is_read_in_pieces(tmp_path: Path) -> None:
    texts = ["x" * (i * 7 % 5000) for i in range(2000)]
    (tmp_path / "a.json").write_bytes(json_array(texts))
    assert contents(tmp_path / "a.json") == [text.encode() for text in texts]


def test_an_endless_array_on_one_line_is_read_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        begun = False

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1 << 20
            begin, self.begun = (b"" if self.begun else b"["), True
            return begin + b'{"text": "\xe7\x8c\xab"}, ' * (size // 18)

    corpus = plan(["-"], stdin=Endless(), format="json")  # type: ignore[arg-type]
    documents = corpus.documents()
    assert [next(documents).content for _ in range(200_000)][-1] == "猫".encode()


def test_parquet_of_any_column_type_is_read(tmp_path: Path) -> None:
    import pyarrow.parquet

    stamps = pa.array([1, None], pa.timestamp("ns"))
    columns = {
        "ns": stamps,
        "zone": pa.array([1, 2], pa.timestamp("ns", "UTC")),
        "day": pa.array([1, 2], pa.date32()),
        "time": pa.array([1, 2], pa.time64("ns")),
        "lasts": pa.array([1, 2], pa.duration("ns")),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        "deep": pa.array([[{"at": 1}], None], pa.list_(pa.struct([("at", pa.timestamp("ns"))]))),
        "dict": pa.array(["p", "q"]).dictionary_encode(),
        "none": pa.nulls(2),
    }
    names = ["text", *columns, "text2", "text2"]
    table = pa.table(
        [pa.array(["x", "y"]), *columns.values(), pa.array([1, 2]), pa.array([3, 4])], names
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    first, second = read(tmp_path / "a.parquet")
    assert (first.content, second.content) == (b"x", b"y")
    assert json.loads(json.dumps(first.metadata, allow_nan=False)) == first.metadata
    assert first.metadata["ns"] == "1970-01-01 00:00:00.000000001"
    assert second.metadata["ns"] is None
    assert first.metadata["map"] == {"a": 1} and first.metadata["dict"] == "p"
    assert (first.metadata["text2"], first.metadata["text2 (2)"]) == (1, 3)
    with pytest.raises(MalformedRecord, match="2 columns are called 'text2'"):
        read(tmp_path / "a.parquet", text_field="text2")


# ---- folders -------------------------------------------------------------------------------------


def make(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def found_in(folder: Path, **options: Any) -> list[str]:
    return [str(Path(file.path).relative_to(folder)) for file in plan([folder], **options).files]


IGNORED = st.lists(
    st.sampled_from(
        [
            "*.log",
            "/a.log",
            "build/",
            "build",
            "!keep.log",
            "sub/*.txt",
            "**/deep",
            "\\",
            "# x",
        ]
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(outer=IGNORED, inner=IGNORED)
def test_gitignore_is_honoured_as_git_does(
    tmp_path_factory: pytest.TempPathFactory, outer: list[str], inner: list[str]
) -> None:
    root = tmp_path_factory.mktemp("repository")
    for name in ("a.log", "keep.log", "sub/a.txt", "sub/build/x", "build/y", "sub/deep/z.log"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ".gitignore").write_text("\n".join(outer))
    (root / "sub" / ".gitignore").write_text("\n".join(inner))
    (root / "visible").write_text("x")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    listing = ["git", "ls-files", "-o", "--exclude-per-directory=.gitignore"]
    listed = subprocess.run(listing, cwd=root, check=True, capture_output=True, text=True)
    expected = {name for name in listed.stdout.split("\n") if name and ".gitignore" not in name}
    assert set(found_in(root)) == expected


def test_the_rules_of_a_repository_hold_in_its_folders(tmp_path: Path) -> None:
    make(tmp_path, _dot_gitignore="*.log\n/data/\n", src__a="a", src__b_dot_log="b", data__c="c")
    assert found_in(tmp_path / "src") == ["a", "b.log"]  # no repository
    (tmp_path / ".git").mkdir()
    assert found_in(tmp_path / "src") == ["a"]
    assert found_in(tmp_path / "src", gitignore=False) == ["a", "b.log"]
    assert found_in(tmp_path / "data") == ["c"]  # it was named itself


def test_what_is_excluded_is_left_out_and_counted(tmp_path: Path) -> None:
    make(tmp_path, a="a", b_dot_log="b", node__c="c", sub__node__d="d", _dot_gitignore="a")
    with pytest.raises(EmptyCorpus, match=r"1 that \.gitignore names .* and 3 excluded"):
        plan([tmp_path], exclude=["*.log", "node/"])
    make(tmp_path, kept="kept")
    notes: list[CorpusWarning] = []
    found = plan([tmp_path], exclude=["*.log", "node/"]).documents(on_note=notes.append)
    assert [document.content for document in found] == [b"kept"]
    assert [note.n_files for note in notes if isinstance(note, FilesSkipped)] == [4]
    for exclude in ("*.log", ["a\\"], [3]):
        with pytest.raises(InvalidParameter, match="exclude"):
            plan([tmp_path], exclude=exclude)  # type: ignore[arg-type]


def test_records_without_the_field_are_text_in_a_folder_and_said(tmp_path: Path) -> None:
    make(tmp_path, package_dot_json='{"name": 1}', a_dot_csv="x,y\n1,2\n")
    notes: list[CorpusWarning] = []
    found = [d.content for d in plan([tmp_path]).documents(on_note=notes.append)]
    assert found == [b"x,y\n1,2\n", b'{"name": 1}']
    assert [type(note) for note in notes] == [ReadAsText, ReadAsText]


def test_a_folder_that_datasets_saved_is_its_rows(tmp_path: Path) -> None:
    for split in ("train", "test"):
        inside = tmp_path / split
        inside.mkdir()
        files = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
        for i, name in enumerate(files):
            (inside / name).write_bytes(arrow(pa.ipc.new_stream)([f"{split} {i}", "x"]))
        (inside / "state.json").write_text(
            json.dumps({"_data_files": [{"filename": n} for n in files]})
        )
        (inside / "dataset_info.json").write_text("{}")
    assert contents(tmp_path / "test") == [b"test 0", b"x", b"test 1", b"x"]
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert len(contents(tmp_path)) == 8


@pytest.mark.parametrize("width", [1, 2, 4])
def test_an_index_of_infini_gram_is_its_documents(tmp_path: Path, width: int) -> None:
    documents = [[1, 2, 3], [4], [5, 6]]
    for shard in range(2):
        ids, offsets = [], []
        for document in documents:
            offsets.append(len(ids) * width)
            ids += [2 ** (8 * width) - 1, *document]
        (tmp_path / f"tokenized.{shard}").write_bytes(np.array(ids, f"<u{width}").tobytes())
        (tmp_path / f"offset.{shard}").write_bytes(np.array(offsets, "<u8").tobytes())
        lines = "".join(json.dumps({"linenum": i}) + "\n" for i in range(3))
        (tmp_path / f"metadata.{shard}").write_text(lines)
        (tmp_path / f"table.{shard}").write_bytes(bytes(30))
    found = read(tmp_path)
    assert [document.content.tolist() for document in found] == documents * 2
    assert [document.metadata for document in found][:3] == [{"linenum": i} for i in range(3)]
    index = infgram.build(tmp_path, tmp_path / "a.infgram", tokenizer="ids", vocab_size=100)
    assert index.count([1, 2, 3]) == 2 and index.count([3, 4]) == 0
    (tmp_path / "tokenized.1").write_bytes(bytes(40))
    with pytest.raises(MalformedRecord, match=r"tokenized\.1: not the tokens"):
        read(tmp_path)


def test_an_unreadable_folder_inside_is_skipped_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    make(tmp_path, a="a", secret__b="b", z="z")
    scan = os.scandir

    def refuse(path: str) -> Any:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    corpus = plan([tmp_path])
    with pytest.raises(InputError, match="secret: permission denied"):
        list(corpus.documents())
    told: list[str] = []
    found = corpus.documents(skip_bad=True, on_bad=told.append)
    assert [document.content for document in found] == [b"a", b"z"]
    assert len(told) == 1 and "secret" in told[0]


# ---- three hundred files -------------------------------------------------------------------------


def test_three_hundred_files_go_in_rightly_are_counted_or_refused_by_name(tmp_path: Path) -> None:
    rng = random.Random(7)
    folder = tmp_path / "corpus"
    folder.mkdir()
    sound: dict[str, list[bytes]] = {}
    binaries, damaged = set(), set()
    words = ["naïve", "日本", "plain", "line\nline", "x" * 300, "ключ"]
    for i in range(300):
        texts = [f"{rng.choice(words)} {i}-{j}" for j in range(rng.randint(1, 4))]
        suffix, compression = rng.choice(list(RECORDS)), rng.choice(list(COMPRESS))
        what = rng.random()
        if what < 0.3:
            encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
            data, name = texts[0].encode(encoding), f"{i}{rng.choice(['', '.txt', '.md', '.TXT'])}"
            expected = [texts[0].encode()]
        elif what < 0.4:
            kind = rng.choice(list(BINARIES))
            name, data, expected = f"{i}.{rng.choice(['txt', 'dat', 'so'])}", BINARIES[kind], []
            compression = ""
            binaries.add(name)
        else:
            ending, write = RECORDS[suffix]
            data, name, expected = write(texts), f"{i}{ending}", [t.encode() for t in texts]
        name, data = name + compression, COMPRESS[compression](data)
        if rng.random() < 0.2 and name not in binaries:
            data = data[: rng.randint(0, max(0, len(data) - 1))]
            damaged.add(name)
        (folder / name).write_bytes(data)
        sound[name] = expected
    notes: list[CorpusWarning] = []
    told: list[str] = []
    found: dict[str, list[bytes]] = {}
    corpus = plan([folder])
    for document in corpus.documents(skip_bad=True, on_bad=told.append, on_note=notes.append):
        found.setdefault(Path(document.source).name, []).append(bytes(document.content))
    for name, expected in sound.items():
        if name in binaries:
            assert name not in found, name
        elif name not in damaged:
            assert found[name] == expected, name
    (skipped,) = [note for note in notes if isinstance(note, FilesSkipped)]
    assert skipped.n_files >= len(binaries)
    named = {Path(message.split(": ")[0]).name.partition(":")[0] for message in told}
    assert named <= damaged
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorpusWarning)
        index = infgram.build(folder, tmp_path / "a.infgram", skip_bad=True)
    whole = [text for name in sorted(found) for text in found[name]]
    indexed = [index.document(i).token_ids.tobytes() for i in range(index.n_documents)]
    assert sorted(len(text) for text in indexed) == sorted(4 * len(text) for text in whole)
    for name in sorted(damaged):
        with suppress(InputError):
            read(folder / name)


# ---- memory --------------------------------------------------------------------------------------


def in_memory(inputs: Any, **options: Any) -> list[Any]:
    corpus, _ = plan_any(inputs, **options)
    found = [document.content for document in corpus.documents()]
    return [each if isinstance(each, bytes) else each.tolist() for each in found]


def test_text_in_memory_is_a_corpus() -> None:
    texts = [b"to be", b"or not"]
    assert in_memory(["to be", "or not"]) == texts
    assert in_memory(text for text in ("to be", "or not")) == texts
    assert in_memory(({"body": t, "n": 1} for t in ("to be", "or not")), text_field="body") == texts
    assert in_memory(np.array(["to be", "or not"])) == texts
    assert in_memory(pa.chunked_array([["to be"], ["or not"]])) == texts
    assert in_memory(pa.table({"text": ["to be", "or not"]})) == texts
    assert in_memory(io.StringIO("to be\nor not\n")) == [b"to be\nor not\n"]
    assert in_memory(io.BytesIO(b"to be\nor not\n"), documents="line") == texts
    assert in_memory([{"m": [{"c": "a"}, {"c": "b"}]}], text_field="m[].c") == [b"a\nb"]
    assert in_memory([[1, 2], np.array([3]), (4, np.int64(5)), []]) == [[1, 2], [3], [4, 5], []]
    assert in_memory(np.array([1, 0, 2])) == [[1, 0, 2]]
    assert in_memory(np.array([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]
    assert in_memory(np.array([1, 0, 2, 0, 0]), separator=0) == [[1], [2]]


def test_data_frames_are_their_rows() -> None:
    class Pandas:
        columns = ("id", "text")

        def itertuples(self, **_: Any) -> Any:
            return iter([(1, "a"), (2, "b")])

    class Polars:
        def iter_rows(self, *, named: bool) -> Any:
            return iter([{"text": "a"}, {"text": "b"}] if named else [])

    assert in_memory(Pandas()) == in_memory(Polars()) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("to be", r"'to be'.*If it is a path.*if it is the text itself"),
        (["no/such.txt"], "If these are paths, check them; if they are texts"),
        ([1.5], "memory:1: .*found float"),
        (["a b", None], "memory:2: .*found NoneType"),
        ({"train": ["a"]}, "mapping with 'train'"),
        (7, "inputs are int"),
        ((Path(name) for name in "ab"), "memory:1: .*give paths in a list"),
        (b"text", "give texts in a list"),
        ([{"body": "a"}], "memory:1: no field 'text', only 'body'"),
    ],
)
def test_what_is_neither_path_nor_text_is_refused(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        in_memory(inputs)


def test_options_that_fit_nothing_are_refused() -> None:
    options: list[dict[str, Any]] = [{"text_field": 3}, {"text_field": ""}, {"separator": -1}]
    for option in [*options, {"encoding": "idna9"}, {"encoding": "rot13"}, {"format": "docx"}]:
        with pytest.raises(InvalidParameter, match=next(iter(option))):
            plan(["-"], **option)


def test_the_command_line_offers_every_format() -> None:
    assert get_args(Format) == FORMATS


def test_paths_and_texts_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path, a="in a file")
    there = str(tmp_path / "a")
    assert in_memory(there) == in_memory([there]) == in_memory([Path(there)]) == [b"in a file"]
    with pytest.raises(InputError, match=r"gone.*and .* is one"):
        in_memory([there, str(tmp_path / "gone")])
    with pytest.raises(InputError, match="no such file"):
        in_memory([tmp_path / "gone"])
    assert in_memory(iter(["no/such.txt"])) == [b"no/such.txt"]


def test_a_generator_is_read_once_and_not_held() -> None:
    corpus, _ = plan_any(f"text {i}" for i in iter(int, 1))
    documents = corpus.documents()
    assert [next(documents).line for _ in range(1000)][-1] == 1000


# ---- token arrays --------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(st.integers(0, 3), max_size=30))
def test_separators_cut_arrays_into_documents(folder: Path, ids: list[int]) -> None:
    expected = [list(map(int, part)) for part in "".join(map(str, ids)).split("0") if part]
    np.save(folder / "s.npy", np.array(ids, np.uint16))
    (folder / "s.bin").write_bytes(np.array(ids, "<u2").tobytes())
    for name in ("s.npy", "s.bin"):
        found = contents(folder / name, token_dtype="uint16", separator=0)
        assert [each.tolist() for each in found] == expected


def test_a_row_of_an_array_is_a_document(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2], [3, 4]]))
    found = read(tmp_path / "a.npy")
    assert [(d.line, d.content.tolist()) for d in found] == [(1, [1, 2]), (2, [3, 4])]


# ---- lines ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    text=st.text("a\nbé", min_size=1, max_size=60),
    split=st.sampled_from(["file", "line", "paragraph"]),
    tokenizer=st.sampled_from(["bytes", "chars"]),
)
def test_matches_tell_their_lines_and_columns(
    folder: Path, text: str, split: Any, tokenizer: str
) -> None:
    text += "b"
    path = folder / "lines.txt"
    path.write_text(text, newline="")
    index = infgram.build(
        path,
        folder / "lines.infgram",
        documents=split,
        tokenizer=tokenizer,
        overwrite=True,
        shard_tokens=80,
    )
    found = [(match.line, match.column) for match in index.find("b", limit=1000)]
    expected = [
        (number, column)
        for number, line in enumerate(text.split("\n"), 1)
        for column, character in enumerate(line, 1)
        if character == "b"
    ]
    assert found == expected


def test_a_match_in_a_record_has_the_line_of_the_record(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n" + json_lines(["x\ny\nword", "word"]))
    (tmp_path / "b.txt").write_text("\none\ntwo word\n\nword\n")
    inputs = [tmp_path / "a.jsonl", tmp_path / "b.txt"]
    index = infgram.build(inputs, tmp_path / "a.infgram", documents="paragraph", two_sided=True)
    found = [(match.line, match.column) for match in index.find("word", limit=9)]
    assert found == [(2, 0), (3, 0), (3, 5), (5, 1)]
    index.verify()


def test_lines_are_told_of_tokens_that_keep_them(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=280,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = "one two\n\n\n three word\n" * 5
    trained.train_from_iterator([text], trainer)
    trained.save(str(tmp_path / "t.json"))
    (tmp_path / "a.txt").write_text(text)
    index = infgram.build(tmp_path / "a.txt", tmp_path / "a.infgram", tokenizer=tmp_path / "t.json")
    assert [match.line for match in index.find(" word")] == [4, 8, 12, 16, 20]
