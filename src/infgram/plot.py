"""Pictures of what `evaluate` and `novelty` measure, and of costs. Alone in importing matplotlib.

Each function takes results and returns a matplotlib Figure, which needs no display and nobody else
knows of; `save` writes it. They need the extra `plot`.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameter, MissingExtra
from .extras import how_to_install
from .labels import place
from .models.evaluate import Bins, LevelStatistics, Perplexity, Reliability
from .tracing.copying import Novelty

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart by all kinds of colour vision, and in this order by lightness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_INK = "#333333"
_FAINT = "#999999"
_QUIET = "#666666"
_SMALL = 8  # points
_FAR = 8.0  # points from which on a line leads from a label to its point
_MOST_NAMES = 16  # that are written at points; more of them are numbers, with a key beside
_FORMATS = (".png", ".svg", ".pdf")
_FEWEST_EVENTS = 5
_STYLE: Any = {  # rcParams, whose type differs between versions
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "svg.hashsalt": "infgram",  # the same picture is the same file
}


Drawn = ParamSpec("Drawn")


def _styled(draw: Callable[Drawn, Figure]) -> Callable[Drawn, Figure]:
    """Draws in our style, which the rest of the process does not see."""

    @wraps(draw)
    def styled(*args: Drawn.args, **kwargs: Drawn.kwargs) -> Figure:
        with _matplotlib().rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


class Written(NamedTuple):
    """Generated text, judged: `label` says by which setting it was made."""

    label: str
    novelty: Novelty
    judged: Perplexity


@_styled
def quality(
    written: Mapping[str, Sequence[Written]],
    *,
    real: Perplexity | None = None,
    about: str = "",
) -> Figure:
    """How good generated text is against how much of it is copied; a line an estimator.

    Across: the share of the text's n-grams (20 tokens, say) that stand in the generator's corpus,
    from all new to all copied. Upwards: bits a byte of the text under a judge, best Kneser-Ney on
    an index of other text of the same kind. The judge must not know the generator's corpus, or it
    would praise copies. `real` is that corpus itself under the judge, the aim: above it text is
    less plausible than real text, below it more predictable, which dull text is too. So better
    means nearer to that line, and further left.

    Tokens that the judge's corpus lacks are left out of the bits and counted in a note. `about`
    stands below the picture: which corpus it is of.

    >>> quality({}).axes[0].get_xlabel()
    'n-grams found in the corpus'
    """
    from matplotlib import ticker

    figure, (axes,) = _figure("Quality against copying")
    n_zero = 0
    labels = _Labels(axes)
    for style, (name, points) in zip(_styles(), written.items(), strict=False):
        shares = [point.novelty.found_grams for point in points]
        bits = [_bits(point.judged) for point in points]
        axes.plot(shares, bits, label=name, **style)
        for point, x, y in zip(points, shares, bits, strict=True):
            labels.add(point.label, x, y, style["color"])
        n_zero += sum(point.judged.n_zero for point in points)
    if real is not None:
        axes.axhline(_bits(real), color=_FAINT, linestyle="--", linewidth=1)
        shares = [point.novelty.found_grams for points in written.values() for point in points]
        labels.add("real text", max(shares, default=1) * 0.7, _bits(real), _INK)
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    grams = {point.novelty.gram for points in written.values() for point in points}
    name = f"{grams.pop()}-grams" if len(grams) == 1 else "n-grams"
    axes.set_xlabel(f"{name} found in the corpus")
    bare_ids = any(point.judged.n_bytes is None for points in written.values() for point in points)
    axes.set_ylabel(f"bits per {'token' if bare_ids else 'byte'} under the judge")
    if n_zero:
        about = _joined(about, f"left out: {n_zero:,} tokens that the judge's corpus lacks")
    _legend(axes)
    _about(figure, about)
    labels.place()
    return figure


@_styled
def corpus_size(
    measured: Mapping[str, Sequence[tuple[int, Perplexity]]], *, about: str = ""
) -> Figure:
    """Perplexity of one text as the corpus grows; a line a model.

    `measured`: (bytes of corpus, perplexity) by the name of the model. Both axes are logarithmic: a
    straight line is a power law. Where tokens of probability zero make the perplexity infinite the
    point is hollow and stands for the other tokens; a note tells how many were left out at most.
    `about` stands below the picture: which corpus it is of.

    >>> corpus_size({}).axes[0].get_xlabel()
    'corpus (bytes)'
    """
    from matplotlib import ticker

    figure, (axes,) = _figure("Perplexity against the size of the corpus")
    labels = _Labels(axes)
    left_out: list[Perplexity] = []
    for style, (name, points) in zip(_styles(), measured.items(), strict=False):
        sizes = [n_bytes for n_bytes, _ in points]
        perplexities = [p.perplexity_nonzero if _hollow(p) else p.perplexity for _, p in points]
        axes.plot(sizes, perplexities, label=name, **style)
        hollow = [i for i, (_, p) in enumerate(points) if _hollow(p)]
        if hollow:
            style = {**style, "linestyle": "", "markerfacecolor": "white"}
            axes.plot(sizes, perplexities, markevery=hollow, **style)
            left_out += [points[i][1] for i in hollow]
        if points:
            x, y = sizes[-1], perplexities[-1]
            labels.add(f"{y:.3g}", x, y, style["color"])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(sorted({n_bytes for points in measured.values() for n_bytes, _ in points}))
    axes.xaxis.set_major_formatter(ticker.EngFormatter(unit="B", places=0))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_locator(ticker.LogLocator(base=2, subs=(1, 1.5)))
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%.3g"))
    axes.set_xlabel("corpus (bytes)")
    axes.set_ylabel("perplexity per token")
    if left_out:
        worst = max(left_out, key=lambda p: p.n_zero)
        share = f"at most {worst.n_zero:,} of {worst.n_tokens:,}"
        about = _joined(about, f"hollow: without tokens of probability zero, {share}")
    _legend(axes)
    _about(figure, about)
    labels.place()
    return figure


@_styled
def levels(statistics: Sequence[LevelStatistics], *, about: str = "") -> Figure:
    """What the back-off levels are like: tokens matched, and matches.

    For each level the median, the mean, and one standard deviation around the mean as far as a
    level can reach: n and m are at least 1. `about` stands below the picture: which corpus it is
    of.

    >>> [axes.get_ylabel() for axes in levels([]).axes]
    ['n: tokens of context matched', 'm: matches']
    """
    from matplotlib import ticker

    figure, (left, right) = _figure("Back-off levels, longest first", 2)
    numbers = [level.level for level in statistics]
    for axes, summaries in (
        (left, [level.n for level in statistics]),
        (right, [level.m for level in statistics]),
    ):
        means = np.array([summary.mean for summary in summaries])
        stds = np.array([summary.std for summary in summaries])
        low = np.maximum(means - stds, 1)
        axes.vlines(numbers, low, means + stds, color=_COLOURS[4], linewidth=5, alpha=0.5)
        axes.plot(numbers, means, "_", color=_COLOURS[0], markersize=14, mew=2, label="mean ± std")
        medians = [summary.median for summary in summaries]
        axes.plot(numbers, medians, "o", color=_COLOURS[1], label="median")
        axes.set_xlabel("level")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        axes.set_xlim(0.5, max(len(numbers), 1) + 0.5)
        axes.grid(visible=False, axis="x")
    left.set_ylim(bottom=0)
    right.set_yscale("log")
    if not statistics:
        right.set_ylim(1, 10)  # a logarithmic axis does not find one of its own
    left.set_ylabel("n: tokens of context matched")
    right.set_ylabel("m: matches")
    _legend(left)
    _about(figure, about)
    return figure


@_styled
def reliability(results: Mapping[str, Reliability], *, about: str = "") -> Figure:
    """Whether probabilities come true; a line a model.

    On the left the most probable token of every place: how often it came against how probable it
    was, with the expected calibration error (ECE). On the right every token of the alphabet, on
    logarithmic axes. On the diagonal a model is right about how sure it is; below it, too sure.
    Bins of fewer than five expected or actual events are noise and not shown. `about` stands below
    the picture: which corpus it is of.

    >>> len(reliability({}).axes)
    2
    """
    figure, (left, right) = _figure("", 2)
    for axes in (left, right):
        axes.plot([1e-9, 1], [1e-9, 1], color=_FAINT, linestyle="--", linewidth=1)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share that came")
        axes.set_aspect("equal")
    smallest = [1e-1]
    for style, (name, found) in zip(_styles(), results.items(), strict=False):
        left.plot(*_points(found.top), label=f"{name}, ECE {found.ece:.1%}", **style)
        predicted, actual = _points(found.tokens)
        right.plot(predicted, actual, **style)
        smallest += [*predicted, *actual]
    left.set(title="Most probable token", xlim=(0, 1), ylim=(0, 1))
    least = 10.0 ** math.floor(math.log10(min(smallest)))
    right.set(title="Every token of the alphabet", xscale="log", yscale="log")
    right.set(xlim=(least, 1), ylim=(least, 1))
    _legend(left)
    _about(figure, about)
    return figure


@_styled
def curves(
    title: str,
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    about: str = "",
) -> Figure:
    """Lines by name, each its x and its y. A single point carries its name instead of a legend, or,
    where there are many, a number that a key beside the picture explains.

    `about` stands below the picture: which corpus it is of.

    >>> figure = curves("Cost", {"build": ([1, 2], [3, 6])}, x_label="bytes", y_label="seconds")
    >>> figure.axes[0].get_title(loc="left")
    'Cost'
    """
    alone = [name for name, (x, _) in points.items() if len(x) == 1]
    numbers = {name: str(i) for i, name in enumerate(alone, 1)} if len(alone) > _MOST_NAMES else {}
    figure, (axes,) = _figure(title, height=5 + 0.07 * len(numbers))
    labels = _Labels(axes)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    for style, (name, (x, y)) in zip(cycle(_styles()), points.items(), strict=False):
        if len(x) == 1:
            style["linestyle"] = ""
            axes.plot(x, y, label=f"{numbers[name]}: {name}" if numbers else None, **style)
            labels.add(numbers.get(name, name), x[0], y[0], style["color"])
        else:
            axes.plot(x, y, label=name, **style)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7 if numbers else 8, loc="upper left", bbox_to_anchor=(1.02, 1))
    _about(figure, about)
    labels.place()
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a picture; the path's suffix says as what: .png, .svg or .pdf.

    Raises InvalidParameter for another one.
    """
    check(path)
    with _matplotlib().rc_context(_STYLE):
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        figure.savefig(path, dpi=160, metadata=metadata)


