"""infgram info: what an index holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from .options import index_argument, index_option, json_option, open_index

if TYPE_CHECKING:
    import infgram


_Read = TypeVar("_Read")
_SIZES: tuple[Literal["lean", "full"], ...] = ("lean", "full")
_LAYOUTS = {
    "fast": "fast, does all",
    "compact": "compact: counts, next tokens, levels, find, trace, SBIS; no Kneser-Ney, no Mix",
}


@click.command(epilog="Example: infgram info corpus.infgram")
@index_argument
@index_option
@json_option
def info(index: Path | None, path: Path | None, as_json: bool) -> None:
    """Show what an index holds and how it was built."""
    from .output import one_line, print_facts, print_json, si, stdout

    opened = open_index(path, index)
    kept = _kept(opened)
    manifest = opened.manifest
    if as_json:
        print_json(
            {
                "path": str(opened.path),
                "tokenizer": opened.tokenizer.spec(),
                "n_tokens": opened.n_tokens,
                "n_unknown": opened.n_unknown,
                "n_documents": opened.n_documents,
                "n_shards": opened.n_shards,
                "n_segments": opened.n_segments,
                "has_removed": opened.has_removed,
                "n_bytes": opened.n_bytes,
                "two_sided": opened.is_two_sided,
                "layout": opened.layout,
                "code_bits": manifest["code_bits"],
                "version": manifest["version"],
                "infgram": manifest["infgram"],
                "created": manifest["created"],
                "build": manifest["build"],
                "calibrated": kept.calibration is not None,
                "mixtures": [
                    {
                        "size": fitted.size,
                        "adapts": fitted.adapts,
                        "n_tokens": fitted.n_tokens,
                        "n_counted": fitted.n_counted,
                    }
                    for fitted in kept.mixtures
                ],
                "damaged": kept.damaged,
            }
        )
        return
    tokenizer = opened.tokenizer
    inputs = [one_line(name) for name in manifest["build"].get("inputs", [])]
    more = f" and {len(inputs) - 3:,} more" if len(inputs) > 3 else ""
    per_token = opened.n_bytes / max(opened.n_tokens, 1)
    facts = {
        "index": one_line(str(opened.path)),
        "tokens": f"{opened.n_tokens:,}",
        "tokenizer": f"{tokenizer.name}, {tokenizer.vocab_size:,} ids",
        **_unknown(opened),
        "documents": f"{opened.n_documents:,}",
        "shards": f"{opened.n_shards:,}",
        **_segments(opened),
        "size": f"{si(opened.n_bytes, 'B')}, {per_token:.2f} bytes a token",
        "layout": _LAYOUTS[opened.layout],
        "two-sided": "yes" if opened.is_two_sided else "no",
        "codes": f"{manifest['code_bits']} bits",
        "built": _built(opened),
        "from": ", ".join(inputs[:3]) + more,
        "calibrated": f"on {kept.calibration.n_tokens:,} tokens" if kept.calibration else "no",
        "mixtures": ", ".join([_told(each, opened) for each in kept.mixtures] + kept.unread)
        or "none",
        **_damaged(kept),
        "format": f"version {manifest['version']}, written by infgram {manifest['infgram']}",
    }
    print_facts(stdout(), facts)


def _built(opened: infgram.Index) -> str:
    """When; of parts, whose manifests hold no time, which they are."""
    manifest = opened.manifest
    if part := manifest.get("part"):
        if not opened.segments.is_one:
            return f"in {part['of']:,} parts, joined"
        return f"part {part['number']:,} of {part['of']:,}"
    return f"{manifest['created']}, in {manifest['build']['seconds']} s"


def _segments(opened: infgram.Index) -> dict[str, str]:
    """Of an index that has grown."""
    if opened.segments.is_one:
        return {}
    removed = ", and documents that were removed" if opened.has_removed else ""
    return {"segments": f"{opened.n_segments:,}{removed}: `infgram merge --purge` makes one piece"}


@dataclass
class _Kept:
    """What is kept beside an index, of which one file may be damaged and another whole."""

    calibration: infgram.Calibration | None = None
    mixtures: list[infgram.MixFit] = field(default_factory=list)
    damaged: list[dict[str, str]] = field(default_factory=list)
    """Of each file that cannot be read: its name, why not, and what writes it anew."""
    unread: list[str] = field(default_factory=list)
    """Mixtures that are there, and what is said of them."""

    def read(self, name: str, reader: Callable[[], _Read]) -> _Read | None:
        """What is in a file; None where nothing is, or it is damaged."""
        from infgram.errors import CorruptIndex
        from infgram.store.storage import MADE_BY

        try:
            return reader()
        except CorruptIndex as error:
            self.damaged.append({"file": name, "error": str(error), "run": MADE_BY[name]})
            return None


def _kept(opened: infgram.Index) -> _Kept:
    """All that is kept for the index."""
    import infgram
    from infgram.models.continuations import stored_wide_tables
    from infgram.models.mix.fitting import kind_of
    from infgram.store.storage import CALIBRATION, CONTINUATIONS

    kept = _Kept()
    if not opened.segments.is_one:
        return kept
    calibrations = kept.read(CALIBRATION, lambda: infgram.stored_calibration(opened))
    kept.calibration = calibrations[0] if calibrations else None
    kept.read(CONTINUATIONS, lambda: stored_wide_tables(opened))
    for size in _SIZES:
        for adapt in (False, True):
            file = kind_of(size, adapt).file
            stands_on = {CALIBRATION, CONTINUATIONS, kind_of(size, False).file} - {file}
            if stands_on.isdisjoint(each["file"] for each in kept.damaged):
                read = partial(infgram.stored_fit, opened, size=size, adapt=adapt)
                if (fitted := kept.read(file, read)) is not None:
                    kept.mixtures.append(fitted)
            elif kept.read(file, partial(opened.stored.read_extra, file)) is not None:
                kept.unread.append(f"{_name(size, adapt)} (not read: it stands on what is damaged)")
    return kept


def _damaged(kept: _Kept) -> dict[str, str]:
    """Files that cannot be read, and what writes them anew."""
    if not kept.damaged:
        return {}
    files = ", ".join(f"{each['file']}: run `{each['run']}`" for each in kept.damaged)
    return {"damaged": files}


def _name(size: str, adapts: bool) -> str:
    return f"{size}{', adapting' if adapts else ''}"


def _told(fitted: infgram.MixFit, opened: infgram.Index) -> str:
    name = _name(fitted.size, fitted.adapts)
    of_all = opened.n_rows - 1  # but for the boundary before the text
    sample = f", of a sample of {fitted.n_counted:,}" if fitted.n_counted < of_all else ""
    return f"{name} (fitted on {fitted.n_tokens:,} tokens{sample})"


def _unknown(opened: infgram.Index) -> dict[str, str]:
    if opened.tokenizer.unknown_id is None:
        return {}
    share = opened.n_unknown / opened.n_tokens
    return {"unknown": f"{opened.n_unknown:,} tokens, {share:.2%}: the tokenizer has none for them"}
