"""How the command line reads the text that it is to judge: as `infgram build` reads a corpus."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .option import Decorated, option
from .options import InputPath

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from infgram.text.corpus import Document, Format, Split

FORMATS = ("text", "bytes", "jsonl", "json", "csv", "tsv", "parquet", "arrow", "npy")


def documents_option(tail: str) -> Callable[[Decorated], Decorated]:
    """Adds `documents`: how plain text is split, and what that means here."""
    return option(
        "--documents",
        type=click.Choice(["file", "line", "paragraph"]),
        default="file",
        help=f"How to split plain text into documents: {tail}.",
    )


def format_options(command: Decorated) -> Decorated:
    """Adds `text_field`, `format` and `encoding`: what inputs are and where their text is."""
    for add in (
        option(
            "--encoding",
            metavar="NAME",
            help="Encoding of text that is not UTF-8, such as latin-1; a byte order mark goes "
            "before it.",
        ),
        option(
            "--format",
            type=click.Choice(FORMATS),
            show_default="as their first bytes and names tell",
            help="What the inputs are; bytes takes any file as it is.",
        ),
        option(
            "--text-field",
            metavar="NAME",
            default="text",
            help="Field that holds the text: of JSON, CSV, Parquet and Arrow; a name, or a path "
            "such as messages[].content.",
        ),
    ):
        command = add(command)
    return command


@dataclass(frozen=True)
class Texts:
    """What a command is to judge: inputs, and how they are read."""

    inputs: tuple[str, ...]
    documents: Split = "file"
    text_field: str = "text"
    format: Format | None = None
    encoding: str | None = None

    def __str__(self) -> str:
        """Their names, for a picture."""
        return ", ".join(
            "standard input" if each == "-" else Path(each).name for each in self.inputs
        )

    def keep(self, output: Path | None) -> None:
        """Raises UsageError if `output` would be written over an input."""
        for each in self.inputs:
            both = output and each != "-" and output.exists() and Path(each).exists()
            if output and both and output.samefile(each):
                raise click.UsageError(f"{output} is read: give another name to write to")

    def read(self) -> list[bytes | NDArray[np.integer[Any]]]:
        """The texts in inputs of any kind that infgram reads; "-" is standard input."""
        return [text.content for text in self.read_documents()]

    def read_documents(self) -> list[Document]:
        """The same with where each comes from."""
        from infgram.errors import CorpusWarning
        from infgram.text.corpus import plan

        from .output import note

        corpus = plan(
            self.inputs,
            documents=self.documents,
            text_field=self.text_field,
            format=self.format,
            encoding=self.encoding,
        )

        def say(what: CorpusWarning) -> None:
            note(str(what))

        return list(corpus.documents(on_note=say))


def name_of(document: Document) -> str:
    """Where a text came from, for people: a file, with the line of a record."""
    name = "standard input" if document.source == "-" else document.source
    return f"{name}:{document.line}" if document.line else name


def text_arguments(command: Decorated) -> Decorated:
    """Adds `given`, the Texts that a command is to judge."""

    @functools.wraps(command)
    def read(
        *,
        inputs: tuple[str, ...],
        documents: Split,
        text_field: str,
        format: Format | None,
        encoding: str | None,
        **others: Any,
    ) -> Any:
        return command(given=Texts(inputs, documents, text_field, format, encoding), **others)

    made: Any = format_options(read)
    made = documents_option("each is judged on its own")(made)
    argument = click.argument(
        "inputs", nargs=-1, type=InputPath(), required=True, metavar="TEXT..."
    )
    added: Decorated = argument(made)
    return added


def read_texts(inputs: tuple[str, ...]) -> list[bytes | NDArray[np.integer[Any]]]:
    """The texts in files of any kind that infgram reads; "-" is standard input, read as it is."""
    return Texts(inputs, format="bytes" if inputs == ("-",) else None).read()