def check(path: str | os.PathLike[str]) -> None:
    """Raises at once what `save` would at the end: InvalidParameter, MissingExtra.

    >>> check("levels.gif")
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: 'levels.gif' ends in '.gif', expected one of .png, .svg, .pdf
    """
    suffix = Path(path).suffix
    if suffix.lower() not in _FORMATS:
        raise InvalidParameter(
            f"{str(path)!r} ends in {suffix!r}, expected one of {', '.join(_FORMATS)}"
        )
    _matplotlib()


# Helpers ------------------------------------------------------------------------------------------


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra(
            f"pictures need matplotlib, which is not installed: {how_to_install('plot')}"
        ) from error
    return matplotlib


def _figure(title: str, n_axes: int = 1, *, height: float = 5) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, height) if n_axes == 1 else (9, 4.5), layout="constrained")
    axes = list(figure.subplots(1, n_axes, squeeze=False)[0])
    axes[0].set_title(title)
    return figure, axes


def _styles() -> Iterator[dict[str, Any]]:
    """How lines look, one after another; past the sixth, as those before but dashed."""
    for dashes in ("-", ":"):
        for colour, marker in zip(_COLOURS, _MARKERS, strict=True):
            yield {
                "color": colour,
                "marker": marker,
                "linestyle": dashes,
                "markersize": 5,
                "clip_on": False,
            }


