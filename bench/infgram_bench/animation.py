"""Two texts that appear at their true relative speeds: what is shown when. Draws nothing.

One clock runs for both sides. It first runs so slowly that the fast side can be watched typing,
then in real time, where the fast side has written pages between one picture and the next. Each pane
is the end of a terminal: the last lines of what its side had written when the picture was taken.
Of a run of millions of characters that takes a few stretches, which `excerpts` keeps.

>>> "".join(line.text for line in lay_out(Excerpt(0, "to be\\nor", [0] * 8)))
'to beor'
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

# A pane, in characters. An excerpt that fills it is never longer than this.
COLUMNS, ROWS = 54, 18
SCROLL = 9  # lines at once where a pane is full: calmer to read than line by line
_CAPACITY = COLUMNS * ROWS

# A character is shaded by the longest of these that its verbatim run of the corpus reaches.
SHADES = (0, 8, 16, 24, 32)
SHADE_LABELS = ("0\N{EN DASH}7", "8\N{EN DASH}15", "16\N{EN DASH}23", "24\N{EN DASH}31", "32+")
LEGEND = ("Characters in a row that stand in the corpus:", "plain is new, deep blue is copied")

FRAME_SECONDS = 0.1  # GIF counts in hundredths
_FRAMES_A_PAGE = 3  # where pages are turned: more would cost megabytes, and be a flicker
_START, _SLOW, _TURN, _REAL, _END = 1.2, 3.0, 0.9, 8.0, 4.0  # seconds of each act
_NOTE = "one clock runs for both"
_TYPED_A_SECOND = 110  # of the fast side in slow motion: as fast as an eye can follow

# (frames drawn, frames there are)
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a run, from character `begin` of it.

    `match_lengths`: for each character, how long a run of the corpus ends with it.
    """

    begin: int
    text: str
    match_lengths: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.match_lengths) != len(self.text):
            raise ValueError(
                f"found {len(self.match_lengths):,} match lengths for {len(self.text):,} "
                "characters, expected one each: an index of bytes gives one for each byte"
            )

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


@dataclass(frozen=True)
class Track:
    """One side: who writes, what, how fast. A short text is a single excerpt from character 0."""

    name: str
    detail: str
    excerpts: Sequence[Excerpt]
    seconds_per_character: float

    @property
    def end(self) -> int:
        """Characters it wrote; the animation stops there."""
        return self.excerpts[-1].end if self.excerpts else 0


@dataclass(frozen=True)
class Race:
    """`left` is the fast one: it sets how slow the slow motion is."""

    left: Track
    right: Track
    footer: str

    @property
    def ratio(self) -> float:
        return self.right.seconds_per_character / self.left.seconds_per_character


# Of a long run, what is shown ---------------------------------------------------------------------


def characters_needed(seconds_per_character: float) -> int:
    """How long a run the left side needs.

    >>> characters_needed(1 / 100)
    800
    """
    return _frames(_acts(seconds_per_character), [seconds_per_character])[-1].written[0]


def excerpts(
    pieces: Iterable[str],
    match_lengths: Callable[[str], Sequence[int]],
    seconds_per_character: float,
) -> list[Excerpt]:
    """What the left side shows of a run that comes in pieces; the rest is let go. O(characters).

    Reads as many pieces as it needs, so an endless stream will do. `match_lengths` is asked about
    each stretch with enough of the run before it to tell its first shades.

    >>> [excerpt.end for excerpt in excerpts(["to be "] * 200, lambda text: [0] * len(text), 0.01)]
    [800]
    """
    spans = _spans(_frames(_acts(seconds_per_character), [seconds_per_character]), 0)
    lead = SHADES[-1]
    wanted = [(max(span.begin - lead, 0), span.end) for span in spans]
    kept = []
    for span, (begin, text) in zip(spans, _stretches(pieces, wanted), strict=False):
        before = span.begin - begin
        if len(text) > before:
            lengths = match_lengths(text)[before:]
            kept.append(Excerpt(span.begin, text[before:], [int(length) for length in lengths]))
    return kept


