"""What `build` and `add` share: how inputs are read and sorted, and what is said of them."""

from __future__ import annotations

import functools
import warnings
from typing import Any, TextIO

import click

from .option import Decorated, option
from .texts import documents_option, format_options

_MAX_SHARD_TOKENS = 2**31 - 2
_WARNINGS_SHOWN = 10
_READING = (
    *("documents", "glob", "exclude", "no_gitignore", "text_field", "format", "encoding"),
    *("token_dtype", "separator"),
)


def reading_options(command: Decorated) -> Decorated:
    """Adds `reading`: what `infgram.build` and `infgram.add` take that says how inputs are read."""

    @functools.wraps(command)
    def read(**given: Any) -> Any:
        reading = {name: given.pop(name) for name in _READING}
        reading["gitignore"] = not reading.pop("no_gitignore")
        return command(reading=reading, **given)

    made: Any = read
    for add in reversed(
        (
            documents_option("no match crosses documents"),
            option(
                "--glob",
                metavar="PATTERN",
                default="**/*",
                help="Which files to read from folders.",
            ),
            option(
                "--exclude",
                metavar="GLOB",
                multiple=True,
                help="What to leave out of folders, as in .gitignore; may be repeated.",
            ),
            option(
                "--no-gitignore", is_flag=True, help="Also read what .gitignore names in a folder."
            ),
            format_options,
            option(
                "--token-dtype",
                type=click.Choice(["uint8", "uint16", "uint32"]),
                help="Type of the ids in .bin files, which are token ids then.",
            ),
            option(
                "--separator",
                type=click.IntRange(min=0),
                metavar="ID",
                help="The id that separates documents in token arrays, such as 50256.",
            ),
        )
    ):
        made = add(made)
    added: Decorated = made
    return added


jobs_option = option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Shards to sort at once, each in its own process.",
)


def sorting_options(command: Decorated) -> Decorated:
    """Adds `shard_tokens` and `jobs`."""
    for add in reversed(
        (
            option(
                "--shard-tokens",
                type=click.IntRange(2, _MAX_SHARD_TOKENS),
                metavar="N",
                default=_MAX_SHARD_TOKENS,
                help="Tokens to sort at once; each takes 6 to 7 bytes of memory (25 for token "
                "ids), 11 with mapped files.",
            ),
            jobs_option,
        )
    ):
        command = add(command)
    return command


class Notes:
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
