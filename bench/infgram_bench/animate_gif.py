"""The animation as GIF and as MP4: how a frame looks in pixels. Alone in importing Pillow.

Everything that never changes is drawn once; a frame is that, with lines, counters and the clock on
top. The GIF has one small palette for all frames and no dither, so that what did not change costs
nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .animation import (
    FRAME_SECONDS,
    LEGEND,
    SHADE_LABELS,
    Frame,
    Line,
    OnProgress,
    Show,
    clock_words,
    pane,
    rate_words,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

SIZE = (1000, 580)
_MP4_SCALE = 2

_PAPER = "#ffffff"
_PAGE = "#f4f6f8"
_RULE = "#d5dbe1"
_INK = "#1f2328"
_QUIET = "#59636e"
_ACCENTS = ("#0072b2", "#c04e00")  # Okabe and Ito's blue and vermilion, the latter darker for text
_TINTS = ("#ffffff", "#e6f1fa", "#c6e0f4", "#9fcbec", "#74b3e2")  # one a shade
_INK_STEPS = 4
_TRANSPARENT = 127  # the last of the palette

# In pixels of a picture of SIZE.
_MARGIN, _GAP, _PADDING = 22, 20, 15
_TOP, _BOTTOM = 82, 508  # of the panels
_TEXT_TOP = 176
_CELL, _LINE, _MONO = 8, 18, 13.3  # at 13.3 pixels a character is 8 wide
_PANEL = (SIZE[0] - 2 * _MARGIN - _GAP) // 2
_LEFTS = (_MARGIN, _MARGIN + _PANEL + _GAP)

_FACES = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "mono": "DejaVuSansMono.ttf",
    "mono-bold": "DejaVuSansMono-Bold.ttf",
}


def ffmpeg() -> str:
    """Where it is. Raises FileNotFoundError."""
    path = shutil.which("ffmpeg")
    if path is None:
        raise FileNotFoundError(
            "MP4 needs the program ffmpeg, which is not on the PATH: install it "
            "(apt install ffmpeg, brew install ffmpeg), or write .gif or .html"
        )
    return path


def write_gif(show: Show, path: Path, on_progress: OnProgress) -> None:
    """Loops for ever."""
    painter = _Painter(show, 1)
    palette = _palette()
    plain = _pillow().Image.Dither.NONE
    frames = (
        picture.quantize(palette=palette, dither=plain)
        for picture in _counted(painter, show, on_progress)
    )
    with path.open("wb") as file:  # which Pillow would not close if drawing is interrupted
        next(frames).save(
            file,
            format="GIF",
            save_all=True,
            append_images=frames,
            duration=[round(frame.seconds * 1000) for frame in show.frames],
            loop=0,
            disposal=1,
            optimize=True,  # what did not change becomes transparent
            transparency=_TRANSPARENT,
        )


def write_mp4(show: Show, path: Path, on_progress: OnProgress) -> None:
    """H.264 that every browser plays, at twice the size. Needs ffmpeg on the PATH."""
    painter = _Painter(show, _MP4_SCALE)
    width, height = (side * _MP4_SCALE for side in SIZE)
    command = [
        *(ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", str(round(1 / FRAME_SECONDS)), "-i", "-"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-preset", "fast"),
        *("-movflags", "+faststart", str(path)),
    ]
    pictures = _counted(painter, show, on_progress)
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=complaints) as encoder:
            assert encoder.stdin is not None
            try:
                with encoder.stdin as pipe:
                    for frame, picture in zip(show.frames, pictures, strict=True):
                        n_times = round(frame.seconds / FRAME_SECONDS)
                        for _ in range(n_times):
                            pipe.write(picture.tobytes())
            except BrokenPipeError:
                pass  # it gave up, and says why below
            except BaseException:
                encoder.kill()
                raise
        if encoder.returncode:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise OSError(f"ffmpeg failed: {said or f'exit status {encoder.returncode}'}")


def _counted(painter: _Painter, show: Show, on_progress: OnProgress) -> Iterator[Image]:
    for n, frame in enumerate(show.frames, 1):
        yield painter.frame(frame)
        on_progress(n, len(show.frames))


class _Painter:
    """Draws frames of a show at `scale` times SIZE."""

    def __init__(self, show: Show, scale: int) -> None:
        self._show = show
        self._fonts = _Fonts(scale)
        self._still = self._unchanging(scale)

    def frame(self, frame: Frame) -> Image:
        image = self._still.copy()
        canvas = _Canvas(image, self._fonts)
        right = SIZE[0] - _MARGIN
        canvas.text((_MARGIN, 42), frame.act.caption, 28, face="bold", within=720)
        canvas.text((_MARGIN, 66), frame.act.note, 14, _QUIET)
        canvas.text((right, 42), clock_words(frame.clock), 28, face="mono-bold", anchor="rs")
        canvas.text((right, 66), "since both began", 14, _QUIET, anchor="rs")
        for side, (left, accent) in enumerate(zip(_LEFTS, _ACCENTS, strict=True)):
            n = frame.written[side]
            x = left + _PADDING
            width = canvas.text((x, 154), f"{n:,}", 25, face="mono-bold")
            canvas.text((x + width + 8, 154), "characters", 14, _QUIET)
            _draw_pane(canvas, x, pane(self._show.sheets[side], n), accent)
            if side == 1 and n == 0:
                for i, line in enumerate(self._show.waiting):
                    canvas.text((x + 2 * _CELL, _TEXT_TOP + 13 + i * _LINE), line, 13, _QUIET)
        return image

    def _unchanging(self, scale: int) -> Image:
        race = self._show.race
        image: Image = _pillow().Image.new("RGB", (SIZE[0] * scale, SIZE[1] * scale), _PAGE)
        canvas = _Canvas(image, self._fonts)
        for left, track, accent in zip(_LEFTS, (race.left, race.right), _ACCENTS, strict=True):
            right, x = left + _PANEL, left + _PADDING
            canvas.box((left, _TOP, right, _BOTTOM), _RULE)
            canvas.box((left + 1, _TOP, right - 1, _BOTTOM - 1), _PAPER)
            canvas.box((left, _TOP, right, _TOP + 3), accent)
            inner = _PANEL - 2 * _PADDING
            canvas.text((x, 107), track.name, 17, accent, face="bold", within=inner)
            canvas.text((x, 126), track.detail, 12, _QUIET, within=inner)
            rate = rate_words(track.seconds_per_character)
            canvas.text((right - _PADDING, 154), rate, 14, _QUIET, anchor="rs")
            canvas.box((x, 166, right - _PADDING, 167), _RULE)
        _draw_legend(canvas)
        canvas.text((_MARGIN, 565), race.footer, 12, _QUIET, within=SIZE[0] - 2 * _MARGIN)
        return image


def _draw_pane(canvas: _Canvas, x: int, lines: list[Line], accent: str) -> None:
    """Lines from the top, and a caret behind the last."""
    y = _TEXT_TOP
    for line in lines:
        begin = x
        for shade, run in groupby(line.shades):
            end = begin + len(list(run)) * _CELL
            if shade != "0":
                canvas.box((begin, y, end, y + _LINE), _TINTS[int(shade)])
            begin = end
        canvas.text((x, y + 13), line.text, _MONO, face="mono")
        y += _LINE
    behind = x + len(lines[-1].text) * _CELL
    canvas.box((behind + 1, y - _LINE + 1, behind + _CELL, y - 1), accent)


def _draw_legend(canvas: _Canvas) -> None:
    base = 536
    x = _MARGIN + canvas.text((_MARGIN, base), LEGEND[0], 12, _QUIET) + 12
    for label, tint in zip(SHADE_LABELS, _TINTS, strict=True):
        canvas.box((x, base - 14, x + 56, base + 5), _RULE)
        canvas.box((x + 1, base - 13, x + 55, base + 4), tint)
        canvas.text((x + 28, base), label, 12, anchor="ms")
        x += 55
    canvas.text((x + 13, base), LEGEND[1], 12, _QUIET)


class _Canvas:
    """Text and boxes in pixels of a picture of SIZE, however large the picture is."""

    def __init__(self, image: Image, fonts: _Fonts) -> None:
        self._draw = _pillow().ImageDraw.Draw(image)
        self._fonts = fonts

    def text(
        self,
        where: tuple[float, float],
        text: str,
        size: float,
        colour: str = _INK,
        *,
        face: str = "sans",
        anchor: str = "ls",
        within: float | None = None,
    ) -> float:
        """On the base line; gives back the width. `within`: smaller where it would be wider."""
        scale = self._fonts.scale
        width: float = self._fonts.of(face, size).getlength(text) / scale
        if within is not None and width > within:
            size, width = size * within / width, within
        place = round(where[0] * scale), round(where[1] * scale)
        self._draw.text(place, text, fill=colour, font=self._fonts.of(face, size), anchor=anchor)
        return width

    def box(self, box: tuple[float, float, float, float], colour: str) -> None:
        """Half-open, unlike Pillow's."""
        x0, y0, x1, y1 = (round(side * self._fonts.scale) for side in box)
        self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)


