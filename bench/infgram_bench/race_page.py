"""The animation as a web page (race.*): the same sheets as a GIF shows, by the same clock."""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path
from string import Template

from infgram.pages.page import page

from .animation import (
    LEGEND,
    ROWS,
    SCROLL,
    SHADE_LABELS,
    OnProgress,
    Show,
    Track,
    clock_words,
    rate_words,
)

_FOLDER = files("infgram_bench")


def write_html(show: Show, path: Path, on_progress: OnProgress) -> None:
    path.write_text(race_html(show), encoding="utf-8")
    on_progress(len(show.frames), len(show.frames))


def race_html(show: Show) -> str:
    race = show.race
    end = show.acts[-1]
    return page(
        "race",
        folder=_FOLDER,
        title=f"{race.left.name} and {race.right.name}: {end.caption}",
        values={
            "caption": html.escape(end.caption),
            "note": html.escape(end.note),
            "clock": clock_words(show.frames[-1].clock),
            "left": _side(race.left, show.frames[-1].written[0]),
            "right": _side(race.right, show.frames[-1].written[1]),
            "legend": html.escape(LEGEND[0]),
            "swatches": "".join(
                f'<span class="s{shade}">{label}</span>' for shade, label in enumerate(SHADE_LABELS)
            ),
            "meaning": html.escape(LEGEND[1]),
            "footer": html.escape(race.footer),
            "rows": ROWS,
        },
        data=_data(show),
    )


def _side(track: Track, n: int) -> str:
    return Template((_FOLDER / "race-side.html").read_text(encoding="utf-8")).substitute(
        name=html.escape(track.name),
        detail=html.escape(track.detail),
        n=f"{n:,}",
        rate=rate_words(track.seconds_per_character),
    )


def _data(show: Show) -> dict[str, object]:
    tracks = (show.race.left, show.race.right)
    return {
        "rows": ROWS,
        "scroll": SCROLL,
        "waiting": show.waiting,
        "acts": [vars(act) for act in show.acts],
        "sides": [
            {
                "pace": track.seconds_per_character,
                "sheets": [
                    [sheet.since, [[line.begin, line.text, line.shades] for line in sheet.lines]]
                    for sheet in sheets
                ],
            }
            for track, sheets in zip(tracks, show.sheets, strict=True)
        ],
    }
