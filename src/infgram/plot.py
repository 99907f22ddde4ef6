"""Pictures of what `evaluate` and `novelty` measure, and of costs. Alone in importing matplotlib.

Each function takes results and returns a matplotlib Figure, which needs no display and nobody else
knows of; `save` writes it. They need the extra `plot`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameter, MissingExtra
from .extras import how_to_install
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
# Where the labels of a line stand, so that two lines' do not meet: above, below, right, left.
_BESIDE: tuple[dict[str, Any], ...] = (
    {"xytext": (0, 7), "ha": "center"},
    {"xytext": (4, -13), "ha": "left"},
    {"xytext": (8, -3), "ha": "left"},
    {"xytext": (-8, -3), "ha": "right"},
)
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
def quality(written: Mapping[str, Sequence[Written]], *, real: Perplexity | None = None) -> Figure:
    """How good generated text is against how much of it is copied; a line an estimator.

    Across: the share of the text's n-grams (20 tokens, say) that stand in the generator's corpus,
    from all new to all copied. Upwards: bits a byte of the text under a judge, best Kneser-Ney on
    an index of other text of the same kind. The judge must not know the generator's corpus, or it
    would praise copies. `real` is that corpus itself under the judge, the aim: above it text is
    less plausible than real text, below it more predictable, which dull text is too. So better
    means nearer to that line, and further left.

    Tokens that the judge's corpus lacks are left out of the bits and counted in a note.

    >>> quality({}).axes[0].get_xlabel()
    'n-grams found in the corpus'
    """
    from matplotlib import ticker

    figure, (axes,) = _figure("Quality against copying")
    n_zero = 0
    places = cycle(_BESIDE)
    for style, place, (name, points) in zip(_styles(), places, written.items(), strict=False):
        shares = [point.novelty.found_grams for point in points]
        bits = [_bits(point.judged) for point in points]
        axes.plot(shares, bits, label=name, **style)
        for point, x, y in zip(points, shares, bits, strict=True):
            _label(axes, point.label, x, y, style["color"], **place)
        n_zero += sum(point.judged.n_zero for point in points)
    if real is not None:
        axes.axhline(_bits(real), color=_FAINT, linestyle="--", linewidth=1)
        across = axes.get_yaxis_transform()
        _label(
            axes, "real text", 0.7, _bits(real), _INK, xytext=(0, 4), ha="center", xycoords=across
        )
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    grams = {point.novelty.gram for points in written.values() for point in points}
    name = f"{grams.pop()}-grams" if len(grams) == 1 else "n-grams"
    axes.set_xlabel(f"{name} found in the corpus")
    bare_ids = any(point.judged.n_bytes is None for points in written.values() for point in points)
    axes.set_ylabel(f"bits per {'token' if bare_ids else 'byte'} under the judge")
    if n_zero:
        _note(axes, f"left out: {n_zero:,} tokens that the judge's corpus lacks")
    _legend(axes)
    return figure


@_styled
def corpus_size(measured: Mapping[str, Sequence[tuple[int, Perplexity]]]) -> Figure:
    """Perplexity of one text as the corpus grows; a line a model.

    `measured`: (bytes of corpus, perplexity) by the name of the model. Both axes are logarithmic: a
    straight line is a power law. Where tokens of probability zero make the perplexity infinite the
    point is hollow and stands for the other tokens; a note tells how many were left out at most.

    >>> corpus_size({}).axes[0].get_xlabel()
    'corpus (bytes)'
    """
    from matplotlib import ticker

    figure, (axes,) = _figure("Perplexity against the size of the corpus")
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
            _label(axes, f"{y:.3g}", x, y, style["color"], xytext=(8, -3))
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
        _note(axes, f"hollow: without tokens of probability zero, {share}")
    _legend(axes)
    return figure


@_styled
def levels(statistics: Sequence[LevelStatistics]) -> Figure:
    """What the back-off levels are like: tokens matched, and matches.

    For each level the median, the mean, and one standard deviation around the mean as far as a
    level can reach: n and m are at least 1.

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
    return figure


@_styled
def reliability(results: Mapping[str, Reliability]) -> Figure:
    """Whether probabilities come true; a line a model.

    On the left the most probable token of every place: how often it came against how probable it
    was, with the expected calibration error (ECE). On the right every token of the alphabet, on
    logarithmic axes. On the diagonal a model is right about how sure it is; below it, too sure.
    Bins of fewer than five expected or actual events are noise and not shown.

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
) -> Figure:
    """Lines by name, each its x and its y. A single point carries its name instead of a legend.

    >>> figure = curves("Cost", {"build": ([1, 2], [3, 6])}, x_label="bytes", y_label="seconds")
    >>> figure.axes[0].get_title(loc="left")
    'Cost'
    """
    figure, (axes,) = _figure(title)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    places = cycle(_BESIDE)
    for style, (name, (x, y)) in zip(cycle(_styles()), points.items(), strict=False):
        if len(x) == 1:
            axes.plot(x, y, **style)
            _label(axes, name, x[0], y[0], style["color"], **next(places))
        else:
            axes.plot(x, y, label=name, **style)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
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
    infgram.errors.InvalidParameter: path ends in '.gif', expected one of .png, .svg, .pdf
    """
    suffix = Path(path).suffix
    if suffix.lower() not in _FORMATS:
        raise InvalidParameter(f"path ends in {suffix!r}, expected one of {', '.join(_FORMATS)}")
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


def _figure(title: str, n_axes: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5) if n_axes == 1 else (9, 4.5), layout="constrained")
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


def _label(axes: Axes, text: str, x: float, y: float, colour: str, **place: Any) -> None:
    """A small text beside a point, readable across lines."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    place = {"textcoords": "offset points", "color": colour, "size": 8, **place}
    axes.annotate(text, (x, y), path_effects=halo, **place)


def _note(axes: Axes, text: str) -> None:
    axes.text(1, -0.13, text, transform=axes.transAxes, ha="right", va="top", fontsize=8)


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
