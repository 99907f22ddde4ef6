"""An index to an address and back. All that is written is there before anything names it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from ..errors import IndexExists, IndexReplaced, InfgramError, NotAnIndex, StorageError
from .directory import Directory
from .generations import CURRENT, MANIFEST, building
from .layout import FAST
from .mirror import Mirror, current, download
from .objects import Objects
from .storage import BACKWARDS, MOST_MANIFEST, Progress, StoredIndex, bind
from .summary import SUMMARY, summary
from .urls import SCHEMES, url_of


def address_of(url: object) -> str:
    """Raises StorageError unless it is an address."""
    found = url_of(url) if isinstance(url, (str, Path)) else None
    if found is None:
        kinds = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise StorageError(f"{url} is no address of an index: expected one of {kinds}")
    return found


def push_index(
    stored: StoredIndex, url: str, *, overwrite: bool, progress: Progress | None
) -> None:
    """Writes an index to an address: columns, then manifests, then CURRENT.

    What was there before is removed once the new one is current.
    """
    objects = Objects(address_of(url))
    name = f"generation-{stored.identity[:16]}"  # of no other build
    replaced = _replaced(objects, overwrite)
    with tempfile.TemporaryDirectory(prefix="infgram-push-") as scratch:
        sides = _sides(stored, f"{name}/")
        files: list[tuple[str, Path | bytes]] = []
        last: list[tuple[str, bytes]] = []
        for side, prefix in sides:
            for column in side.layout.files:
                side.column(column)  # is there, also where it has to be fetched
                files.append((f"{prefix}{column}", side.folder / column))
            with Directory.open(side.folder) as folder:
                last.insert(0, (f"{prefix}{MANIFEST}", folder.read(MANIFEST, most=MOST_MANIFEST)))
            if side.layout.kind != FAST:
                continue  # its rows cannot be read in place
            for shard in side.layout.shards:
                path = Path(scratch, f"{len(files)}")
                with open(path, "wb") as file:
                    file.writelines(summary(side, shard))
                files.append((f"{prefix}{shard.name}/{SUMMARY}", path))
        total = sum(side.n_bytes for side, _ in sides)
        sizes = {
            f"{prefix}{column}": side.manifest["files"][column]["n_bytes"]
            for side, prefix in sides
            for column in side.layout.files
        }
        done = 0

        def on_file(written: str) -> None:
            nonlocal done
            done += sizes.get(written, 0)
            if progress:
                progress("push", done, total)

        current_line = f"infgram 2 {name}\n".encode()
        try:
            objects.publish(files, [*last, (CURRENT, current_line)], on_file)
        except FileNotFoundError as error:
            raise IndexReplaced(
                f"{stored.folder} was replaced by another build while it was pushed, and nothing "
                f"names what was written to {url}: open the index again and push it"
            ) from error
    if replaced is not None and replaced.name != name:
        with suppress(StorageError, FileNotFoundError):  # the new one stands
            objects.remove(_written(replaced))


def pull_index(
    url: str, target: Path, *, overwrite: bool, progress: Progress | None
) -> StoredIndex:
    """Writes the index at an address to a folder: all of it, checked, or nothing."""
    mirror = Mirror(address_of(url))
    with building(target, overwrite=overwrite) as build:
        download(mirror, build.folder, progress)
        final = target / build.name
        return build.publish(lambda folder: bind(folder, verify=False, path=final))


def _replaced(objects: Objects, overwrite: bool) -> Mirror | None:
    """The index that stands at the address now, if it may be replaced."""
    try:
        current(objects)
    except NotAnIndex as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    if not overwrite:
        raise IndexExists(
            f"{objects.url} has an index already: choose another address, or replace it with "
            "overwrite=True (--overwrite)"
        )
    with suppress(InfgramError):
        return Mirror(objects.url)
    return None  # of no use as it is, so that nobody knows what belongs to it


def _written(mirror: Mirror) -> list[str]:
    """All that a push wrote of an index."""
    names = []
    for side, prefix in _sides(mirror.stored, f"{mirror.name}/"):
        shards = [f"{shard.name}/{SUMMARY}" for shard in side.layout.shards]
        own = [*side.layout.files, MANIFEST, *(shards if side.layout.kind == FAST else ())]
        names += [f"{prefix}{each}" for each in own]
    return names


def _sides(stored: StoredIndex, prefix: str) -> list[tuple[StoredIndex, str]]:
    """Both sides of an index, the outer one first, and where each lies."""
    other = stored.other_side
    if isinstance(other, InfgramError):
        raise other
    inside = [] if other is None else _sides(other, f"{prefix}{BACKWARDS}/")
    return [(stored, prefix), *inside]
