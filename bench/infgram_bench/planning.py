"""The constants of `infgram plan`: `python -m infgram_bench.planning TEXT` prints them.

For each width of codes and each layout, one part is built in a process of its own, and asked. Codes
of 16 and 32 bits are ids of a BPE that is trained on the beginning of the text. Time is that of the
processor, so that another's work beside it counts little; a cold question also tells how often it
waited for the disk. `src/infgram/measured.py` has what was printed, when and where.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from infgram_cli.options import AnyPath

import infgram

from . import machine
from .processes import run_job

_MIB = 1 << 20
_VOCABULARY = 50_000
_NEEDS_32_BITS = 100_000
_TRAINED_ON = 8 * _MIB
_N_TOKENS = 10  # of a question
_N_WARM, _N_COLD = 1_000, 20
_ROUNDS = 25


@click.command()
@click.argument("text", type=AnyPath(exists=True, dir_okay=False))
@click.option("--mib", type=click.IntRange(min=9), default=96, help="How much of the text to use.")
def main(text: Path, mib: int) -> None:
    """Measure the constants of `infgram plan` on a TEXT."""
    base = run_job("nothing").peak_bytes
    found: dict[str, Any] = {"machine": machine.description(), "when": machine.today()}
    with tempfile.TemporaryDirectory(dir=text.parent) as folder:
        for bits, corpus in _corpora(text, mib * _MIB, Path(folder)):
            for layout in ("fast", "compact"):
                path = Path(folder, "part.infgram")
                built = run_job("plan_build", corpus, path, layout, str(bits))
                asked = run_job("plan_ask", path)
                n_tokens = built.result["n_tokens"]
                found[f"{bits}, {layout}"] = {
                    "n_tokens": n_tokens,
                    "disk bytes a token": built.result["n_bytes"] / n_tokens,
                    "memory bytes a token": (built.peak_bytes - base) / n_tokens,
                    "build seconds a token": built.cpu_seconds / n_tokens,
                    **asked.result,
                }
                click.echo(json.dumps({f"{bits}, {layout}": found[f"{bits}, {layout}"]}), err=True)
        found["memory bytes of a process"] = base
    click.echo(json.dumps(found, indent=1))


def _corpora(text: Path, n_bytes: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """The text as bytes, and as ids that are read as of 16 and of 32 bits."""
    from tokenizers import ByteLevelBPETokenizer

    with open(text, "rb") as file:
        content = file.read(n_bytes)
    plain = folder / "text.txt"
    plain.write_bytes(content)
    yield 8, plain
    tokenizer = ByteLevelBPETokenizer()
    beginning = content[:_TRAINED_ON].decode(errors="replace")
    tokenizer.train_from_iterator(beginning.splitlines(keepends=True), vocab_size=_VOCABULARY)
    pieces = [content[i : i + _MIB].decode(errors="replace") for i in range(0, n_bytes, _MIB)]
    ids = np.concatenate([np.array(tokenizer.encode(piece).ids, "<u2") for piece in pieces])
    for bits in (16, 32):
        path = folder / f"ids-{bits}.u16"
        ids.tofile(path)
        yield bits, path


def build(
    corpus: str, folder: str, layout: Literal["fast", "compact"], bits: str
) -> dict[str, int]:
    """One part that holds all of a corpus."""
    how: dict[str, Any] = {"format": "bytes"}
    if bits != "8":
        n_ids = _VOCABULARY if bits == "16" else _NEEDS_32_BITS
        how = {"tokenizer": "ids", "vocab_size": n_ids}
    index = infgram.build(corpus, folder, layout=layout, part=(1, 1), overwrite=True, **how)
    return {"n_tokens": index.n_tokens, "n_bytes": index.n_bytes}


def ask(folder: str) -> dict[str, float]:
    """Counts of n-grams of ten tokens, from all over an index, warm and cold, for each shard."""
    rng = np.random.default_rng(0)
    index = infgram.open(folder)
    queries = []
    for number in rng.integers(0, index.n_documents, _N_WARM).tolist():
        place = int(rng.integers(0, index.document_length(number) - _N_TOKENS))
        found = index.document(number, begin=place, end=place + _N_TOKENS)
        queries.append(found.token_ids.tolist())
    warm = min(_seconds(partial(index.count_batch, queries)) for _ in range(_ROUNDS)) / len(queries)
    builds = index.segments.all_stored()
    files = [stored.folder / name for stored in builds for name in stored.columns]
    n_shards = index.n_shards
    del index, builds
    reads, fastest = 0, float("inf")
    for query in queries[:_N_COLD]:
        _forget(files)
        index = infgram.open(folder, verify=False)
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_majflt, time.perf_counter()
        index.count(query)
        seconds = time.perf_counter() - started
        waits = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - before
        reads += waits
        if waits:
            fastest = min(fastest, seconds / waits)
        del index
    return {
        "warm seconds a token": warm / _N_TOKENS / n_shards,
        "cold reads a token": reads / _N_COLD / _N_TOKENS / n_shards,
        "seconds a read, of the fastest question": fastest,
    }


def _seconds(do: Callable[[], object]) -> float:
    started = time.process_time()
    do()
    return time.process_time() - started


def _forget(files: list[Path]) -> None:
    """Lets the system drop what it keeps of files in memory."""
    for path in files:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
