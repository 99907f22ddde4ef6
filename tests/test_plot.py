"""Pictures: they show what was measured, say what it is, and leave the process as it was."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infgram import labels, plot
from infgram.errors import InvalidParameter, MissingExtra
from infgram.extras import how_to_install
from infgram.models.evaluate import Bins, LevelStatistics, Perplexity, Reliability, Summary
from infgram.plot import Written
from infgram.tracing.copying import Novelty

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib, the extra `plot`")
colors = pytest.importorskip("matplotlib.colors")

PERPLEXITY = Perplexity(1000, 1000, 0, 0, math.log(8), 8.0, 8.0, 8.0, 3.0)
WITH_ZEROS = Perplexity(1000, 1000, 100, 100, math.inf, math.inf, 4.0, 4.0, math.inf)
NOVELTY = Novelty(1000, 9.0, 50, 0, 0.1, 20, 0.25, (0.1, 0.2, 0.3, 0.4), 200, 0.9)
LEVELS = [
    LevelStatistics(1, 100, Summary(17.0, 9.0, 16.0), Summary(2.0, 5.0, 1.0)),
    LevelStatistics(2, 90, Summary(8.0, 2.0, 8.0), Summary(30.0, 20.0, 4.0)),
]
BINS = Bins(
    np.array([0.0, 0.25, 0.5, 1.0]),
    np.array([1000, 0, 400]),
    np.array([0.1, np.nan, 0.8]),
    np.array([0.2, np.nan, 0.7]),
)
RELIABILITY = Reliability(1400, 1.2, 1.5, BINS, BINS)


def drawings() -> dict[str, Callable[[], Any]]:
    return {
        "quality": lambda: plot.quality(
            {"SBIS": [Written("k=1", NOVELTY, PERPLEXITY)], "other": []}, real=PERPLEXITY
        ),
        "corpus_size": lambda: plot.corpus_size({"Kneser-Ney": [(1000, PERPLEXITY)]}),
        "levels": lambda: plot.levels(LEVELS),
        "reliability": lambda: plot.reliability({"Kneser-Ney": RELIABILITY}),
    }


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("name", drawings())
@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_every_picture_is_drawn_in_every_format(
    tmp_path: Path, name: str, suffix: str, magic: bytes
) -> None:
    path = tmp_path / f"picture{suffix}"
    plot.save(drawings()[name](), path)
    assert path.read_bytes().startswith(magic)


@pytest.mark.parametrize("name", drawings())
def test_axes_say_what_they_show(name: str) -> None:
    for axes in drawings()[name]().axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


@pytest.mark.parametrize("draw", [plot.quality, plot.corpus_size, plot.reliability, plot.levels])
def test_nothing_measured_is_an_empty_picture(tmp_path: Path, draw: Any) -> None:
    plot.save(draw([] if draw is plot.levels else {}), tmp_path / "empty.png")


def test_quality_shows_bits_a_byte_against_what_was_found() -> None:
    other = replace(NOVELTY, found_grams=0.5)
    better = Perplexity(1000, 500, 0, 0, math.log(2), 2.0, 2.0, 2.0, 2.0)
    points = [Written("k=1", NOVELTY, PERPLEXITY), Written("k=2", other, better)]
    (axes,) = plot.quality({"SBIS": points}, real=PERPLEXITY).axes
    line, real = axes.lines
    assert list(line.get_xdata()) == [0.25, 0.5]
    assert list(line.get_ydata()) == [pytest.approx(3.0), pytest.approx(2.0)]
    assert list(real.get_ydata()) == [pytest.approx(3.0)] * 2
    assert {"k=1", "k=2", "real text"} <= set(texts(axes))
    assert legend(axes) == ["SBIS"]
    assert axes.get_xlabel() == "20-grams found in the corpus"
    assert axes.get_ylabel() == "bits per byte under the judge"


def test_quality_says_how_many_tokens_the_judge_could_not_judge() -> None:
    (axes,) = plot.quality({"SBIS": [Written("", NOVELTY, WITH_ZEROS)]}).axes
    assert list(axes.lines[0].get_ydata()) == [pytest.approx(2.0 * 900 / 1000)]
    left_out = "left out: 100 tokens that the judge's corpus lacks"
    assert axes.figure.get_supxlabel() == left_out


def test_quality_of_bare_ids_is_a_token() -> None:
    bare = replace(PERPLEXITY, n_bytes=None, bits_per_byte=None)
    (axes,) = plot.quality({"SBIS": [Written("", NOVELTY, bare)]}).axes
    assert axes.get_ylabel() == "bits per token under the judge"
    assert list(axes.lines[0].get_ydata()) == [pytest.approx(3.0)]


def test_corpus_size_marks_points_that_leave_tokens_out() -> None:
    measured = {"Kneser-Ney": [(1000, WITH_ZEROS), (2000, PERPLEXITY)], "SBIS": []}
    (axes,) = plot.corpus_size(measured).axes
    line, hollow, _ = axes.lines
    assert list(line.get_xdata()) == [1000, 2000]
    assert list(line.get_ydata()) == [4.0, 8.0]
    assert hollow.get_markevery() == [0]
    assert hollow.get_markerfacecolor() == "white"
    hollow_are = "hollow: without tokens of probability zero, at most 100 of 1,000"
    assert axes.figure.get_supxlabel() == hollow_are
    assert "8" in texts(axes)
    (whole,) = plot.corpus_size({"Kneser-Ney": [(1000, PERPLEXITY)]}).axes
    assert not any("hollow" in text for text in texts(whole))


def test_levels_show_median_mean_and_deviation() -> None:
    left, right = plot.levels(LEVELS).axes
    means, medians = left.lines
    assert means.get_ydata().tolist() == [17.0, 8.0]
    assert list(medians.get_ydata()) == [16.0, 8.0]
    (bars,) = right.collections
    ends = [path.vertices[:, 1].tolist() for path in bars.get_paths()]
    assert ends == [[1.0, 7.0], [10.0, 50.0]]  # not below one match
    assert right.get_yscale() == "log"
    assert legend(left) == ["mean ± std", "median"]


def test_reliability_shows_the_filled_bins_and_the_error() -> None:
    left, right = plot.reliability({"Kneser-Ney": RELIABILITY}).axes
    for axes in (left, right):
        _, line = axes.lines  # the first is the diagonal
        assert line.get_xdata().tolist() == [0.1, 0.8]
        assert line.get_ydata().tolist() == [0.2, 0.7]
    assert legend(left) == ["Kneser-Ney, ECE 10.0%"]
    assert right.get_xscale() == right.get_yscale() == "log"


def test_bins_of_few_events_are_not_shown() -> None:
    few = replace(BINS, counts=np.array([20, 0, 400]))  # 2 expected, 4 came
    left, _ = plot.reliability({"": replace(RELIABILITY, top=few)}).axes
    assert left.lines[1].get_xdata().tolist() == [0.8]


def test_a_dozen_lines_are_told_apart() -> None:
    measured = {str(i): [(1000, PERPLEXITY)] for i in range(12)}
    (axes,) = plot.corpus_size(measured).axes
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == 12


def test_colours_are_told_apart_without_colour_vision() -> None:
    """By their lightness, or else by hue along the blue-yellow axis that most keep."""
    for one, other in combinations(plot._COLOURS[:4], 2):
        a, b = np.array(colors.to_rgb(one)), np.array(colors.to_rgb(other))
        # what deuteranopes see, roughly: red and green as their mean
        seen = np.abs(np.array([a[:2].mean() - b[:2].mean(), a[2] - b[2]]))
        assert seen.max() > 0.1, (one, other)


def test_drawing_leaves_the_settings_of_the_process_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    for draw in drawings().values():
        plot.save(draw(), tmp_path / "picture.png")
    assert dict(matplotlib.rcParams) == before


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one.svg", "other.svg"):
        plot.save(plot.levels(LEVELS), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_pyplot_is_never_imported_and_matplotlib_only_to_draw() -> None:
    script = """
