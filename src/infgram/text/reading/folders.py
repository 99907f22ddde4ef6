"""Which files of a folder are read. Alone in importing pathspec.

Hidden files and folders, links to folders and indexes of infgram are passed over without a word;
what `.gitignore` names and what is excluded is counted. A folder that `datasets` or infini-gram has
written stands for the files that hold its rows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ...errors import EmptyCorpus, InputError, InvalidParameter
from .document import unreadable

_INDEX = b"infgram "  # how the file CURRENT of an index begins


@dataclass
class Found:
    """The files of a folder, and what was left out."""

    files: list[str] = field(default_factory=list)
    n_ignored: int = 0
    """Files and folders that .gitignore names."""
    n_excluded: int = 0
    """Files and folders that the caller excludes."""
    unreadable: list[InputError] = field(default_factory=list)
    """Of folders inside that could not be listed."""


class _Rules:
    """Lines of gitignore, for the paths below one folder, whose parts are `above`."""

    def __init__(self, lines: Iterable[str], above: Sequence[str] = ()) -> None:
        from pathspec import GitIgnoreSpec  # here, as most builds read no folder

        self._spec = GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))
        self._n_above = len(above)

    def says(self, parts: Sequence[str], *, is_folder: bool) -> bool | None:
        """Whether a path is ignored; None where no line is about it."""
        path = "/".join(parts[self._n_above :]) + ("/" if is_folder else "")
        return self._spec.check_file(path).include


def _is_pattern(line: str) -> bool:
    """Whether a line can be read: git passes over those that cannot."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, TypeError, re.error):
        return False
    return True


def check_exclude(patterns: Sequence[str]) -> None:
    """Raises InvalidParameter for what is no pattern of gitignore."""
    if isinstance(patterns, str):
        raise InvalidParameter(f"exclude is {patterns!r}, expected a list of globs: [{patterns!r}]")
    for pattern in patterns:
        if not isinstance(pattern, str) or not _is_pattern(pattern):
            raise InvalidParameter(
                f"exclude has {pattern!r}, expected a glob as in .gitignore, such as '*.log' or "
                "'build/'"
            )


def walk(folder: str, glob: str, exclude: Sequence[str], *, gitignore: bool) -> Found:
    """The files under `folder` that match `glob`, sorted by the parts of their paths.

    Raises InputError if it is an index or cannot be listed, EmptyCorpus if there is none.
    """
    if is_index(os.path.abspath(folder)):
        raise InputError(f"{folder}: this is an infgram index; give the corpus it was built from")
    patterns = glob.split("/")
    excluded = _Rules(exclude)
    found = Found()
    parts_found: list[list[str]] = []

    def refuse(error: OSError) -> None:
        problem = unreadable(str(error.filename), error)
        if error.filename == folder:
            raise problem from error
        found.unreadable.append(problem)

    # rules of the folders above the current one, outermost first, by the folder's parts
    rules: dict[tuple[str, ...], list[_Rules]] = {(): _rules_above(folder) if gitignore else []}
    for parent, folders, names in os.walk(folder, onerror=refuse):
        within = os.path.relpath(parent, folder)
        above = [] if within == os.curdir else within.split(os.sep)
        of_parent = rules.get(tuple(above), [])
        if gitignore and ".gitignore" in names:
            of_parent = [*of_parent, _Rules(_lines(os.path.join(parent, ".gitignore")), above)]

        def left_out(
            parts: list[str], *, is_folder: bool, of_parent: list[_Rules] = of_parent
        ) -> bool:
            if excluded.says(parts, is_folder=is_folder):
                found.n_excluded += 1
                return True
            said = [rule.says(parts, is_folder=is_folder) for rule in of_parent]
            ignored = bool(next((each for each in reversed(said) if each is not None), False))
            found.n_ignored += ignored
            return ignored

        try:
            own, splits = _own_files(parent, names), _splits(parent, names, folders)
        except InputError as problem:
            found.unreadable.append(problem)
            folders.clear()
            continue
        if own is not None:
            parts_found += [[*above, name] for name in own]
            folders.clear()
            continue
        if splits is not None:
            folders[:] = splits
            continue
        folders[:] = [
            name
            for name in folders
            if not _is_hidden(name)
            and not is_index(os.path.join(parent, name))
            and not left_out([*above, name], is_folder=True)
        ]
        for name in folders:
            rules[*above, name] = of_parent
        parts_found += [
            parts
            for name in names
            for parts in [[*above, name]]
            if not _is_hidden(name)
            and _matches(parts, patterns)
            and os.path.isfile(os.path.join(parent, name))
            and not left_out(parts, is_folder=False)
        ]
    found.files = [os.path.join(folder, *parts) for parts in sorted(parts_found)]
    if not found.files and not found.unreadable:
        raise EmptyCorpus(
            f"{folder}: no file in this folder matches {glob!r}: look at what is in it, or change "
            "--glob (glob=)" + left_out_in_words(found)
        )
    return found


