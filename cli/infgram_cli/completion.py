"""infgram completion: what a shell needs to complete commands, options, indexes and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    epilog="""\b
Examples:
  eval "$(infgram completion bash)"      # in ~/.bashrc
  eval "$(infgram completion zsh)"       # in ~/.zshrc, after compinit
  infgram completion fish > ~/.config/fish/completions/infgram.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that lets a shell complete.

    Commands, options, their values and the paths of indexes are completed. Bash has to be 4.4 or
    newer.
    """
    make = get_completion_class(shell)
    assert make is not None  # click has all three
    # bash is here asked for its version, which click writes about on standard error
    click.echo(make(ctx.find_root().command, {}, "infgram", "_INFGRAM_COMPLETE").source())
