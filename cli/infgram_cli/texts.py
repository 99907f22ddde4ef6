"""How the command line reads the text that it is to judge: as `infgram build` reads a corpus."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .options import Decorated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from infgram.text.corpus import Document, Format, Split

FORMATS = ("text", "bytes", "jsonl", "json", "csv", "tsv", "parquet", "arrow", "npy")


def format_options(command: Decorated) -> Decorated:
    """Adds `text_field`, `format` and `encoding`: what inputs are and where their text is."""
    for option in (
        click.option(
            "--encoding",
            metavar="NAME",
            help="Encoding of text that is not UTF-8, such as latin-1; a byte order mark goes "
            "before it.",
        ),
        click.option(
            "--format",
            type=click.Choice(FORMATS),
            help="What the inputs are; by default their first bytes and names tell. bytes takes "
            "any file as it is.",
        ),
        click.option(
            "--text-field",
            metavar="NAME",
            default="text",
            show_default=True,
            help="Field or column that holds the text in JSON, CSV, Parquet and Arrow, or a path "
            "to it, such as messages[].content.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Texts:
    """What a command is to judge: inputs, and how they are read."""

    inputs: tuple[str, ...]
    documents: Split = "file"
    text_field: str = "text"
    format: Format | None = None
    encoding: str | None = None

    def read(self) -> list[bytes | NDArray[np.integer[Any]]]:
        """The texts in inputs of any kind that infgram reads; "-" is standard input."""
        return [text.content for text in self.read_documents()]

    def read_documents(self) -> list[Document]:
        """The same with where each comes from."""
        from infgram.errors import CorpusWarning
        from infgram.text.corpus import plan

        from .output import stderr

        corpus = plan(
            self.inputs,
            documents=self.documents,
            text_field=self.text_field,
            format=self.format,
            encoding=self.encoding,
        )

        def note(what: CorpusWarning) -> None:
            stderr().print(f"infgram: {what}", markup=False)

        return list(corpus.documents(on_note=note))


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
    made = click.option(
        "--documents",
        type=click.Choice(["file", "line", "paragraph"]),
        default="file",
        show_default=True,
        help="How to split TEXT; each part is judged on its own.",
    )(made)
    added: Decorated = click.argument("inputs", nargs=-1, required=True, metavar="TEXT...")(made)
    return added


def read_texts(inputs: tuple[str, ...]) -> list[bytes | NDArray[np.integer[Any]]]:
    """The texts in files of any kind that infgram reads; "-" is standard input, read as it is."""
    return Texts(inputs, format="bytes" if inputs == ("-",) else None).read()