def left_out_in_words(found: Found) -> str:
    """What was left out, as the end of a sentence; "" if nothing was.

    >>> left_out_in_words(Found(n_excluded=3))
    '; left out: 3 excluded'
    """
    said = []
    if found.n_ignored:
        said.append(f"{found.n_ignored:,} that .gitignore names (--no-gitignore reads them)")
    if found.n_excluded:
        said.append(f"{found.n_excluded:,} excluded")
    return f"; left out: {' and '.join(said)}" if said else ""


def is_index(folder: str) -> bool:
    """Whether a folder has the name of an index of infgram, or is one."""
    if folder.endswith(".infgram"):
        return True
    current = os.path.join(folder, "CURRENT")
    try:
        if not os.path.isfile(current):  # a pipe would wait for somebody to write
            return False
        with open(current, "rb") as handle:
            return handle.read(len(_INDEX)) == _INDEX
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a path fits a glob, both in parts; `**` stands for any number of parts."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[i:], patterns[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])


# ---- .gitignore ----------------------------------------------------------------------------------


def _lines(path: str) -> list[str]:
    try:
        if os.path.isfile(path):
            with open(path, "rb") as handle:
                lines = os.fsdecode(handle.read()).removeprefix("\ufeff").split("\n")
                return [line.removesuffix("\r") for line in lines]
    except OSError:
        pass  # as git does
    return []


def _rules_above(folder: str) -> list[_Rules]:
    """The rules of the repository around a folder, none if they name the folder itself."""
    whole = os.path.realpath(folder)
    root = whole
    while not os.path.exists(os.path.join(root, ".git")):
        root, before = os.path.dirname(root), root
        if root == before:
            return []
    if root == whole:
        return []
    parts = os.path.relpath(whole, root).split(os.sep)
    rules: list[_Inside] = []
    for depth in range(len(parts)):
        lines = _lines(os.path.join(root, *parts[:depth], ".gitignore"))
        if lines:
            rules.append(_Inside(lines, parts[depth:]))
    for depth in range(1, len(parts) + 1):
        said = [rule.says_above(depth - len(parts)) for rule in rules]
        if next((each for each in reversed(said) if each is not None), False):
            return []
    return list(rules)


class _Inside(_Rules):
    """Rules of a folder further up, for paths below the one that is walked."""

    def __init__(self, lines: Iterable[str], below: Sequence[str]) -> None:
        super().__init__(lines)
        self._below = list(below)

    def says(self, parts: Sequence[str], *, is_folder: bool) -> bool | None:
        return super().says([*self._below, *parts], is_folder=is_folder)

    def says_above(self, n: int) -> bool | None:
        """Of the folder that is walked (0), or `-n` folders further up."""
        parts = self._below[: len(self._below) + n]
        return super().says(parts, is_folder=True) if parts else None


# ---- folders that programs have written ----------------------------------------------------------


def _own_files(parent: str, names: Sequence[str]) -> list[str] | None:
    """The files with the rows, in order, of a folder that holds one corpus; None for another.

    Raises InputError if some are missing.
    """
    tokenized = [name for name in names if re.fullmatch(r"tokenized\.\d+", name)]
    if tokenized:
        tokenized.sort(key=lambda name: int(name.partition(".")[2]))
        offsets = [f"offset.{name.partition('.')[2]}" for name in tokenized]
        return _all_there(parent, "the index of infini-gram", tokenized, offsets, names)
    if "state.json" in names and "dataset_info.json" in names:
        state = _read_json(os.path.join(parent, "state.json"))
        listed = state.get("_data_files")
        if isinstance(listed, list):
            if state.get("_indices_data_files") or state.get("_indices_files"):
                raise InputError(
                    f"{parent}: an old version of datasets has kept the order of the rows in a "
                    "file of its own; load the folder and save it again with a newer one"
                )
            files = [str(each.get("filename")) for each in listed if isinstance(each, dict)]
            return _all_there(parent, "state.json", files, files, names)
    return None


def _splits(parent: str, names: Sequence[str], folders: Sequence[str]) -> list[str] | None:
    """The folders of the splits, of a folder that holds several; None for another.

    Raises InputError if some are missing.
    """
    if "dataset_dict.json" not in names:
        return None
    splits = _read_json(os.path.join(parent, "dataset_dict.json")).get("splits")
    if not isinstance(splits, list):
        return None
    expected = [str(split) for split in splits]
    return _all_there(parent, "dataset_dict.json", expected, expected, folders)


def _all_there(
    parent: str, who: str, found: list[str], expected: Sequence[str], names: Sequence[str]
) -> list[str]:
    """`found`, if all that is `expected` beside it is there. Raises InputError."""
    lost = [name for name in expected if name not in names]
    if lost:
        raise InputError(
            f"{parent}: no {lost[0]!r}, which {who} expects"
            + (f", nor {len(lost) - 1:,} more" if len(lost) > 1 else "")
            + "; copy the whole folder again, or name the files that are to be read"
        )
    return found


def _read_json(path: str) -> dict[str, object]:
    try:
        with open(path, encoding="utf-8") as handle:
            found = json.load(handle)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
