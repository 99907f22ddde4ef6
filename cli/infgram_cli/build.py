"""infgram build: files to an index."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import click

from . import typed
from .option import option
from .options import InputPath, TokenizerName, json_option, output_option, quiet_option
from .texts import documents_option, format_options

if TYPE_CHECKING:
    import infgram
    from infgram.text.corpus import Format, TokenDtype

_MAX_SHARD_TOKENS = 2**31 - 2
_WARNINGS_SHOWN = 10


@click.command(
    epilog="""\b
Examples:
  infgram build corpus.txt
  infgram build wiki.jsonl.gz news/ --glob '**/*.txt' -o all.infgram
  infgram build src/ --exclude '*.min.js'
  infgram build chats.jsonl --text-field 'messages[].content'
  zcat lines.gz | infgram build - --documents line
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
@documents_option("no match crosses documents")
@option(
    "--glob",
    metavar="PATTERN",
    default="**/*",
    help="Which files to read from folders.",
)
@option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="What to leave out of folders, as in .gitignore; may be repeated.",
)
@option("--no-gitignore", is_flag=True, help="Also read what .gitignore names in a folder.")
@format_options
@option(
    "--token-dtype",
    type=click.Choice(["uint8", "uint16", "uint32"]),
    help="Type of the ids in .bin files, which are token ids then.",
)
@option(
    "--separator",
    type=click.IntRange(min=0),
    metavar="ID",
    help="The id that separates documents in token arrays, such as 50256.",
)
@option(
    "--vocab-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="All token ids are below N: for --tokenizer ids.",
)
@option(
    "--shard-tokens",
    type=click.IntRange(2, _MAX_SHARD_TOKENS),
    metavar="N",
    default=_MAX_SHARD_TOKENS,
    help="Tokens to sort at once; each takes 11 bytes of memory (25 for token ids).",
)
@option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Shards to sort at once, each in its own process.",
)
@option(
    "--two-sided",
    is_flag=True,
    help="Also index the text read backwards, for `infgram polish`; this doubles the size.",
)
@option(
    "--calibrate",
    is_flag=True,
    help="Fit Kneser-Ney to the index at once, and not when a model first needs it.",
)
@option("--overwrite", is_flag=True, help="Replace an existing index once the new one is complete.")
@option("--skip-bad", is_flag=True, help="Skip broken records, and report them.")
@quiet_option
@json_option
def build(
    inputs: tuple[str, ...],
    output: Path | None,
    tokenizer: str,
    documents: Literal["file", "line", "paragraph"],
    glob: str,
    exclude: tuple[str, ...],
    no_gitignore: bool,
    text_field: str,
    format: Format | None,
    encoding: str | None,
    token_dtype: TokenDtype | None,
    separator: int | None,
    vocab_size: int | None,
    shard_tokens: int,
    jobs: int,
    two_sided: bool,
    calibrate: bool,
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

    from .output import Clock, note, print_json, progress, stderr

    output = output or _default_output(inputs[0])
    with warnings.catch_warnings(), progress(stderr(), quiet=quiet) as report:
        skipped = _Notes()
        warnings.simplefilter("ignore", UnknownTokens)  # the summary tells
        clock = Clock(report)
        index = infgram.build(
            [path if path == "-" else Path(path) for path in inputs],
            output,
            tokenizer=tokenizer,
            documents=documents,
            glob=glob,
            exclude=exclude,
            gitignore=not no_gitignore,
            text_field=text_field,
            format=format,
            encoding=encoding,
            token_dtype=token_dtype,
            separator=separator,
            vocab_size=vocab_size,
            shard_tokens=shard_tokens,
            jobs=jobs,
            two_sided=two_sided,
            overwrite=overwrite,
            skip_bad=skip_bad,
            calibrate=calibrate,
            progress=clock,
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
                "n_skipped": skipped.n_records,
                "n_files_skipped": skipped.n_files,
                "calibrated": calibrate,
                "seconds": round(seconds, 3),
                "calibration_seconds": round(calibration_seconds, 3),
            }
        )
    elif not quiet:
        _print_summary(index, output, seconds, calibration_seconds)


class _Notes:
    """Shows the first warnings of each kind about the corpus, a line each, and counts them all."""

    def __init__(self) -> None:
        from infgram.errors import BadRecordSkipped, CorpusWarning, FilesSkipped

        self.n_files = 0
        self._n: dict[type[Warning], int] = {}
        self._record, self._files = BadRecordSkipped, FilesSkipped
        self._kind = CorpusWarning
        self._show_others = warnings.showwarning
        warnings.simplefilter("always", CorpusWarning)
        warnings.showwarning = self._show

    @property
    def n_records(self) -> int:
        """Broken records that were left out."""
        return self._n.get(self._record, 0)

    def _show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, self._kind):
            self._show_others(message, category, filename, lineno, file, line)
            return
        self._n[category] = n = self._n.get(category, 0) + 1
        if isinstance(message, self._files):
            self.n_files += message.n_files
        if n <= _WARNINGS_SHOWN:
            from .output import note, one_line

            prefix = "skipped: " if category is self._record else ""
            note(prefix + one_line(" ".join(str(message).split())))

    def sum_up(self) -> None:
        from .output import note

        for category, n in self._n.items():
            if n > _WARNINGS_SHOWN:
                what = "skipped {} broken records" if category is self._record else "{} such notes"
                note(f"{what.format(f'{n:,}')} in all")


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
    index: infgram.Index, path: Path, seconds: float, calibration_seconds: float
) -> None:
    from .output import si, stdout

    documents = "1 document" if index.n_documents == 1 else f"{index.n_documents:,} documents"
    console = stdout()
    console.print(str(path), style="bold")
    console.print(f"  {index.n_tokens:,} tokens ({index.tokenizer.name}) in {documents}")
    per_token = index.n_bytes / index.n_tokens
    console.print(f"  {si(index.n_bytes, 'B')} on disk, {per_token:.2f} bytes a token")
    calibrated = f", and {calibration_seconds:.2f} s to calibrate" if calibration_seconds else ""
    console.print(f"  {seconds:.2f} s, {si(index.n_tokens / seconds)} tokens/s{calibrated}")
    if _is_of_many_bytes(index):
        console.print(
            "  Most characters here are several bytes, of which models may write halves: "
            "--tokenizer chars counts and writes whole characters"
        )
    console.print(f"Next: {typed.program()} generate -i {typed.path(path)}")


def _is_of_many_bytes(index: infgram.Index) -> bool:
    """Whether an index of bytes is mostly of scripts such as Japanese, Russian or Hindi."""
    if index.tokenizer.name != "bytes":
        return False
    lengths = {0xCE: 2, 0xCF: 2, **dict.fromkeys(range(0xD0, 0xE0), 2)}
    lengths |= {lead: 3 for lead in range(0xE0, 0xEE) if lead != 0xE2}  # 0xE2: quotes and dashes
    n_bytes = sum(length * index.count(bytes([lead])) for lead, length in lengths.items())
    return n_bytes > index.n_tokens / 2
