"""infgram build: files to an index."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from . import typed
from .inputs import Notes, reading_options, sorting_options
from .option import option
from .options import (
    InputPath,
    TokenizerName,
    json_option,
    layout_option,
    output_option,
    quiet_option,
)

if TYPE_CHECKING:
    import infgram


class _PartOf(click.ParamType):  # type: ignore[type-arg]
    """I/N, as two numbers."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        number, _, of = str(value).partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            self.fail(f"found {value}, expected I/N, as in 1/8 to 8/8", param, ctx)
        return int(number), int(of)


@click.command(
    epilog="""\b
Examples:
  infgram build corpus.txt
  infgram build wiki.jsonl.gz news/ --glob '**/*.txt' -o all.infgram
  infgram build src/ --exclude '*.min.js'
  infgram build chats.jsonl --text-field 'messages[].content'
  zcat lines.gz | infgram build - --documents line
  infgram build texts/ --part 3/8 -o part-3.infgram
"""
)
@click.argument("inputs", nargs=-1, type=InputPath(), required=True, metavar="INPUT...")
@output_option("the index.", shown="the first input's name with .infgram, in this folder")
@option(
    "--tokenizer",
    type=TokenizerName(),
    default="bytes",
    metavar="NAME",
    help="The tokenizer: bytes, chars, ids, tiktoken:NAME, a `tokenizers` JSON file, or a model's "
    "folder.",
)
@reading_options
@option(
    "--vocab-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="All token ids are below N: for --tokenizer ids.",
)
@sorting_options
@option(
    "--two-sided",
    is_flag=True,
    help="Also index the text read backwards, for `infgram polish`; this doubles the size.",
)
@layout_option
@option(
    "--calibrate",
    is_flag=True,
    help="Fit Kneser-Ney to the index at once, and not when a model first needs it.",
)
@option(
    "--part",
    type=_PartOf(),
    metavar="I/N",
    help="Build part I of N alone, of whole files, for `infgram join`. One that is there is kept.",
)
@option(
    "--parts",
    type=click.IntRange(min=1),
    metavar="N",
    help="Build N parts, one after another, and join them; goes on where it was interrupted.",
)
@option("--overwrite", is_flag=True, help="Replace an existing index once the new one is complete.")
@option("--skip-bad", is_flag=True, help="Skip broken records, and report them.")
@quiet_option
@json_option
def build(
    inputs: tuple[str, ...],
    output: Path | None,
    tokenizer: str,
    reading: dict[str, Any],
    vocab_size: int | None,
    shard_tokens: int,
    jobs: int,
    two_sided: bool,
    layout: Literal["fast", "compact"],
    calibrate: bool,
    part: tuple[int, int] | None,
    parts: int | None,
    overwrite: bool,
    skip_bad: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build an index from text.

    INPUT is a file of text, JSON lines, JSON, CSV, Parquet or Arrow, token ids (.npy, .u16, .u32),
    a folder, or - for standard input. Text may be compressed (gzip, bzip2, xz, zstd). Folders are
    read without what .gitignore names and without binaries. The index appears once it is complete,
    or not at all.
    """
    import infgram
    from infgram.errors import UnknownTokens

    from .output import Clock, note, print_json, progress, stderr, stdout

    if part and parts:
        raise click.UsageError(
            "--part builds one part and --parts all of them: give one of the two"
        )
    if part and output is None:
        raise click.UsageError("--part needs -o PATH, another one for each part")
    output = output or _default_output(inputs[0])
    how: dict[str, Any] = {"n": parts} if parts else {"part": part}
    with warnings.catch_warnings(), progress(stderr(), quiet=quiet) as report:
        skipped = Notes()
        warnings.simplefilter("ignore", UnknownTokens)  # the summary tells
        clock = Clock(report)
        index = (infgram.build_parts if parts else infgram.build)(
            [path if path == "-" else Path(path) for path in inputs],
            output,
            tokenizer=tokenizer,
            **reading,
            vocab_size=vocab_size,
            shard_tokens=shard_tokens,
            jobs=jobs,
            two_sided=two_sided,
            layout=layout,
            overwrite=overwrite,
            skip_bad=skip_bad,
            calibrate=calibrate,
            progress=clock,
            **how,
        )
    seconds, calibration_seconds = clock.stop()
    skipped.sum_up()
    if index.n_unknown:
        note(
            f"{index.n_unknown:,} of {index.n_tokens:,} tokens are unknown to the "
            "tokenizer: their text is lost, and no query finds it; use a tokenizer that knows it"
        )
    if as_json:
        print_json(
            {
                "path": str(index.path),
                "tokenizer": index.tokenizer.name,
                "n_tokens": index.n_tokens,
                "n_unknown": index.n_unknown,
                "n_documents": index.n_documents,
                "n_shards": index.n_shards,
                "n_bytes": index.n_bytes,
                "two_sided": two_sided,
                "layout": layout,
                "n_skipped": skipped.n_records,
                "n_files_skipped": skipped.n_files,
                "calibrated": calibrate,
                "seconds": round(seconds, 3),
                "calibration_seconds": round(calibration_seconds, 3),
            }
        )
    elif not quiet and part and not clock.was_called:
        stdout().print(f"{output}: part {part[0]} of {part[1]} is there already")
    elif not quiet:
        _print_summary(index, output, seconds, calibration_seconds, part)


def _default_output(first: str) -> Path:
    """The first input's name without what says its format; a folder's own name."""
    if first == "-":
        return Path("stdin.infgram")
    path = Path(first)
    if path.is_dir():
        return Path(f"{path.resolve().name or 'root'}.infgram")
    if path.suffix in (".gz", ".bz2", ".xz", ".zst"):
        path = path.with_suffix("")
    return Path(f"{path.stem}.infgram")


def _print_summary(
    index: infgram.Index,
    path: Path,
    seconds: float,
    calibration_seconds: float,
    part: tuple[int, int] | None,
) -> None:
    from .output import one_line, si, stdout

    documents = "1 document" if index.n_documents == 1 else f"{index.n_documents:,} documents"
    console = stdout()
    console.print(one_line(str(path)), style="bold")
    console.print(f"  {index.n_tokens:,} tokens ({index.tokenizer.name}) in {documents}")
    per_token = index.n_bytes / max(index.n_tokens, 1)
    console.print(f"  {si(index.n_bytes, 'B')} on disk, {per_token:.2f} bytes a token")
    calibrated = f", and {calibration_seconds:.2f} s to calibrate" if calibration_seconds else ""
    console.print(f"  {seconds:.2f} s, {si(index.n_tokens / seconds)} tokens/s{calibrated}")
    if _is_of_many_bytes(index):
        console.print(
            "  Most characters here are several bytes, of which models may write halves: "
            "--tokenizer chars counts and writes whole characters"
        )
    if part:
        console.print(f"Next, with all {part[1]} parts: {typed.program()} join PART... -o INDEX")
    else:
        console.print(f"Next: {typed.program()} generate -i {typed.path(path)}")


def _is_of_many_bytes(index: infgram.Index) -> bool:
    """Whether an index of bytes is mostly of scripts such as Japanese, Russian or Hindi."""
    if index.tokenizer.name != "bytes":
        return False
    lengths = {0xCE: 2, 0xCF: 2, **dict.fromkeys(range(0xD0, 0xE0), 2)}
    lengths |= {lead: 3 for lead in range(0xE0, 0xEE) if lead != 0xE2}  # 0xE2: quotes and dashes
    n_bytes = sum(length * index.count(bytes([lead])) for lead, length in lengths.items())
    return n_bytes > index.n_tokens / 2
