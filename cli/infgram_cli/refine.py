"""infgram refine: a small network that finds what an n-gram model wrote badly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .editing import edit_and_tell, editing_options
from .option import option
from .options import (
    InputPath,
    json_option,
    output_option,
    quiet_option,
    seed_option_with,
    torch_threads_option,
)
from .refiners import REFINER_SUFFIX, device_option, open_refiner, refiner_options

_TEXT = "text"


class _TextUnlessNamed(click.Group):
    """A group whose command `text` need not be named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if args and args[0] in own else [_TEXT, *args])


class _OneText(click.Command):
    """A command that says what to do with a refiner that is named without its option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = [
            each
            for i, each in enumerate(args)
            if each.endswith(REFINER_SUFFIX) and not (i and args[i - 1] == "--refiner")
        ]
        if named and not named[0].startswith("-"):
            raise click.UsageError(
                f"{named[0]} looks like a refiner, and stands where a text does: expected one "
                f"text, and --refiner {named[0]}",
                ctx,
            )
        return super().parse_args(ctx, args)


@click.group(
    cls=_TextUnlessNamed,
    options_metavar="",
    subcommand_metavar="[TEXT] [OPTIONS] | train CORPUS... [OPTIONS]",
    epilog="""\b
Examples:
  infgram refine train corpus.txt -o corpus.safetensors
  infgram refine draft.txt --refiner corpus.safetensors --max-copy 20 > better.txt
  infgram refine text --help
""",
)
def refine() -> None:
    """Improve a text that an index wrote, or train a refiner.

    If a file has the name of a command, write ./train, for instance. Needs the extra
    `refine`.
    """


@refine.command(
    _TEXT,
    cls=_OneText,
    epilog="""\b
Examples:
  infgram generate 'ROMEO:' -k -1 | infgram refine --refiner corpus.safetensors --prompt 'ROMEO:'
  infgram refine draft.txt --refiner corpus.safetensors --protect '^[A-Z ]+:$' --edits
""",
)
@editing_options(rounds=3)
@refiner_options
@option(
    "--strategy",
    type=click.Choice(["editor", "remask", "schedule", "t2t"]),
    default="editor",
    help="With editor the index proposes and the refiner judges; otherwise the refiner writes.",
)
def text(refiner: Path, device: str, **asked: Any) -> None:
    """Edit TEXT so that a refiner finds it more probable.

    TEXT is a file, or - for standard input. The index proposes words; it need not be the one that
    wrote the text.
    """
    from infgram.refine import refine as edit

    scorer = open_refiner(refiner, device)
    edit_and_tell(lambda index, text, **how: edit(index, scorer, text, **how), **asked)


@refine.command(
    epilog="""\b
Examples:
  infgram refine train corpus.txt -o corpus.safetensors
  infgram refine train corpus.txt -o base.safetensors --size base --minutes 20 --device cuda
"""
)
@click.argument("inputs", nargs=-1, type=InputPath(), required=True, metavar="CORPUS...")
@output_option("the refiner, a safetensors file.", required=True)
@option(
    "--size",
    type=click.Choice(["nano", "base"]),
    default="nano",
    help="Size of the network: nano has 0.9 M parameters, for CPUs; base has 11 M, for GPUs.",
)
@option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M",
    show_default="18",
    help="How long to train, estimated from the first steps.",
)
@option(
    "--steps", type=click.IntRange(min=1), metavar="N", help="Steps to train, instead of minutes."
)
@option(
    "--held-out",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    metavar="SHARE",
    default=0.1,
    help="Share of the text, at its end, that is kept for measuring the refiner.",
)
@option(
    "--tokenizer",
    type=click.Choice(["bytes", "chars"]),
    default="bytes",
    metavar="NAME",
    help="The tokenizer: that of the index to refine for, bytes or chars.",
)
@seed_option_with(0)
@device_option
@torch_threads_option
@quiet_option
@json_option
def train(
    inputs: tuple[str, ...],
    output: Path,
    size: str,
    minutes: float | None,
    steps: int | None,
    held_out: float,
    tokenizer: str,
    seed: int,
    device: str,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a refiner on CORPUS.

    CORPUS may be files and folders of any kind that `infgram build` takes. If training is stopped,
    the same command resumes it. Build the index that writes the drafts from the same text; leave
    out the held-out end if you want to measure on it.
    """
    if minutes is not None and steps is not None:
        raise click.UsageError("give --minutes or --steps, not both")
    from infgram.refine.network.training import read_text
    from infgram.refine.network.training import train as train_refiner

    from .output import StepLines, json_able, print_facts, print_json, progress, stderr, stdout

    text = read_text(inputs, tokenizer)
    console = stderr()
    lines = None if quiet or console.is_terminal else StepLines(console)
    if lines:
        lines.say(f"training on {len(text):,} tokens: the first steps may take half a minute")
    with progress(console, quiet=quiet or as_json) as report:
        trained = train_refiner(
            text,
            output,
            tokenizer=tokenizer,
            size=size,
            minutes=minutes,
            steps=steps,
            seed=seed,
            device=device,
            threads=threads,
            held_out=held_out,
            progress=report,
            on_step=lines,
        )
    if as_json:
        told = {name: value for name, value in vars(trained).items() if "losses" not in name}
        print_json(json_able({**told, "path": str(trained.path)}))
    elif not quiet:
        facts = {
            "refiner": str(trained.path),
            "trained": f"{trained.steps:,} steps, {trained.n_tokens_seen:,} tokens, "
            f"{trained.detector_steps:,} steps of the detector, {trained.seconds / 60:.1f} minutes",
        }
        for rate, loss in trained.val_loss.items():
            facts[f"{float(rate):.0%} hidden"] = f"{loss:.3f} nats a held-out token"
        facts["detector"] = (
            f"AUROC {trained.auroc:.3f} on held-out text, {trained.auroc_with_index:.3f} "
            "with an index"
        )
        print_facts(stdout(), facts)
