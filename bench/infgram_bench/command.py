"""infgram bench: infgram and its rivals at the same work, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from infgram_cli.option import option
from infgram_cli.options import AnyPath, output_option, quiet_option

if TYPE_CHECKING:
    from rich.console import Console

    from .answers import Answer
    from .corpora import Corpus
    from .question import Progress as Reports
    from .question import Question
    from .session import Session
    from .settings import Settings

_FILE = AnyPath(exists=True, dir_okay=False)
_LIBRARY_BYTES = 1_100_000  # as many as Tiny Shakespeare has
_FOLDER = AnyPath(exists=True, file_okay=False)


@click.command(
    epilog="""\b
Examples:
  infgram bench --quick
  infgram bench queries generation --tiny ./tiny-infini-gram
  infgram bench --kenlm kenlm/build/bin --train-minutes 60
  infgram bench --animate race.gif
"""
)
@click.argument("questions", nargs=-1, metavar="[QUESTION]...")
@option("--list", "listed", is_flag=True, help="List the questions and how long each takes.")
@option("--quick", is_flag=True, help="Under two minutes: fewer questions and no training.")
@option("--again", is_flag=True, help="Measure again what was measured already.")
@output_option(
    "a folder for the results; an interrupted run resumes from there.",
    default=Path("infgram-bench"),
)
@option("--corpus", type=_FILE, help="Text to measure on, instead of Tiny Shakespeare.")
@option("--also", type=_FILE, multiple=True, help="Another text to predict; may be repeated.")
@option(
    "--large",
    type=_FILE,
    help="Text for peers, growth and building, instead of text files found here.",
)
@option(
    "--large-size",
    "sizes",
    old=("--size",),
    type=click.IntRange(min=1),
    metavar="MIB",
    multiple=True,
    default=[1, 16, 128],
    help="How much of --large to compare systems on; may be repeated.",
)
@option("--tiny", type=_FILE, help="The tiny-infini-gram program, built with k := 2.")
@option(
    "--tiny-perplexity",
    type=_FILE,
    multiple=True,
    help="A build of tiny-infini-gram that prints validation perplexities; may be repeated.",
)
@option("--kenlm", type=_FOLDER, help="Folder that holds KenLM's lmplz.")
@option(
    "--compressor",
    "compressors",
    type=_FILE,
    multiple=True,
    help="7z, paq8px or cmix, as you built it, to predict as it compresses; may be repeated.",
)
@option("--nanogpt", type=_FOLDER, help="A checkout of nanoGPT, to time its own model too.")
@option(
    "--train-minutes",
    type=click.FloatRange(min=0),
    metavar="N",
    default=30.0,
    help="Minutes to train the 10.65 M model, in all; training resumes where it stopped.",
)
@option(
    "--animate",
    "animation",
    type=AnyPath(dir_okay=False),
    metavar="FILE",
    help="Draw infgram and nanoGPT writing side by side, as .gif, .mp4 or .html; measures only "
    "the questions that are named.",
)
@option(
    "--core",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="the last",
    help="Core to measure on.",
)
@option("--no-pin", is_flag=True, help="Let the system choose the cores.")
@quiet_option
def bench(
    questions: tuple[str, ...],
    listed: bool,
    quick: bool,
    again: bool,
    output: Path,
    corpus: Path | None,
    also: tuple[Path, ...],
    large: Path | None,
    sizes: tuple[int, ...],
    tiny: Path | None,
    tiny_perplexity: tuple[Path, ...],
    kenlm: Path | None,
    compressors: tuple[Path, ...],
    nanogpt: Path | None,
    train_minutes: float,
    animation: Path | None,
    core: int | None,
    no_pin: bool,
    quiet: bool,
) -> None:
    """Measure infgram and its rivals on this machine.

    Rivals that are not installed are reported as such; the neural ones need the `neural` extra of
    infgram-bench. Results go to standard output and, with every single figure, to the output
    folder. Name QUESTIONs to measure only those; --list shows them.
    """
    if sys.platform == "win32":
        raise click.ClickException("the benchmarks run on Linux and macOS, and this is Windows")
    from infgram_cli.output import stderr

    from .animate import check as check_animation
    from .corpora import Corpus
    from .questions import QUESTIONS
    from .session import Session
    from .settings import Settings

    asked = _choose(questions, quick)
    settings = Settings(
        corpus=Corpus("", b"") if listed else _corpus(corpus, stderr()),
        others=tuple(Corpus(path.stem, path.read_bytes()) for path in also),
        large=large and large.resolve(),
        sizes=tuple(sorted({1} if quick else set(sizes))),
        tiny=tiny and tiny.resolve(),
        tiny_perplexity=tuple(path.resolve() for path in tiny_perplexity),
        kenlm=kenlm and kenlm.resolve(),
        nanogpt=nanogpt and nanogpt.resolve(),
        compressors=tuple(map(_compressor, compressors)),
        train_minutes=train_minutes,
        core=_core(core, no_pin),
        quick=quick,
    )
    if listed:
        for question in asked:
            minutes = _minutes(question.minutes(settings))
            click.echo(f"{question.name:14} {minutes:>16}   {question.title}")
        return
    if animation is not None:
        check_animation(animation)
    if questions or animation is None:
        output.mkdir(parents=True, exist_ok=True)
        session = Session(output, settings)
        _run(session, settings, asked, again=again, quiet=quiet)
        written = ", ".join(path.name for path in session.write_report(QUESTIONS))
        if not quiet:
            stderr().print(f"In {output}: {written}")
    if animation is not None:
        _animate(settings, animation, quiet=quiet)


def _choose(names: Sequence[str], quick: bool) -> list[Question]:
    from .questions import QUESTIONS

    if not names:
        return [question for question in QUESTIONS if question.in_quick or not quick]
    by_name = {question.name: question for question in QUESTIONS}
    for name in names:
        if name not in by_name:
            raise click.UsageError(
                f"there is no question {name!r}: choose from {', '.join(by_name)}"
            )
    return [question for question in QUESTIONS if question.name in names]


def _corpus(path: Path | None, console: Console) -> Corpus:
    from .corpora import Corpus, shakespeare, standard_library

    if path is not None:
        return Corpus(path.stem, path.read_bytes())
    if found := shakespeare():
        return found
    console.print(
        "Tiny Shakespeare could not be fetched (name a text with --corpus): measuring on Python's "
        "standard library.",
        style="yellow",
    )
    return standard_library(_LIBRARY_BYTES)


def _compressor(path: Path) -> Path:
    from .compressors import PROGRAMS, name_of

    if name_of(path) is None:
        raise click.UsageError(
            f"--compressor names {path.name}, expected a program called {', '.join(PROGRAMS)}"
        )
    return path.absolute()


def _core(core: int | None, no_pin: bool) -> int | None:
    from .machine import ALL_CORES

    if no_pin or not ALL_CORES:
        return None
    if core is not None and core not in ALL_CORES:
        raise click.UsageError(f"there is no core {core}: choose from {sorted(ALL_CORES)}")
    return max(ALL_CORES) if core is None else core


def _run(
    session: Session, settings: Settings, asked: Sequence[Question], *, again: bool, quiet: bool
) -> None:
    from infgram_cli.output import stderr, stdout

    out, err = stdout(), stderr()
    open_questions = [q for q in asked if again or not session.is_answered(q)]
    if not quiet:
        minutes = sum(q.minutes(settings) for q in open_questions)
        kept = len(asked) - len(open_questions)
        err.print(
            f"{len(open_questions)} questions, {_minutes(minutes)} on two cores"
            + (f"; {kept} kept from an earlier run" if kept else "")
            + ". You can interrupt it: the same command resumes."
        )
    for question in asked:
        if question in open_questions:
            n = open_questions.index(question) + 1
            name = f"{n}/{len(open_questions)} {question.name}"
            with _progress(err, name, quiet=quiet) as progress:
                session.ask(question, progress)
        _show(out, session.answers[question.name])


def _animate(settings: Settings, path: Path, *, quiet: bool) -> None:
    from infgram_cli.output import stderr

    from .question import CannotMeasure
    from .race import animate

    with _progress(stderr(), "animation", quiet=quiet) as progress:
        try:
            animate(settings, path, progress)
        except CannotMeasure as reason:
            raise click.ClickException(str(reason)) from reason
    click.echo(path)


def _minutes(minutes: float) -> str:
    if minutes < 1.5:
        return f"about {max(10, round(6 * minutes) * 10)} s"
    return f"about {minutes:.0f} minutes"


@contextmanager
def _progress(console: Console, name: str, *, quiet: bool) -> Iterator[Reports]:
    """Draws what is being done, and wipes it out at the end; in a pipe, prints the name."""
    if quiet or not console.is_terminal:
        if not quiet:
            console.print(name)
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = bars.add_task(name, total=None)

    def report(stage: str, done: float, total: float) -> None:
        bars.update(task, description=f"{name}: {stage}", completed=done, total=total or None)

    with bars:
        yield report


def _show(console: Console, answer: Answer) -> None:
    """Tables that fit a terminal; Markdown elsewhere."""
    from .failures import FAILED
    from .render import facts, section

    if not console.is_terminal:
        console.print(section(answer))
        return
    from infgram_cli.output import heading, table

    heading(console, answer.title)
    console.print(facts({**answer.findings.setting, "date": answer.date}), style="dim")
    for found in answer.findings.tables:
        rows = table(console, found.title, *found.header)
        below = []  # a sentence would squeeze the figures beside it
        for row in found.rows:
            below += [f"{row[0]} {cell}" for cell in row[1:] if cell.startswith(FAILED)]
            rows.add_row(*("failed" if cell.startswith(FAILED) else cell for cell in row))
        console.print(rows)
        for line in below:
            console.print(line, style="yellow")
    for bar in answer.findings.bars:
        sign = "at least" if bar.at_least else "at most"
        verdict = "reached" if bar.reached else "NOT reached"
        console.print(
            f"{bar.what}: {bar.found:,.4g} {bar.unit} ({sign} {bar.asked:,.4g}: {verdict})",
            style="green" if bar.reached else "yellow",
        )
    for note in answer.findings.notes:
        console.print(f"- {note}")