def _stretches(
    pieces: Iterable[str], wanted: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, str]]:
    """Stretches of a run, in the order of their ends; they may overlap. The last may be cut."""
    pieces = iter(pieces)
    held, begin = "", 0  # what may still be wanted of the run, and the characters before it
    for first, end in wanted:
        while begin + len(held) < end:
            piece = next(pieces, None)
            if piece is None:
                break
            dropped = min(max(first - begin, 0), len(held))
            held, begin = held[dropped:] + piece, begin + dropped
        if begin + len(held) > first:
            yield first, held[first - begin : end - begin]


# When ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """`speed`: seconds of the clock that pass in a second on the screen; 0 holds the picture."""

    caption: str
    note: str
    seconds: float
    speed: float

    @property
    def n_frames(self) -> int:
        return round(self.seconds / FRAME_SECONDS) if self.speed else 1

    def clock(self, before: float, i: int) -> float:
        """At frame i, from 1 on, if it said `before` when the act began."""
        return before + i * FRAME_SECONDS * self.speed


@dataclass(frozen=True)
class Frame:
    """A picture: for how long it stays, what the clock says, how much each side has written."""

    act: Act
    seconds: float
    clock: float
    written: tuple[int, ...]
    turns_page: bool


class Show:
    """A race with its acts, frames and laid out text. Stops where one of the texts ends."""

    def __init__(self, race: Race) -> None:
        self.race = race
        tracks = (race.left, race.right)
        paces = [track.seconds_per_character for track in tracks]
        acts = _acts(paces[0])
        acts = _shortened(acts, paces, [track.end for track in tracks])
        last = _frames(acts, paces)[-1]
        verdict = f"{race.left.name}: {_rounded(race.ratio, 2)} times as fast"
        note = (
            f"{last.written[0]:,} characters against {last.written[1]:,} "
            f"in the same {last.clock:.1f} seconds"
        )
        self.acts = [*acts[:-1], replace(acts[-1], caption=verdict, note=note)]
        self.frames = _frames(self.acts, paces)
        self.sheets = tuple(
            [_sheet(track, span) for span in _spans(self.frames, side)]
            for side, track in enumerate(tracks)
        )
        self.waiting = self._waiting()

    def _waiting(self) -> list[str]:
        """Lines that stand in the right pane before its first character."""
        pace = self.race.right.seconds_per_character
        slowest = min((act.speed for act in self.acts if act.speed), default=1)
        lines = [f"nothing yet: its first character takes {_duration(pace)}"]
        if slowest < 1:
            lines.append(f"({_duration(pace / slowest)} in this slow motion)")
        return lines


def clock_words(clock: float) -> str:
    """Microseconds as long as they are what one sees moving.

    >>> clock_words(0.00015), clock_words(3.421)
    ('0.000150 s', '3.42 s')
    """
    return f"{clock:.6f} s" if clock < 0.01 else f"{clock:.2f} s"


def rate_words(seconds_per_character: float) -> str:
    return f"{_rounded(1 / seconds_per_character, 3)} characters/s"


def written_by(clock: float, seconds_per_character: float) -> int:
    """Characters; a millionth of one is forgiven to the arithmetic of fractions."""
    return math.floor(clock / seconds_per_character + 1e-6)


def _acts(seconds_per_character: float) -> list[Act]:
    """For a left side of this pace. One that can be watched typing needs no slow motion."""
    slowdown = int(float(f"{1 / seconds_per_character / _TYPED_A_SECOND:.0e}"))
    acts = []
    if slowdown > 1:
        acts = [
            Act(f"Slowed down {slowdown:,} times", _NOTE, _START, 0),
            Act(f"Slowed down {slowdown:,} times", _NOTE, _SLOW, 1 / slowdown),
            Act("Now in real time", _NOTE, _TURN, 0),
        ]
    return [*acts, Act("Real time", _NOTE, _REAL, 1), Act("", "", _END, 0)]


def _shortened(acts: Sequence[Act], paces: Sequence[float], ends: Sequence[int]) -> list[Act]:
    """As far as all texts reach, in whole pages: no others were kept."""
    kept, before = [], 0.0
    for act in acts:
        n = act.n_frames
        while act.speed and n > 0:
            clock = act.clock(before, n)
            if all(written_by(clock, pace) <= end for pace, end in zip(paces, ends, strict=True)):
                break
            n -= n % _FRAMES_A_PAGE or _FRAMES_A_PAGE
        if n < act.n_frames:
            act = replace(act, seconds=n * FRAME_SECONDS)
        before = act.clock(before, n)
        kept.append(act)
    return kept


