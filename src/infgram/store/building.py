"""Documents to shards. Alone in importing pydivsufsort.

A build has two phases. *Ingest* reads the documents once, writes their token ids to one spool file
a shard and learns which ids occur. *Sort* turns each spool into the columns of its shard: the text
as codes, the suffix array of the reversed text, and what is computed from the two. Shards are
independent, so processes may sort them in parallel. A two-sided index has a second one in it, whose
spools hold each document read backwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..checks import whole
from ..errors import EmptyCorpus, InputError, StorageError, TokenError, UndecodableText
from ..text.corpus import Document
from ..text.tokens import Tokenizer
from .deriving import compact_columns, fast_columns, next_tokens
from .documents import PLAIN_TEXT, RECORDS
from .generations import building
from .layout import COMPACT, FAST, check_layout
from .memory import enough, require
from .parts import Part, alphabet
from .storage import BACKWARDS, IndexWriter, Progress, StoredIndex, bind

MAX_SHARD_TOKENS = 2**31 - 2
Encoded: TypeAlias = tuple[Document, NDArray[Any] | InputError | TokenError]
"""A document with its token ids, of the tokenizer's dtype, or why it has none."""
_CHUNK_TOKENS = 1 << 20


def build_index(
    documents: Iterable[Document],
    path: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer,
    shard_tokens: int = MAX_SHARD_TOKENS,
    jobs: int = 1,
    two_sided: bool = False,
    layout: str = FAST,
    overwrite: bool = False,
    part: Part | None = None,
    description: Mapping[str, object] | None = None,
    on_bad: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> StoredIndex:
    """Builds an index folder at `path` from documents and opens what it has built.

    - `shard_tokens` bounds the rows of a shard: its tokens, a boundary a document, one at the end.
    - `jobs` is how many processes sort shards at once; each takes 6 to 7 bytes a token of its
      shard for byte-wide codes.
    - `layout`: "fast" or "compact".
    - `two_sided`: also the index of every document read backwards, in a folder of its own inside.
    - `part`: these are the documents of one part of a build.
    - `description` is kept in the manifest.
    - `on_bad`, where given, is told of documents that cannot be encoded, and they are left out.
    - `progress` is called with ("sort", done, total).

    Nothing exists at `path` until the index is whole. The index that is returned is the one that
    was built, whatever other builds have put into its place by then.

    Raises EmptyCorpus, InputError, TokenError, IndexExists, StorageError, OutOfMemory.
    """
    whole(2, MAX_SHARD_TOKENS, shard_tokens=shard_tokens)
    whole(1, jobs=jobs)
    check_layout(layout)
    with (
        enough("building the index", "use smaller shards or fewer jobs, or raise the limit"),
        building(Path(path), overwrite=overwrite) as new,
    ):
        write_index(
            encoded(documents, tokenizer),
            new.folder,
            tokenizer=tokenizer,
            known=None if part is None else alphabet(tokenizer),
            part=part,
            shard_tokens=shard_tokens,
            jobs=jobs,
            two_sided=two_sided,
            layout=layout,
            description=description,
            on_bad=on_bad,
            progress=progress,
        )
        return new.publish(partial(bind, path=Path(path, new.folder.name)))


def write_index(
    documents: Iterable[Encoded],
    folder: Path,
    *,
    tokenizer: Tokenizer,
    known: NDArray[np.uint32] | None = None,
    part: Part | None = None,
    shard_tokens: int = MAX_SHARD_TOKENS,
    jobs: int = 1,
    two_sided: bool = False,
    layout: str = FAST,
    description: Mapping[str, object] | None = None,
    on_bad: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray[np.uint32], int]:
    """Writes the files of an index into a folder; returns its token ids by code, and a code's bits.

    Options as in `build_index`. `known`: of a segment of an index that grows, or of a part, the
    token ids that have a code there: they keep it, and those that are new come behind. Such a
    segment may hold empty documents alone.
    """
    report: Progress = progress or (lambda _stage, _done, _total: None)
    started = time.perf_counter()
    writer = IndexWriter(folder)
    shards = _ingest(documents, writer, shard_tokens, on_bad, may_be_empty=known is not None)
    token_ids = _distinct_ids(folder, shards, tokenizer.dtype)
    if known is not None:
        token_ids = np.concatenate([known, token_ids[~np.isin(token_ids, known)]])
    writer.write("token_ids", token_ids)
    if tokenizer.file is not None:
        writer.write("tokenizer.json", np.frombuffer(tokenizer.file, np.uint8))
    sides = [_Side(writer, shards)]
    if two_sided:
        sides.append(_backwards(writer, shards, tokenizer.dtype))
    n_codes = len(token_ids) + 1
    plan = _Plan(
        folder=str(folder),
        spool_dtype=tokenizer.dtype.name,
        n_codes=n_codes,
        code_bits=_code_bits(n_codes),
        block_rows=_block_rows(n_codes),
        threads=max(1, (os.cpu_count() or 1) // jobs),
        layout=layout,
    )
    tasks = [(side.plan(plan), shard) for side in sides for shard in side.shards]
    results = iter(_sort_all(tasks, jobs, report))
    fields = {
        "infgram": native.version(),
        "created": "" if part else datetime.now(UTC).isoformat(timespec="seconds"),
        "tokenizer": tokenizer.spec(),
        "code_bits": plan.code_bits,
        "block_rows": plan.block_rows,
        **({} if layout == FAST else {"layout": layout}),
        **({} if part is None else {"part": part.fields()}),
        "n_tokens": sum(s["n_tokens"] for s in shards),
        "n_documents": sum(s["n_documents"] for s in shards),
    }
    for side in sides:
        for shard in side.shards:
            result = next(results)
            side.writer.files.update(result["files"])
            shard["end_row"] = result["end_row"]
    # The other side first: the manifest outside is the last file, and names the one inside.
    for side in reversed(sides):
        seconds = {} if part else {"seconds": _seconds_since(started)}
        inside = {"build": {**(description or {}), **seconds}}
        identity = side.writer.finish({**fields, "shards": side.shards, **inside})
        fields["backwards"] = identity
    return token_ids, plan.code_bits


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 3)


# Ingest -------------------------------------------------------------------------------------------


class _Spool:
    """One shard's documents on their way in: token ids in a file, the rest in memory."""

    def __init__(
        self,
        name: str,
        writer: IndexWriter,
        sources: dict[str, int],
        kinds: bytearray,
        files: ExitStack,
    ) -> None:
        self.name = name
        self.n_tokens = 0
        self._writer = writer
        self._sources = sources  # shared by all shards, as the kinds are
        self._kinds = kinds
        self._documents = array("I")  # position of each one's boundary
        self._document_sources = array("I")
        self._lines = array("I")
        self._metadata = bytearray()
        self._metadata_lengths = array("Q")
        self._file = files.enter_context(open(_spool_path(writer.folder, name), "wb"))

    @property
    def n_rows(self) -> int:
        return self.n_tokens + len(self._documents)

    def append(self, document: Document, ids: NDArray[Any]) -> None:
        self._documents.append(self.n_rows)
        self._file.write(ids.data)
        self.n_tokens += len(ids)
        source = self._sources.setdefault(document.source, len(self._sources))
        if source == len(self._kinds):
            self._kinds.append(PLAIN_TEXT)
        if not document.is_text:
            self._kinds[source] = RECORDS
        self._document_sources.append(source)
        self._lines.append(document.line)
        metadata = b""
        if document.metadata:
            metadata = json.dumps(document.metadata, allow_nan=False).encode()
        self._metadata += metadata
        self._metadata_lengths.append(len(metadata))

    def close(self, *, last: bool) -> dict[str, Any]:
        """Writes the document columns; returns the shard's entry in the manifest.

        The last document of the corpus has no end of text, so only the last shard lacks a boundary
        at its end.
        """
        self._file.close()
        n_documents = len(self._documents)
        self._documents.append(self.n_rows)
        for column, values in [
            ("documents", self._documents),
            ("document_sources", self._document_sources),
            ("document_lines", self._lines),
        ]:
            self._writer.write(f"{self.name}/{column}", np.asarray(values, np.uint32))
        if self._metadata:
            self._writer.write_strings(
                f"{self.name}/metadata",
                np.asarray(self._metadata_lengths, np.uint64),
                np.frombuffer(self._metadata, np.uint8),
                optional=True,
            )
        n_rows = self.n_tokens + n_documents + (0 if last else 1)
        return {
            "name": self.name,
            "n_rows": n_rows,
            "n_tokens": self.n_tokens,
            "n_documents": n_documents,
        }


def _spool_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.spool"


def _ingest(
    documents: Iterable[Encoded],
    writer: IndexWriter,
    shard_tokens: int,
    on_bad: Callable[[str], None] | None,
    *,
    may_be_empty: bool,
) -> list[dict[str, Any]]:
    """Writes every document's tokens to its shard's spool; returns the shards' manifest entries."""
    sources: dict[str, int] = {}
    kinds = bytearray()
    shards: list[dict[str, Any]] = []
    with ExitStack() as files:
        spool = _Spool("shard-00000", writer, sources, kinds, files)
        for document, ids in documents:
            if isinstance(ids, Exception):
                if on_bad is None:
                    raise ids
                on_bad(str(ids))
                continue
            if len(ids) + 2 > shard_tokens:
                raise InputError(
                    f"{place_of(document)}: a document of {len(ids)} tokens does not fit a shard "
                    f"of {shard_tokens}: split it into smaller documents (lines, paragraphs)"
                )
            if spool.n_rows + len(ids) + 2 > shard_tokens:
                shards.append(spool.close(last=False))
                spool = _Spool(f"shard-{len(shards):05d}", writer, sources, kinds, files)
            spool.append(document, ids)
        shards.append(spool.close(last=True))
    if not any(shard["n_tokens"] for shard in shards) and not (may_be_empty and sources):
        found = "every document is empty" if sources else "there is no document"
        raise EmptyCorpus(f"the corpus has no tokens ({found}): nothing to index")
    writer.write_strings("sources", *_join([os.fsencode(source) for source in sources]))
    writer.write("source_kinds", np.frombuffer(kinds, np.uint8))
    return shards


def encoded(documents: Iterable[Document], tokenizer: Tokenizer) -> Iterator[Encoded]:
    """Documents with their token ids, or an error that says where it is.

    The tokenizer reads ahead: what it has taken and not yet encoded waits here.
    """
    waiting: deque[Document] = deque()

    def contents() -> Iterator[bytes | NDArray[Any]]:
        for document in documents:
            waiting.append(document)
            yield document.content

    for ids in tokenizer.encode_all(contents()):
        document = waiting.popleft()
        yield document, _placed(ids, document) if isinstance(ids, Exception) else ids


def _placed(error: InputError | TokenError, document: Document) -> InputError | TokenError:
    hint = ""
    if isinstance(error, UndecodableText):
        hint = "; if it is in another encoding, name it (--encoding, encoding=)"
    placed = type(error)(f"{place_of(document)}: {error}{hint}")
    placed.__cause__ = error
    return placed


def place_of(document: Document) -> str:
    """Where it stands, for messages: source:line."""
    return f"{document.source}:{document.line}" if document.line else document.source


def _distinct_ids(
    folder: Path, shards: Sequence[Mapping[str, Any]], dtype: np.dtype[Any]
) -> NDArray[np.uint32]:
    """Every token id that occurs, rising."""
    small = np.zeros(_CHUNK_TOKENS, np.bool_)
    large: NDArray[np.uint32] = np.zeros(0, np.uint32)
    for shard in shards:
        with open(_spool_path(folder, shard["name"]), "rb") as spool:
            while len(chunk := np.fromfile(spool, dtype, _CHUNK_TOKENS)):
                if int(chunk.max()) < len(small):
                    small[chunk] = True
                else:
                    is_small = chunk < len(small)
                    small[chunk[is_small]] = True
                    large = np.union1d(large, chunk[~is_small].astype(np.uint32))
    return np.concatenate([np.flatnonzero(small).astype(np.uint32), large])


def _join(strings: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    lengths = np.array([len(s) for s in strings], np.uint64)
    return lengths, np.frombuffer(b"".join(strings), np.uint8)


# The other side -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """An index on its way: its writer, and its shards as the manifest lists them."""

    writer: IndexWriter
    shards: list[dict[str, Any]]

    def plan(self, plan: _Plan) -> _Plan:
        """The plan, for this side's folder."""
        return replace(plan, folder=str(self.writer.folder))


def _backwards(
    writer: IndexWriter, shards: Sequence[Mapping[str, Any]], dtype: np.dtype[Any]
) -> _Side:
    """Spools with every document read backwards; all that is known of documents stays as it is."""
    backwards = IndexWriter(writer.folder / BACKWARDS)
    for name in list(writer.files):
        backwards.copy(name, writer)
    for shard in shards:
        spool = np.fromfile(_spool_path(writer.folder, shard["name"]), dtype)
        documents = np.fromfile(
            writer.folder / shard["name"] / "documents", np.uint32, shard["n_documents"] + 1
        )
        ends = (documents[1:] - np.arange(1, len(documents), dtype=np.uint32)).tolist()
        begin = 0
        for end in ends:
            spool[begin:end] = spool[begin:end][::-1].copy()
            begin = end
        spool.tofile(_spool_path(backwards.folder, shard["name"]))
    return _Side(backwards, [dict(shard) for shard in shards])


# Sort ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """What a process must know to sort a shard."""

    folder: str
    spool_dtype: str
    n_codes: int
    code_bits: int
    block_rows: int
    threads: int
    layout: str


def _sort_all(
    tasks: Sequence[tuple[_Plan, Mapping[str, Any]]], jobs: int, report: Progress
) -> list[dict[str, Any]]:
    """Sorts every shard, `jobs` at once; returns the files written and the end rows, in order."""
    total = _STEPS * sum(shard["n_rows"] for _, shard in tasks)
    if jobs == 1 or len(tasks) == 1:
        done = 0

        def step(n_rows: int) -> None:
            nonlocal done
            done += n_rows
            report("sort", done, total)

        return [_sort_shard(plan, shard, partial(step, shard["n_rows"])) for plan, shard in tasks]
    workers: list[subprocess.Popen[bytes]] = []
    finished = [0]

    def run(task: tuple[_Plan, Mapping[str, Any]]) -> dict[str, Any]:
        plan, shard = task
        # A fresh interpreter: no state is inherited and the caller's script is not imported again.
        # -P: nor does it import from the current folder.
        with subprocess.Popen(
            [sys.executable, "-P", "-c", "from infgram.store.building import _worker; _worker()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ) as worker:
            workers.append(worker)
            assert worker.stdin and worker.stdout
            with suppress(OSError):  # it has ended already; its exit code says more
                worker.stdin.write(json.dumps([asdict(plan), shard]).encode() + b"\n")
            # its input stays open until it has ended: how it knows that this process lives
            said = worker.stdout.read().decode(errors="replace").splitlines()
        if worker.returncode < 0:
            raise StorageError(
                f"sorting {shard['name']} was killed by signal {-worker.returncode}; if memory ran "
                "out, use fewer jobs or smaller shards"
            )
        if worker.returncode:
            last = said[-1:] or [f"exit code {worker.returncode}"]
            raise StorageError(f"sorting {shard['name']} failed: {last[0]}")
        result: dict[str, Any] = json.loads(said[-1])
        if "errno" in result:
            raise OSError(result["errno"], os.strerror(result["errno"]))
        if "memory" in result:
            raise MemoryError(result["memory"])
        finished[0] += _STEPS * shard["n_rows"]
        report("sort", finished[0], total)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(run, tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.kill()
            raise


def _worker() -> None:
    """Entry of a sorting process: a task on standard input, its result on standard output."""
    plan, shard = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=[sys.stdin.fileno()], daemon=True).start()
    try:
        result = _sort_shard(_Plan(**plan), shard, step=lambda: None)
    except OSError as error:
        result = {"errno": error.errno}
    except MemoryError as error:
        result = {"memory": str(error)}
    json.dump(result, sys.stdout)


def _end_with(pipe: int) -> None:
    """Ends this process when the other end of a pipe is closed."""
    os.read(pipe, 1)
    os._exit(1)


_STEPS = 3


def _sort_shard(plan: _Plan, shard: Mapping[str, Any], step: Callable[[], None]) -> dict[str, Any]:
    """Computes and writes the columns of one shard, calling `step` _STEPS times on the way.

    For byte-wide codes the peak is 6 bytes a row: a column is written, let go of and mapped back.
    Of the fast layout those are the text, the position of the row before each position, and one
    more byte; of the compact one the text, the suffix array and `next`.
    """
    folder, name = Path(plan.folder), shard["name"]
    writer = IndexWriter(folder)
    n_documents, n_rows = shard["n_documents"], shard["n_rows"]
    documents = np.fromfile(folder / name / "documents", np.uint32, n_documents + 1)
    token_ids = np.fromfile(folder / "token_ids", np.uint32, plan.n_codes - 1)

    def write(column: str, values: NDArray[Any]) -> NDArray[Any]:
        return writer.write_mapped(f"{name}/{column}", values)

    spool = _spool_path(folder, name)
    ids = np.fromfile(spool, plan.spool_dtype)
    codes = np.empty(n_rows, f"uint{plan.code_bits}")
    native.assemble(ids, np.diff(documents) - np.uint32(1), token_ids, codes)
    del ids
    spool.unlink()
    if plan.layout == COMPACT:
        step()
        sa = _suffix_array(codes)
        step()
        buckets = np.asarray(native.count_buckets(codes, plan.n_codes))
        next_, end_row = next_tokens(codes, sa)
        del codes
        compact_columns(write, next_, sa, buckets)
    else:
        codes = write("codes", codes)
        step()
        order = _suffix_array(codes)
        sa = write("sa", order)
        step()
        end_row = fast_columns(
            write,
            codes,
            sa,
            scratch=order,
            n_codes=plan.n_codes,
            block_rows=plan.block_rows,
            threads=plan.threads,
        )
    step()
    return {"files": writer.files, "end_row": end_row}


def _suffix_array(codes: NDArray[Any]) -> NDArray[np.uint32]:
    """Positions 1..n sorted by what stands before them, read backwards.

    The suffix array of the reversed text: its suffix at s is the context of position n - s.
    """
    from pydivsufsort import divsufsort  # only builds pay for this import

    n = len(codes)
    # It ends the process where it finds no memory for its threads.
    require(5 * codes.nbytes, n_threads=os.cpu_count() or 1)
    order: NDArray[Any] = divsufsort(codes[::-1].copy())  # it refuses a map
    np.subtract(n, order, out=order)
    return order.view(np.uint32) if order.dtype == np.int32 else order.astype(np.uint32)


def _code_bits(n_codes: int) -> int:
    return 8 if n_codes <= 1 << 8 else 16 if n_codes <= 1 << 16 else 32


def _block_rows(n_codes: int) -> int:
    """Rows between two rank checkpoints: about 0.9 bytes of checkpoints a row, or less."""
    rows = 64
    while 2 * n_codes > 0.9 * rows:
        rows *= 2
    return rows