class _Fonts:
    """DejaVu, which comes with matplotlib, at `scale` times the asked size."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self._folder = _fonts_folder()
        self._loaded: dict[tuple[str, float], FreeTypeFont] = {}

    def of(self, face: str, size: float) -> FreeTypeFont:
        if (face, size) not in self._loaded:
            path = str(self._folder / _FACES[face])
            # Basic layout puts each character of a line into a cell of whole pixels.
            font = _pillow().ImageFont.truetype(
                path, size * self.scale, layout_engine=_pillow().ImageFont.Layout.BASIC
            )
            self._loaded[face, size] = font
        return self._loaded[face, size]


def _palette() -> Image:
    """Every pair of colours that meet, and steps between them for the edges of letters."""
    pairs = [(tint, _INK) for tint in _TINTS]
    pairs += [(_PAGE, _INK), (_PAGE, _QUIET), (_PAPER, _QUIET), (_PAGE, _RULE)]
    pairs += [(_PAPER, accent) for accent in _ACCENTS]
    colours: dict[tuple[int, ...], None] = {}
    for pair in pairs:
        paper, ink = map(_pillow().ImageColor.getrgb, pair)
        for step in range(_INK_STEPS + 1):
            share = step / _INK_STEPS
            mixed = (round(p + (i - p) * share) for p, i in zip(paper, ink, strict=True))
            colours[tuple(mixed)] = None
    palette: Image = _pillow().Image.new("P", (1, 1))
    unused = [(0, 0, 0)] * (_TRANSPARENT + 1 - len(colours))
    palette.putpalette([value for colour in [*colours, *unused] for value in colour])
    return palette


def _pillow() -> Any:
    import PIL
    import PIL.ImageColor
    import PIL.ImageDraw
    import PIL.ImageFont

    return PIL


def _fonts_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