def _frames(acts: Sequence[Act], paces: Sequence[float]) -> list[Frame]:
    frames, before = [], 0.0
    for act in acts:
        for i in range(1, act.n_frames + 1):
            clock = act.clock(before, i)
            frames.append(
                Frame(
                    act,
                    FRAME_SECONDS if act.speed else act.seconds,
                    clock,
                    tuple(written_by(clock, pace) for pace in paces),
                    i % _FRAMES_A_PAGE == 0 or not act.speed,
                )
            )
        before = act.clock(before, act.n_frames)
    return frames


# What ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """[begin, end) of a run, on show from when `since` characters were written."""

    begin: int
    end: int
    since: int


@dataclass(frozen=True)
class Line:
    """A line of a pane: the characters before it in the run, its own, and a digit of shade each."""

    begin: int
    text: str
    shades: str


@dataclass(frozen=True)
class Sheet:
    """Lines that fill up as the run goes on, from when `since` characters were written."""

    since: int
    lines: Sequence[Line]

    def at(self, n: int) -> list[Line]:
        """The pane when n characters are written: the last lines, the very last as far as n."""
        n_begun = bisect_right(self.lines, n, key=lambda line: line.begin)
        n_gone = math.ceil(max(n_begun - ROWS, 0) / SCROLL) * SCROLL
        shown = list(self.lines[n_gone:n_begun])
        if shown:
            last = shown.pop()
            cut = n - last.begin
            shown.append(Line(last.begin, last.text[:cut], last.shades[:cut]))
        return shown


def pane(sheets: Sequence[Sheet], n: int) -> list[Line]:
    """What a side shows when it has written n characters."""
    return sheets[bisect_right(sheets, n, key=lambda sheet: sheet.since) - 1].at(n)


def lay_out(excerpt: Excerpt) -> list[Line]:
    """Lines of at most COLUMNS, broken after spaces where there are any. O(characters)."""
    lines, begin = [], excerpt.begin
    shades = "".join(str(bisect_right(SHADES, length) - 1) for length in excerpt.match_lengths)
    for paragraph in excerpt.text.split("\n"):
        rest = "".join(c if c.isprintable() else " " for c in paragraph)
        while True:
            cut = len(rest)
            if cut > COLUMNS:
                cut = rest.rfind(" ", 0, COLUMNS + 1) + 1 or COLUMNS
            at = begin - excerpt.begin
            lines.append(Line(begin, rest[:cut], shades[at : at + cut]))
            begin, rest = begin + cut, rest[cut:]
            if not rest:
                break
        begin += 1  # the line break
    return lines


def _spans(frames: Sequence[Frame], side: int) -> list[Span]:
    """What a side shows, pane after pane; panes that overlap are one span that is typed on."""
    spans: list[Span] = []
    for frame in frames:
        if not frame.turns_page:
            continue
        end = frame.written[side]
        begin = max(end - _CAPACITY, 0)
        if spans and begin <= spans[-1].end:
            spans[-1] = replace(spans[-1], end=end)
        else:
            spans.append(Span(begin, end, since=end))
    return spans


def _sheet(track: Track, span: Span) -> Sheet:
    """Without lines that have left the pane before the sheet is on show."""
    for excerpt in track.excerpts:
        if excerpt.begin <= span.begin and span.end <= excerpt.end:
            own = slice(span.begin - excerpt.begin, span.end - excerpt.begin)
            lines = lay_out(
                Excerpt(span.begin, excerpt.text[own], list(excerpt.match_lengths[own]))
            )
            n_begun = bisect_right(lines, span.since, key=lambda line: line.begin)
            return Sheet(span.since, lines[max(n_begun - ROWS, 0) :])
    raise ValueError(
        f"characters {span.begin:,} to {span.end:,} of {track.name} are shown but not among its "
        "excerpts: make them with excerpts(), at the same seconds_per_character"
    )


# Numbers in words ---------------------------------------------------------------------------------


def _rounded(number: float, digits: int) -> str:
    number = float(f"{number:.{digits}g}")
    return f"{number:,.0f}" if number >= 10 ** (digits - 1) else f"{number:g}"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{_rounded(seconds * 1000, 2)} milliseconds"
    return f"{_rounded(seconds, 2)} seconds" if seconds < 100 else f"{seconds / 60:,.0f} minutes"
