"""Which mutations a case has: all of it follows from the seed and the case's number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import archives, columns, documents, entries, lists
from .corpora import Base
from .entries import Told
from .folders import Folder

_SHARE_MENDED = 0.85
_SHARE_RECALIBRATED = 0.85

_MUTATIONS: dict[Callable[[random.Random, Folder], str | Told], float] = {
    columns.mutate: 40,
    columns.swap_files: 1,
    columns.swap_sides: 3,
    columns.recode: 6,
    documents.mutate_manifest: 10,
    documents.mutate_numbers: 8,
    documents.mutate_shards: 3,
    documents.mutate_tokenizer: 4,
    documents.mutate_strings: 5,
    documents.mutate_verified: 2,
    lists.mutate: 9,
    archives.mutate: 9,
    entries.replace_column: 3,
    entries.replace_folder: 1,
    entries.replace_side: 3,
    entries.replace_backwards: 2,
    entries.replace_current: 3,
    entries.rename_column: 4,
}


@dataclass(frozen=True)
class Case:
    """A damaged index, and what may come of it.

    - `what`: how it was damaged.
    - `is_mended`: whether its checksums fit.
    - `must_refuse`: what of it must be: "index", "other side", "calibration" or nothing.
    - `verify`: what to open it with.
    """

    base: Base
    path: Path
    outside: Path
    what: tuple[str, ...]
    is_mended: bool
    must_refuse: str
    verify: bool | None

    @property
    def must_be_right(self) -> bool:
        """Whether checksums are looked at and do not fit, so that nothing wrong can come of it."""
        return not self.is_mended and self.verify is not False


def make(
    seed: int, number: int, bases: Sequence[Base], files: Sequence[dict[str, bytes]], place: Path
) -> Case:
    """Writes the index of a case into an empty folder."""
    rng = random.Random(f"{seed}/{number}")
    at = rng.randrange(len(bases))
    folder = Folder.copied(files[at], place)
    n = 1 if rng.random() < 0.65 else rng.randint(2, 4)
    chosen = rng.choices(list(_MUTATIONS), weights=list(_MUTATIONS.values()), k=n)
    # what is no file any more is not to be written to
    no_files = [mutation for mutation in chosen if mutation.__module__ == entries.__name__][:1]
    chosen = [mutation for mutation in chosen if mutation.__module__ != entries.__name__] + no_files
    is_mended = rng.random() < _SHARE_MENDED
    told: list[Told] = []
    for mutation in chosen:
        try:
            found = mutation(rng, folder)
        except (LookupError, TypeError, ValueError, AttributeError, OSError) as error:
            if not told:
                raise
            # what the mutations before have left is nothing that this one can change
            found = f"{mutation.__name__} found nothing to do ({error!r:.60})"
        told.append(found if isinstance(found, Told) else Told(found, ""))
    if is_mended:
        folder.seal()
        if rng.random() < _SHARE_RECALIBRATED:
            for unit in folder.units:
                unit.recalibrate()
    folder.finish()
    has_side = any(mutation is archives.mutate for mutation in chosen)
    return Case(
        bases[at],
        folder.path,
        folder.outside,
        tuple(each.what for each in told),
        is_mended or has_side,
        told[0].must_refuse if len(told) == 1 else "",
        rng.choice([None, None, None, True, False]),
    )
