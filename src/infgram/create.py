"""From inputs to an index, and to its discounts where they are asked for."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal

from .errors import (
    BadRecordSkipped,
    CorpusWarning,
    IndexExists,
    IndexReplaced,
    InvalidParameter,
    TokenError,
    UnknownTokens,
)
from .index import Index, check_index
from .models.calibration import calibrate as fit_discounts
from .store.building import MAX_SHARD_TOKENS, build_index, place_of
from .store.converting import convert_index
from .store.layout import FAST, check_layout
from .store.parts import Part, finished, part_of
from .store.storage import Progress
from .text import corpus, tokens
from .text.corpus import Corpus, Format, InMemory, Split, TokenDtype
from .text.reading.document import Document
from .text.tokens import Tokenizer

Layout = Literal["fast", "compact"]

_NAME = "memory.infgram"  # of an index that nobody named


def build(
    inputs: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    tokenizer: str | os.PathLike[str] | Tokenizer = "bytes",
    documents: Split = "file",
    glob: str = "**/*",
    exclude: Sequence[str] = (),
    gitignore: bool = True,
    text_field: str = "text",
    format: Format | None = None,
    encoding: str | None = None,
    token_dtype: TokenDtype | None = None,
    separator: int | None = None,
    vocab_size: int | None = None,
    shard_tokens: int = MAX_SHARD_TOKENS,
    jobs: int = 1,
    two_sided: bool = False,
    layout: Layout = "fast",
    part: tuple[int, int] | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
    calibrate: bool = False,
    progress: Progress | None = None,
) -> Index:
    """Builds an index from files, folders or text in memory, and opens it.

    - `inputs`: paths of files and folders, or "-" for standard input: text, JSON lines, `.json`,
      CSV, Parquet, Arrow, token arrays (`.npy`, `.u16`, `.u32`), most also compressed with gzip,
      bzip2, xz or zstd; folders that `datasets` saved, indexes of infini-gram. Or what is in
      memory: an iterable of strings, of dicts with the text in `text_field`, or of token ids; a
      data frame or a column of one, a table of pyarrow, an array, an open file. An iterator is read
      once, and one item is held at a time. A `Path` is a path, and so is a string that exists as
      one.
    - `path`: the index folder to make. It appears when the build has ended, or not at all. None: a
      folder for temporary files, removed with the index that is returned.
    - `tokenizer`: "bytes", "chars", a `tokenizers` JSON file or a model folder that has one,
      "tiktoken:NAME", or "ids" (with `vocab_size`) for inputs that are token ids already.
    - `documents`: what a document of plain text is. No match crosses documents.
    - `glob`, `exclude`: which files to read from folders; `exclude` takes globs as in .gitignore.
    - `gitignore`: leave out what .gitignore names.
    - `text_field`: the field of a record, or the column of a table, that holds the text, or a path
      to it such as `messages[].content`, of which all are joined by newlines; other fields are
      kept.
    - `format`: what the inputs are, whatever their names say; "bytes" is any file as it is.
    - `encoding`: of text without a byte order mark, such as "latin-1".
    - `token_dtype`: the width of token ids in `.bin` files; `separator`: the id between documents.
    - `shard_tokens`, `jobs`: a larger corpus is split; `jobs` processes sort shards at once.
    - `two_sided`: also index every document read backwards, which tells what stood before a text
      (`Index.backwards`). Twice the time and the size.
    - `layout`: "fast" takes 7 to 8 bytes a byte of text; "compact" about half a byte, or two bytes
      a token id. It counts, finds and tells next tokens and levels several times slower and
      generates with SBIS; Kneser-Ney, `Mix`, `repeats` and what stands on them are refused with
      NeedsFastLayout. `convert` makes one of the other.
    - `part`: (i, n) builds part i of n, from 1 on, of an index of all inputs, which `join` makes of
      the parts; each may be built on another machine, from the same list of files. A part has whole
      files, a run of them of about an n-th of all bytes. One that stands at `path` already, of the
      same names and sizes of files, is not built again.
    - `overwrite`: replace an index that stands at `path`, once the new one is whole.
    - `skip_bad`: report broken records as warnings and go on.
    - `calibrate`: fit the discounts of Kneser-Ney at once. Otherwise the first model that needs
      them does, or `infgram.calibrate`.
    - `progress`: called with (stage, done, total).

    What is no error but should be known comes as a `CorpusWarning`: files of folders that hold no
    text, text that is not UTF-8.

    The index that is returned is the one that was built, even if another process has replaced it by
    then. Warns with UnknownTokens if the tokenizer has no token for some of the text. Raises
    InputError, TokenError, StorageError and what derives from them.

    >>> import infgram
    >>> index = infgram.build(["to be", "or not to be"])
    >>> index.count("to be"), index.n_documents
    (2, 2)
    """
    check_layout(layout)
    if calibrate and layout != FAST:
        raise InvalidParameter(
            f"calibrate is True and layout {layout!r}, expected 'fast': discounts are of "
            "Kneser-Ney, which the compact layout has not got"
        )
    if isinstance(tokenizer, (str, os.PathLike)):
        tokenizer = tokens.load(tokenizer, vocab_size=vocab_size)
    plan, names = corpus.plan_any(
        inputs,
        glob=glob,
        exclude=exclude,
        gitignore=gitignore,
        documents=documents,
        text_field=text_field,
        format=format,
        encoding=encoding,
        token_dtype=token_dtype,
        separator=separator,
    )
    one: Part | None = None
    if part is not None:
        path, plan = _for_parts(path, plan, part, two_sided=two_sided, calibrate=calibrate)
        decisive = {"tokenizer": tokenizer.spec(), "shard_tokens": shard_tokens, "layout": layout}
        one, plan = part_of(plan, *part, {**decisive, "skip_bad": skip_bad})
        if (built := finished(path, one)) is not None:
            return Index.of(built, path)
    found, on_bad = _documents_in(plan, tokenizer, skip_bad=skip_bad, progress=progress)
    with ExitStack() as until_built:
        if path is None:
            folder = tempfile.mkdtemp(prefix="infgram-")
            until_built.callback(shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder, _NAME)
        try:
            stored = build_index(
                found,
                path,
                tokenizer=tokenizer,
                shard_tokens=shard_tokens,
                jobs=jobs,
                two_sided=two_sided,
                layout=layout,
                overwrite=overwrite,
                part=one,
                description={"inputs": names, "documents": documents},
                on_bad=on_bad,
                progress=progress,
            )
        except IndexExists:  # another process may just have built the same part
            if one is None or (built := finished(Path(path), one)) is None:
                raise
            stored = built
        index = Index.of(stored, Path(path))
        index.keep(folder_of_it := _Folder())
        weakref.finalize(folder_of_it, _close, until_built.pop_all(), os.getpid())
    if index.n_unknown:
        warnings.warn(
            f"{index.n_unknown:,} of {index.n_tokens:,} tokens are unknown to the tokenizer: their "
            "text is lost, and no query finds it; use a tokenizer that knows it, or bytes",
            UnknownTokens,
            stacklevel=2,
        )
    if calibrate:
        if progress:
            progress("calibrate", 0, 1)
        with suppress(IndexReplaced):  # the index that is returned stays what was built
            fit_discounts(index)
            if two_sided:
                fit_discounts(index.backwards)
        if progress:
            progress("calibrate", 1, 1)
    return index


def documents_of(
    inputs: Any, tokenizer: Tokenizer, *, skip_bad: bool, progress: Progress | None, **reading: Any
) -> tuple[Iterator[Document], list[str], Callable[[str], None] | None]:
    """The documents of inputs, their names, and who is told of those that are left out, if any are.

    `reading`: what `build` takes that says how they are read. Warns for the caller of its caller.
    """
    plan, names = corpus.plan_any(inputs, **reading)
    found, told = _documents_in(plan, tokenizer, skip_bad=skip_bad, progress=progress)
    return found, names, told


def _documents_in(
    plan: Corpus | InMemory, tokenizer: Tokenizer, *, skip_bad: bool, progress: Progress | None
) -> tuple[Iterator[Document], Callable[[str], None] | None]:
    read = [0]

    def on_bytes(n: int) -> None:
        read[0] += n
        if progress:
            progress("read", read[0], plan.n_bytes)

    def on_bad(message: str) -> None:
        warnings.warn(message, BadRecordSkipped, stacklevel=3)

    def on_note(note: CorpusWarning) -> None:
        warnings.warn(note, stacklevel=3)

    found = plan.documents(skip_bad=skip_bad, on_bad=on_bad, on_bytes=on_bytes, on_note=on_note)
    told = on_bad if skip_bad else None
    return _that_fit(found, tokenizer, told), told


def _for_parts(
    path: str | os.PathLike[str] | None,
    plan: Corpus | InMemory,
    part: object,
    *,
    two_sided: bool,
    calibrate: bool,
) -> tuple[Path, Corpus]:
    """Where a part goes, and the files of all. Raises InvalidParameter where none can be built."""
    if not isinstance(part, tuple) or len(part) != 2:
        raise InvalidParameter(f"part is {part!r}, expected two numbers: (i, n) is part i of n")
    for name, given in (("two_sided", two_sided), ("calibrate", calibrate)):
        if given:
            raise InvalidParameter(
                f"{name} is True, expected False for a part: only an index in one piece has that"
            )
    if isinstance(plan, InMemory):
        raise InvalidParameter(
            "a part is asked for of what is in memory, expected files, which are cut by their sizes"
        )
    if path is None:
        raise InvalidParameter("a part is asked for without a path, expected one for `join`")
    return Path(path), plan


def convert(
    index: Index,
    path: str | os.PathLike[str],
    *,
    layout: Layout,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Index:
    """Writes an index in another layout, "fast" or "compact", as a build would have made it.

    - `path`: the index folder to make. It appears when it is whole, or not at all.
    - `overwrite`: replace an index that stands there.
    - `progress`: called with ("convert", rows done, rows).

    Takes about as long as a build without the sort. What was fitted to the index (discounts, what
    `Mix` learnt) is not taken along. Raises CorruptIndex, IndexExists, InvalidParameter,
    StorageError.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> small = infgram.convert(index, "small.infgram", layout="compact")
    >>> small.count("to be"), small.layout
    (2, 'compact')
    """
    check_index(index=index)
    index.need_one_piece("convert")
    stored = convert_index(
        index.stored, path, layout=layout, overwrite=overwrite, progress=progress
    )
    return Index.of(stored, Path(path))


class _Folder:
    """As long as it lives, the index has a folder."""


def _close(stack: ExitStack, process: int) -> None:
    """In the process that built: one that was forked from it has the same index, and its end."""
    if os.getpid() == process:
        stack.close()


def _that_fit(
    documents: Iterable[Document], tokenizer: Tokenizer, on_bad: Callable[[str], None] | None
) -> Iterator[Document]:
    """Documents, but no token ids where tokens are bytes or characters.

    A number below 256 could be a byte, and would be taken for one without a word.
    """
    for document in documents:
        if tokenizer.name in ("bytes", "chars") and not isinstance(document.content, bytes):
            message = (
                f"{place_of(document)}: holds token ids, and the tokenizer is {tokenizer.name!r}, "
                "which reads text: name the tokenizer that made them (tokenizer=FILE), or give "
                "tokenizer='ids' and vocab_size=N"
            )
            if on_bad is None:
                raise TokenError(message)
            on_bad(message)
            continue
        yield document
