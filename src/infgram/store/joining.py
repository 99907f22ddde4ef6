"""Parts of a build, made anywhere, become one index: a list of segments that are those parts.

A part's files are linked into the index, or copied where they cannot be. Nothing in the joined
index is drawn by chance, so whoever joins the same parts gets the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path

from ..errors import PartsDoNotFit, StorageError
from ..text.tokens import Tokenizer
from .building import write_index
from .directory import Directory, locked, sync
from .generations import MANIFEST, building, remove_others
from .growing import all_documents
from .memory import enough
from .parts import Part, read_part
from .segments import Segment, Segments, open_segments
from .storage import Progress, StoredIndex, bind, check_sums, note_links

_CHUNK = 1 << 22
_Parts = Sequence[StoredIndex]


def open_parts(paths: Sequence[Path]) -> list[StoredIndex]:
    """Opens all parts of one build, in their order. Raises PartsDoNotFit, StorageError."""
    found: dict[int, tuple[Path, StoredIndex, Part]] = {}
    for path in paths:
        stored, part = _open_part(path)
        if found:
            first_path, _, first = next(iter(found.values()))
            if part.build != first.build:
                raise PartsDoNotFit(
                    f"{path} and {first_path} are parts of different builds: "
                    f"{_difference(part, first)}; build all parts with the same options from the "
                    "same files"
                )
        if part.number in found:
            raise PartsDoNotFit(
                f"part {part.number} of {part.of} is double: {found[part.number][0]} and {path}; "
                "give each part once"
            )
        found[part.number] = path, stored, part
    if not found:
        raise PartsDoNotFit("there is no part: give the parts that `infgram build --part` made")
    of = next(iter(found.values()))[2].of
    if missing := [number for number in range(1, of + 1) if number not in found]:
        named = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise PartsDoNotFit(
            f"{len(missing):,} of {of:,} parts are missing: {named}; build each with "
            f"`infgram build --part {missing[0]}/{of}`, and give all"
        )
    return [found[number][1] for number in range(1, of + 1)]


def _open_part(path: Path) -> tuple[StoredIndex, Part]:
    opened = open_segments(path)
    part = read_part(opened.segments[0].stored) if opened.is_one else None
    if part is None:
        what = "is no part of a build" if opened.is_one else "has grown since it was built"
        raise PartsDoNotFit(
            f"{path} {what}: give indexes that `infgram build --part` made, as they are"
        )
    return opened.segments[0].stored, part


def _difference(one: Part, other: Part) -> str:
    """The first thing in which parts of two builds differ, in words."""
    mine, theirs = (
        {
            **part.settings,
            "number of parts": part.of,
            "number of files": part.n_files,
            "bytes of all files": part.n_bytes,
            "list of files": part.files,
        }
        for part in (one, other)
    )
    name = next(name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name))
    return f"the {name} is {mine.get(name)!r:.80} and {theirs.get(name)!r:.80}"


# Linked -------------------------------------------------------------------------------------------


def join_parts(
    parts: _Parts,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Segments:
    """Makes one index of all parts of a build, as `open_parts` gives them: each is a segment.

    O(files) where files can be linked. The parts stay what they are, and there is all of the index
    at `path` or nothing. Does nothing where the same was joined before. `progress` is called with
    ("join", bytes done, bytes of all).

    Raises PartsDoNotFit where codes differ, IndexExists, StorageError.
    """
    root = Path(path)
    _check_codes(parts)
    if (joined := _joined(parts, root)) is not None:
        return joined
    try:
        return _join(parts, root, overwrite=overwrite, progress=progress)
    except StorageError:  # another process may just have joined the same parts
        if (joined := _joined(parts, root)) is None:
            raise
        return joined


def _join(parts: _Parts, root: Path, *, overwrite: bool, progress: Progress | None) -> Segments:
    if overwrite:
        _clear(root)
    names = _free_names(parts, root)
    n_bytes, done = sum(stored.n_bytes for stored in parts), 0
    with building(root, overwrite=overwrite, name=names[0]) as new:
        for stored, name in zip(parts, names, strict=True):
            _link(stored, new.folder.with_name(name))
            done += stored.n_bytes
            if progress:
                progress("join", done, n_bytes)

        def bound(first: Directory) -> Segments:
            return _bound(first.path.parent, names, root)

        with Directory.open(new.folder) as first:
            made = bound(first)
        listed = None if made.name in names else (str(made.name), made.listed())
        found = new.publish(bound, listed=listed)
    for stored in parts:
        note_links(stored)
    return found


def _check_codes(parts: _Parts) -> None:
    """Raises PartsDoNotFit unless a code is the same token in all parts."""
    fewest = min(parts, key=lambda stored: len(stored.column("token_ids")))
    most = max(parts, key=lambda stored: len(stored.column("token_ids")))
    new = most.column("token_ids")[len(fewest.column("token_ids")) :].tolist()
    if new:
        raise PartsDoNotFit(
            f"{most.folder.parent} has the token ids {new}, for which {fewest.folder.parent} has "
            "no code (no text in UTF-8 has the byte 255): name the encoding of such files, leave "
            "them out, or join with one_piece=True (--one-piece), which makes one build of all"
        )


def _joined(parts: _Parts, root: Path) -> Segments | None:
    """What stands there, if it is these parts, joined, and nothing was changed since."""
    with suppress(StorageError):
        found = open_segments(root)
        is_theirs = [s.stored.identity for s in found.segments] == [s.identity for s in parts]
        if is_theirs and not found.removals:
            return found
    return None


def _clear(root: Path) -> None:
    """Removes from an index, if one stands there, what a process left that was killed."""
    with suppress(StorageError, OSError):
        if open_segments(root, verify=False).name is None:
            return  # of format 1, whose files are no leftovers
        with locked(root):
            opened = open_segments(root, verify=False)
            remove_others(root, {str(opened.name), *opened.names()})


def _free_names(parts: _Parts, root: Path) -> list[str]:
    """Names for the parts as generations: the same for the same parts, if none is taken there."""
    of_all = ",".join(stored.identity for stored in parts)
    for attempt in count():
        drawn = [sha256(f"{of_all} {i} {attempt}".encode()) for i in range(len(parts))]
        names = [f"generation-{each.hexdigest()[:16]}" for each in drawn]
        if not any((root / name).exists() for name in names):
            return names
    raise AssertionError("one attempt is the last")  # mypy does not know that count() has no end


def _link(stored: StoredIndex, folder: Path) -> None:
    """Gives the files of a part another place, the manifest last."""
    is_linked = True
    for name in (*stored.manifest["files"], MANIFEST):
        source, target = stored.folder / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            is_linked = False
            with open(source, "rb") as old, open(target, "xb") as new:
                shutil.copyfileobj(old, new, _CHUNK)
                sync(new)
        else:
            with suppress(OSError), open(target, "rb") as file:  # whoever wrote it may not have
                os.fsync(file.fileno())
    with Directory.open(folder) as opened:
        made = bind(opened, verify=False)
    if made.identity != stored.identity:
        raise PartsDoNotFit(
            f"{stored.folder.parent} was built again while it was joined: join the parts again"
        )
    if is_linked and all(made.times[name][:2] == stored.times[name][:2] for name in made.times):
        note_links(made)
    else:
        check_sums(made)


def _bound(folder: Path, names: Sequence[str], root: Path) -> Segments:
    """The index of generations that lie in a folder, and will in the index's own."""
    segments = []
    for name in names:
        with Directory.open(folder / name) as generation:
            segments.append(Segment(bind(generation, verify=False, path=root / name)))
    if len(segments) == 1:
        return Segments(root, names[0], tuple(segments))
    made = Segments(root, None, tuple(segments))
    return replace(made, name=f"segments-{sha256(made.listed()).hexdigest()[:16]}.json")


# Merged -------------------------------------------------------------------------------------------


def merge_parts(
    parts: _Parts,
    path: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StoredIndex:
    """Writes one build of the documents of all parts: what a build of all would have been.

    O(n log n): all is sorted anew. Raises IndexExists, StorageError, OutOfMemory.
    """
    with (
        enough("joining the parts", "leave them in pieces, or raise the limit"),
        building(Path(path), overwrite=overwrite) as new,
    ):
        write_index(
            all_documents(parts, tokenizer),
            new.folder,
            tokenizer=tokenizer,
            jobs=jobs,
            layout=parts[0].layout.kind,
            description=parts[0].layout.build,
            progress=progress,
        )
        return new.publish(partial(bind, path=Path(path, new.folder.name)))