class _Labels:
    """Small texts beside points of a picture, none over another or over a marker."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._asked: list[tuple[str, float, float, str]] = []

    def add(self, text: str, x: float, y: float, colour: str) -> None:
        """Asks for a text beside a point; it is drawn by `place`."""
        if text:
            self._asked.append((text, x, y, colour))

    def place(self) -> None:
        """Draws them, once nothing else of the picture moves any more."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.patheffects import withStroke

        axes = self._axes
        canvas = FigureCanvasAgg(axes.figure)  # type: ignore[arg-type]
        canvas.draw()  # type: ignore[no-untyped-call]  # which finds where the axes are
        renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
        to_points = 72 / axes.figure.dpi
        sizes = []
        for text, *_ in self._asked:
            drawn = axes.text(0, 0, text, size=_SMALL)
            box = drawn.get_window_extent(renderer)
            drawn.remove()
            # A point more, since a renderer rounds.
            sizes.append((box.width * to_points + 1, box.height * to_points + 1))
        points = [axes.transData.transform(point[1:3]) * to_points for point in self._asked]
        bounds = tuple(np.array(axes.bbox.extents) * to_points)
        boxes = place(points, sizes, bounds, taken=_markers(axes, to_points))  # type: ignore[arg-type]
        halo = [withStroke(linewidth=3, foreground="white")]
        for (text, x, y, colour), point, box in zip(self._asked, points, boxes, strict=True):
            away = np.maximum(np.maximum(box[:2] - point, point - box[2:]), 0)
            line = {
                **{"arrowstyle": "-", "color": _FAINT, "linewidth": 0.6, "shrinkB": 3},
                "relpos": tuple(np.clip((point - box[:2]) / (box[2:] - box[:2]), 0, 1)),
            }
            axes.annotate(
                text,
                (x, y),
                xytext=tuple(box[:2] - point),
                textcoords="offset points",
                color=colour,
                size=_SMALL,
                path_effects=halo,
                arrowprops=line if np.hypot(*away) > _FAR else None,
            ).set_in_layout(False)


