"""infgram info: what an index holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import index_argument, index_option, json_option, open_index

if TYPE_CHECKING:
    import infgram


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
    import infgram

    from .output import one_line, print_facts, print_json, si, stdout

    opened = open_index(path, index)
    calibrations = infgram.stored_calibration(opened) if opened.segments.is_one else None
    mixtures = _mixtures(opened) if opened.segments.is_one else []
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
                "calibrated": calibrations is not None,
                "mixtures": [
                    {
                        "size": fitted.size,
                        "adapts": fitted.adapts,
                        "n_tokens": fitted.n_tokens,
                        "n_counted": fitted.n_counted,
                    }
                    for fitted in mixtures
                ],
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
        "calibrated": f"on {calibrations[0].n_tokens:,} tokens" if calibrations else "no",
        "mixtures": ", ".join(_told(fitted, opened) for fitted in mixtures) or "none",
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


def _mixtures(opened: infgram.Index) -> list[infgram.MixFit]:
    """All that are kept for the index."""
    import infgram

    found = [
        infgram.stored_fit(opened, size=size, adapt=adapt)
        for size in ("lean", "full")
        for adapt in (False, True)
    ]
    return [fitted for fitted in found if fitted is not None]


def _told(fitted: infgram.MixFit, opened: infgram.Index) -> str:
    name = f"{fitted.size}{', adapting' if fitted.adapts else ''}"
    of_all = opened.n_rows - 1  # but for the boundary before the text
    sample = f", of a sample of {fitted.n_counted:,}" if fitted.n_counted < of_all else ""
    return f"{name} (fitted on {fitted.n_tokens:,} tokens{sample})"


def _unknown(opened: infgram.Index) -> dict[str, str]:
    if opened.tokenizer.unknown_id is None:
        return {}
    share = opened.n_unknown / opened.n_tokens
    return {"unknown": f"{opened.n_unknown:,} tokens, {share:.2%}: the tokenizer has none for them"}
