"""infgram plot: pictures of what the models do. The experiments behind them, and nothing drawn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .option import Decorated, option
from .options import (
    IndexPath,
    InputPath,
    TokenizerName,
    index_option,
    max_tokens_option,
    open_index,
    output_option,
    seed_option,
)
from .texts import Texts, read_texts, text_arguments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import infgram
    from infgram.plot import Written

_TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_SBIS_TEMPERATURE = 0.8


@click.group(
    epilog="""\b
Examples:
  infgram plot reliability unseen.txt
  infgram plot levels unseen.txt --max-levels 5 -o levels.svg
  infgram plot quality --judge other.infgram
  infgram plot corpus-size corpus.txt unseen.txt
"""
)
def plot() -> None:
    """Draw a picture as PNG, SVG or PDF.

    The file name decides the format. Needs the extra `plot`.
    """


def _output_option(default: str) -> Callable[[Decorated], Decorated]:
    return output_option("the picture; an existing file is replaced.", default=Path(default))


def _k_option(default: Sequence[int]) -> Callable[[Decorated], Decorated]:
    return option(
        "-k",
        "ks",
        type=click.IntRange(-1, 2**31 - 1),
        metavar="N",
        multiple=True,
        default=default,
        help="Back-off levels that sbis mixes, -1 for all; may be repeated.",
    )


@plot.command("levels", epilog="Example: infgram plot levels unseen.txt --max-levels 5")
@text_arguments
@index_option
@option(
    "--max-levels",
    type=click.IntRange(min=1),
    metavar="N",
    default=5,
    old=("-k",),
    help="Show statistics of the first N back-off levels.",
)
@option(
    "--window",
    type=click.IntRange(min=1),
    metavar="N",
    default=200,
    help="Tokens of context seen.",
)
@_output_option("levels.png")
def plot_levels(
    given: Texts,
    path: Path | None,
    max_levels: int,
    window: int,
    output: Path,
) -> None:
    """Draw statistics of the back-off levels of TEXT.

    Shows for each level the tokens of context matched and the matches, over all tokens of TEXT.
    """
    import infgram
    from infgram.plot import check, levels, save

    check(output)
    texts = given.read()
    index = open_index(path)
    statistics = infgram.level_statistics(index, *texts, k=max_levels, window=window)
    save(levels(statistics, about=f"{given} in {index.path.name}"), output)
    click.echo(output)


@plot.command("reliability", epilog="Example: infgram plot reliability unseen.txt -k 2 -k 5")
@text_arguments
@index_option
@_k_option([5])
@_output_option("reliability.png")
def plot_reliability(
    given: Texts,
    path: Path | None,
    ks: tuple[int, ...],
    output: Path,
) -> None:
    """Draw how well probabilities come true on TEXT.

    Covers Kneser-Ney, SBIS and the longest level. TEXT should not be in the index.
    """
    import infgram
    from infgram.plot import check, reliability, save

    check(output)
    index = open_index(path)
    texts = given.read()
    models = {
        "Kneser-Ney": infgram.Model(index),
        "Kneser-Ney, adapting": infgram.Model(index, adapt=True),
        **{f"SBIS, {_levels(k)}": infgram.Model(index, infgram.SBIS(k)) for k in ks},
        "longest": infgram.Model(index, infgram.Longest()),
    }
    found = {name: infgram.reliability(model, *texts) for name, model in models.items()}
    save(reliability(found, about=f"{given} by models of {index.path.name}"), output)
    click.echo(output)


@plot.command("corpus-size", epilog="Example: infgram plot corpus-size corpus.txt unseen.txt")
@click.argument("corpus", type=InputPath())
@text_arguments
@_k_option([5, -1])
@option(
    "--tokenizer",
    type=TokenizerName(),
    default="bytes",
    metavar="NAME",
    help="The tokenizer: bytes, chars, tiktoken:NAME, or a `tokenizers` JSON file.",
)
@option(
    "--halvings",
    type=click.IntRange(min=0),
    metavar="N",
    default=6,
    help="Times to halve the corpus, keeping its beginning.",
)
@_output_option("corpus-size.png")
def plot_corpus_size(
    corpus: str,
    given: Texts,
    ks: tuple[int, ...],
    tokenizer: str,
    halvings: int,
    output: Path,
) -> None:
    """Draw the perplexity of TEXT as the corpus grows.

    Builds indexes of ever longer beginnings of CORPUS, read as one document, in a temporary folder,
    and removes them. SBIS is measured as it was published (see `infgram perplexity --published`).
    """
    import infgram
    from infgram.plot import check, corpus_size, save

    check(output)
    texts = given.read()
    names = {k: f"SBIS as published, {_levels(k)}" for k in ks}
    series = ["Kneser-Ney", "Kneser-Ney, adapting", *names.values()]
    measured: dict[str, list[tuple[int, Any]]] = {name: [] for name in series}
    for n_bytes, index in _growing(corpus, tokenizer, halvings):
        for adapt, name in enumerate(series[:2]):
            model = infgram.Model(index, adapt=bool(adapt))
            measured[name].append((n_bytes, infgram.perplexity(model, *texts)))
        for k, name in names.items():
            measured[name].append((n_bytes, infgram.published_perplexity(index, *texts, k=k)))
    save(corpus_size(measured, about=f"{given} by models of {Path(corpus).name}"), output)
    click.echo(output)


@plot.command("quality", epilog="Example: infgram plot quality --judge other.infgram -k 2 -k 3")
@index_option
@option(
    "--judge",
    type=IndexPath(),
    metavar="PATH",
    required=True,
    help="An index of other text of the same kind, with the same tokenizer.",
)
@_k_option([1, 2, 3, 5, -1])
@option(
    "--decay",
    "decays",
    type=float,
    metavar="D",
    multiple=True,
    default=[0.1, 0.3],
    help="How much less sbis counts each further level; may be repeated, one line each.",
)
@max_tokens_option(30_000, "for each point")
@seed_option
@_output_option("quality.png")
def plot_quality(
    path: Path | None,
    judge: Path,
    ks: tuple[int, ...],
    decays: tuple[float, ...],
    max_tokens: int,
    seed: int | None,
    output: Path,
) -> None:
    """Draw the quality of generated text against copying.

    The judge is Kneser-Ney on an index that does not hold the corpus; quality is how many bits per
    byte it needs for the text. Text as good as real text is near the dashed line; text further left
    is newer.
    """
    import infgram
    from infgram.plot import Written, check, quality, save

    check(output)
    index = open_index(path)
    judging = infgram.Model(infgram.open(judge))
    if judging.tokenizer.spec() != index.tokenizer.spec():
        raise click.UsageError(f"{judge} has another tokenizer than {index.path.name}")

    def made(label: str, estimator: Any, temperature: float) -> Written:
        model = infgram.Model(index, estimator)
        texts = list(_generated(model, max_tokens, temperature, seed))
        return Written(label, infgram.novelty(index, *texts), infgram.perplexity(judging, *texts))

    written = {
        f"SBIS, decay {decay}, T={_SBIS_TEMPERATURE}": [
            made(_levels(k), infgram.SBIS(k, decay), _SBIS_TEMPERATURE) for k in ks
        ]
        for decay in decays
    }
    written["Kneser-Ney"] = [made(f"T={t}", infgram.KneserNey(), t) for t in _TEMPERATURES]
    written["longest, T=1"] = [made("", infgram.Longest(), 1.0)]
    real = infgram.perplexity(judging, *_documents(index, max_tokens))
    about = f"written from {index.path.name}, judged by {judge.name}"
    save(quality(written, real=real, about=about), output)
    click.echo(output)


def _growing(corpus: str, tokenizer: str, halvings: int) -> Iterator[tuple[int, infgram.Index]]:
    """(bytes, index) of ever longer beginnings of a corpus, each twice as long as the one before.

    Cut after a line where there is one, so that no character is cut in two. An index is gone when
    the next one is asked for.
    """
    import infgram

    contents = read_texts((corpus,))
    if not all(isinstance(content, bytes) for content in contents):
        raise click.UsageError(f"{corpus} holds token ids, expected text")
    text = b"\n".join(map(bytes, contents))
    for halving in range(halvings, -1, -1):
        size = len(text) >> halving
        part = text[: text.rfind(b"\n", 0, size) + 1 or size] if halving else text
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "part.txt")
            source.write_bytes(part)
            index = infgram.build(source, Path(folder, "part.infgram"), tokenizer=tokenizer)
            yield len(part), index


def _generated(
    model: infgram.Model, n_tokens: int, temperature: float, seed: int | None
) -> Iterator[NDArray[np.uint32]]:
    """Generated texts, one after another until there are enough tokens."""
    import numpy as np

    rng = np.random.default_rng(seed)
    while n_tokens > 0:
        made = model.generate(max_tokens=n_tokens, temperature=temperature, seed=rng)
        yield made.token_ids
        n_tokens -= max(len(made.token_ids), 1)  # a document may be empty


def _documents(index: infgram.Index, n_tokens: int) -> Iterator[NDArray[np.uint32]]:
    """The corpus's own texts, from its beginning until there are enough tokens."""
    for document in range(index.n_documents):
        if n_tokens <= 0:
            return
        yield (text := index.document(document).token_ids[:n_tokens])
        n_tokens -= len(text)


def _levels(k: int) -> str:
    return "all levels" if k == -1 else f"k={k}"
