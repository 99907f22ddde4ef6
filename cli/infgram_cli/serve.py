"""infgram serve: indexes over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from .option import option
from .options import IndexPath, open_indexes


@click.command(
    epilog="""\b
Examples:
  infgram serve corpus.infgram
  infgram serve news.infgram books.infgram --estimator sbis-2
  infgram serve --host 0.0.0.0 --allow-host models.example.org --token secret
"""
)
@click.argument("indexes", type=IndexPath(), metavar="[INDEX]...", nargs=-1)
@option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    help="Address to serve at; any but this machine's own needs a token.",
)
@option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    default=8000,
    help="Port to serve at; 0 takes one that is free.",
)
@option(
    "--token",
    metavar="TEXT",
    envvar="INFGRAM_TOKEN",
    show_envvar=True,
    help="Secret that every request but one for /health must carry.",
)
@option(
    "--workers",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    help="Processes that answer; they share the index's memory.",
)
@option(
    "--estimator",
    type=click.Choice(["kneser-ney", "sbis-1", "sbis-2", "sbis-3", "longest", "mix", "mix-full"]),
    show_default="kneser-ney",
    help="How levels become probabilities: of a model that is named by its index alone.",
)
@option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="Name that requests may call the server by; may be repeated.",
)
@option(
    "--allow-origin",
    "origins",
    metavar="URL",
    multiple=True,
    help="Origin of web pages that may ask, such as https://example.org; may be repeated.",
)
@option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    default=30.0,
    help="Time that a request may take.",
)
@option(
    "--show-paths", is_flag=True, help="Tell whole paths of source files, and not only their names."
)
def serve(
    indexes: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    workers: int,
    estimator: str | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    timeout: float,
    show_paths: bool,
) -> None:
    """Answer requests over HTTP, and show a page.

    Speaks infini-gram's API, OpenAI's completions and Ai2's attribution, so that clients of theirs
    work; docs/serving.md lists the paths and the limits. Open the address in a browser to see what
    an index knows. An index is named by its folder, and INDEX@ESTIMATOR is a model of it. Needs the
    extra `serve`.
    """
    from infgram.serve.run import serve as run
    from infgram.serve.settings import Limits, Settings

    from .output import note

    opened = open_indexes(indexes)
    settings = Settings(token, hosts, origins, show_paths, Limits(seconds=timeout))
    names = ", ".join(index.path.name for index in opened)
    run(
        opened,
        settings,
        host=host,
        port=port,
        workers=workers,
        estimator=estimator or "kneser-ney",
        started=lambda address: note(f"serving {names} at {address}"),
    )