def _markers(axes: Axes, to_points: float) -> list[tuple[float, float, float, float]]:
    """The boxes of all markers, in points."""
    boxes = []
    for line in axes.lines:
        if line.get_marker() not in ("None", "", None):
            half = line.get_markersize() / 2 + 1
            for x, y in axes.transData.transform(line.get_xydata()) * to_points:
                boxes.append((x - half, y - half, x + half, y + half))
    return boxes


def _about(figure: Figure, text: str) -> None:
    if text:
        text = "\n".join(textwrap.wrap(text, 110))
        figure.supxlabel(text, size=_SMALL, color=_QUIET, x=0.01, ha="left")


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _hollow(measured: Perplexity) -> bool:
    return math.isinf(measured.perplexity)


def _bits(judged: Perplexity) -> float:
    """Bits a byte (a token, of bare ids) without the tokens that have no probability."""
    n_bytes = judged.n_bytes or judged.n_tokens
    others = judged.n_tokens - judged.n_zero
    return math.log2(judged.perplexity_nonzero) * others / n_bytes


def _points(bins: Bins) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and actual of the bins that hold enough to tell."""
    expected = bins.counts * np.nan_to_num(bins.predicted)
    happened = bins.counts * np.nan_to_num(bins.actual)
    told = np.minimum(expected, happened) >= _FEWEST_EVENTS
    return bins.predicted[told], bins.actual[told]