import sys
from infgram import plot
first = "matplotlib" in sys.modules
plot.levels([])
print(first, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False False"


@pytest.mark.parametrize("name", ["picture.gif", "picture", "svg"])
def test_an_unknown_format_is_refused_with_those_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match=r"ends in .*expected one of \.png, \.svg"):
        plot.save(plot.levels(LEVELS), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", [*drawings().values(), lambda: plot.check("a.png")])
def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=re.escape(how_to_install("plot"))):
        call()


# Labels -------------------------------------------------------------------------------------------


def overlaps(figure: Any) -> list[tuple[str, str]]:
    """Labels that cover another, or a marker, as drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (axes, *_) = canvas.get_renderer(), figure.axes
    boxes = [(each.get_text(), Text.get_window_extent(each, renderer)) for each in axes.texts]
    found = [
        (one, other)
        for i, (one, box) in enumerate(boxes)
        for other, beside in boxes[:i]
        if box.overlaps(beside)
    ]
    for line in axes.lines:
        if line.get_marker() not in ("None", ""):
            for x, y in axes.transData.transform(line.get_xydata()):
                found += [(text, "marker") for text, box in boxes if box.contains(x, y)]
    return found


def drawn_answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The figures of the stored results, by name."""
    from infgram_bench import answers, pictures

    figures: dict[str, Any] = {}
    monkeypatch.setattr(plot, "save", lambda figure, path: figures.update({path.stem: figure}))
    results = Path(__file__).parents[1] / "bench" / "results" / "results.json"
    pictures.draw(answers.read(results).values(), Path())
    return figures


def test_no_label_of_the_benchmarks_pictures_covers_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures = drawn_answers(monkeypatch)
    assert {"judge", "refining", "loss", "growth"} <= set(figures)
    assert len(figures["judge"].axes[0].texts) == 12
    for name, figure in figures.items():
        assert overlaps(figure) == [], name


def test_the_benchmarks_pictures_say_of_which_corpus_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, figure in drawn_answers(monkeypatch).items():
        if name != "growth":  # whose stored results do not tell
            assert "tinyshakespeare" in figure.get_supxlabel(), name


def test_labels_of_quality_stand_apart_where_points_do_not() -> None:
    points = {
        f"model {i}": [
            Written(
                f"k={k}",
                replace(NOVELTY, found_grams=0.5 + 0.001 * k),
                replace(PERPLEXITY, perplexity_nonzero=4 + 0.01 * i),
            )
            for k in range(4)
        ]
        for i in range(3)
    }
    figure = plot.quality(points, real=PERPLEXITY, about="one")
    assert len(figure.axes[0].texts) == 13
    assert overlaps(figure) == []
    assert figure.get_supxlabel() == "one"


@given(
    st.lists(
        st.tuples(st.floats(0, 300), st.floats(0, 200), st.floats(4, 40)), min_size=1, max_size=12
    )
)
def test_labels_are_placed_apart_and_inside(asked: list[tuple[float, float, float]]) -> None:
    points = [(x, y) for x, y, _ in asked]
    boxes = labels.place(points, [(width, 8.0) for *_, width in asked], (-50, -50, 350, 250))
    for i, box in enumerate(boxes):
        assert box[0] >= -50 and box[1] >= -50 and box[2] <= 350 and box[3] <= 250
        for other in boxes[:i]:
            assert not np.all(np.minimum(box[2:], other[2:]) > np.maximum(box[:2], other[:2]))
