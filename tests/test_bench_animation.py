"""The animation: one clock for both sides, the right text at every moment, whole files or none."""

from __future__ import annotations

import doctest
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from infgram_bench import animate
from infgram_bench.animate import check, write
from infgram_bench.animation import (
    COLUMNS,
    ROWS,
    Excerpt,
    Line,
    Race,
    Show,
    Track,
    characters_needed,
    excerpts,
    lay_out,
    pane,
    written_by,
)
from infgram_bench.race_page import race_html

FAST, SLOW = 1 / 2_500_000, 1 / 300
WORDS = "shall I compare thee to a summer's day\nthou art more lovely and more temperate\n\n"


def run(n: int, begin: int = 0) -> str:
    """A long run in which every stretch says where it is."""
    first = begin // 10
    pieces = "".join(f"{i:08d} \n" if i % 4 == 3 else f"{i:08d}  " for i in _counting(first, n))
    return pieces[begin - first * 10 :][:n]


def _counting(first: int, n: int) -> range:
    return range(first, first + n // 10 + 2)


def lengths(text: str) -> Sequence[int]:
    return [i % 40 for i in range(len(text))]


def whole(name: str, text: str, pace: float) -> Track:
    return Track(name, "what it is", [Excerpt(0, text, lengths(text))], pace)


def short_race(left: str = WORDS * 4, right: str = WORDS, seconds: float = 0.4) -> Race:
    """Both slow enough to go without slow motion; over after `seconds`."""
    return Race(
        whole("left", left, seconds / len(left)),
        whole("right", right, seconds / len(right)),
        "a footer",
    )


@pytest.fixture(scope="module")
def long_race() -> Race:
    n = characters_needed(FAST)
    pieces = (run(100_000, begin) for begin in range(0, n + 1, 100_000))
    left = Track("infgram", "fast", excerpts(pieces, lengths, FAST), FAST)
    return Race(left, whole("GPT", WORDS * 60, SLOW), "a footer")


@pytest.fixture(scope="module")
def long_show(long_race: Race) -> Show:
    return Show(long_race)


def shown_text(lines: Sequence[Line]) -> str:
    return " ".join(line.text for line in lines)


# When ---------------------------------------------------------------------------------------------


def test_neither_clock_nor_counters_ever_go_back(long_show: Show) -> None:
    for before, after in pairwise(long_show.frames):
        assert before.clock <= after.clock
        assert before.written[0] <= after.written[0]
        assert before.written[1] <= after.written[1]


def test_both_sides_follow_one_clock_at_their_own_rates(long_show: Show) -> None:
    for frame in long_show.frames:
        assert abs(frame.clock / FAST - frame.written[0]) <= 1
        assert abs(frame.clock / SLOW - frame.written[1]) <= 1


def test_slow_motion_lets_one_see_the_fast_side_typing(long_show: Show) -> None:
    slow = [frame for frame in long_show.frames if 0 < frame.act.speed < 1]
    assert slow[0].act.caption == "Slowed down 20,000 times"
    typed = [after.written[0] - before.written[0] for before, after in pairwise(slow)]
    assert min(typed) >= 1 and max(typed) < 15
    assert slow[-1].written[1] == 0
    assert long_show.waiting == [
        "nothing yet: its first character takes 3.3 milliseconds",
        "(67 seconds in this slow motion)",
    ]


def test_real_time_is_real(long_show: Show) -> None:
    real = [frame for frame in long_show.frames if frame.act.speed == 1]
    for before, after in pairwise(real):
        assert after.clock - before.clock == pytest.approx(after.seconds)
    assert real[-1].clock == pytest.approx(8, abs=0.001)


def test_the_end_tells_the_ratio(long_show: Show) -> None:
    end = long_show.frames[-1]
    assert end.act.caption == "infgram: 8,300 times as fast"
    left, right = end.written
    assert end.act.note == f"{left:,} characters against {right:,} in the same 8.0 seconds"


def test_it_stops_where_a_text_ends(long_race: Race) -> None:
    few = whole("GPT", WORDS * 3, SLOW)
    show = Show(Race(long_race.left, few, ""))
    n = len(few.excerpts[0].text)
    assert n - 100 < show.frames[-1].written[1] <= n
    assert show.frames[-1].clock < 1
    assert show.frames[-1].act.seconds > 1


def test_a_side_that_can_be_watched_gets_no_slow_motion() -> None:
    show = Show(short_race(seconds=2))
    assert {act.caption for act in show.acts[:-1]} == {"Real time"}


def test_a_fraction_of_a_character_is_not_written() -> None:
    assert written_by(0.3, 0.1) == 3  # 0.3 / 0.1 is a little less than 3
    assert written_by(0.29, 0.1) == 2


# What ---------------------------------------------------------------------------------------------


def test_a_pane_ends_with_what_was_written_when_its_page_was_turned(
    long_race: Race, long_show: Show
) -> None:
    n_checked = 0
    for frame in long_show.frames:
        n = frame.written[0]
        if not frame.turns_page or n == 0:
            continue
        lines = pane(long_show.sheets[0], n)
        assert 0 < len(lines) <= ROWS
        begin = lines[0].begin
        assert shown_text(lines).split() == run(n - begin, begin).split()
        n_checked += 1
    assert n_checked > 30


def test_little_is_kept_of_a_long_run(long_race: Race) -> None:
    kept = sum(len(excerpt.text) for excerpt in long_race.left.excerpts)
    assert kept < 100 * COLUMNS * ROWS < characters_needed(FAST) / 100
    for excerpt in long_race.left.excerpts:
        assert excerpt.text == run(len(excerpt.text), excerpt.begin)
        assert len(excerpt.match_lengths) == len(excerpt.text)


@pytest.mark.parametrize("size", [1, 7, 4096, 10**9])
def test_what_is_kept_does_not_depend_on_the_pieces(size: int) -> None:
    pace = 1 / 20_000
    n = characters_needed(pace)
    text = run(n)
    pieces = (text[i : i + size] for i in range(0, n, size))
    kept = excerpts(pieces, lengths, pace)
    assert kept[-1].end == n
    assert all(text[excerpt.begin : excerpt.end] == excerpt.text for excerpt in kept)


def test_no_more_is_read_of_an_endless_run_than_is_shown() -> None:
    n_read = 0

    def pieces() -> Iterator[str]:
        nonlocal n_read
        while True:
            n_read += 10
            yield "to be, or "

    kept = excerpts(pieces(), lengths, 1 / 1000)
    assert kept[-1].end == characters_needed(1 / 1000)
    assert n_read - 10 < kept[-1].end <= n_read


def test_match_lengths_are_asked_with_what_stands_before() -> None:
    asked = []

    def noted(text: str) -> Sequence[int]:
        asked.append(text)
        return range(len(text))

    kept = excerpts([run(characters_needed(1 / 200_000))], noted, 1 / 200_000)
    assert len(kept) > 2
    assert kept[0].match_lengths[0] == 0
    assert all(excerpt.match_lengths[0] == 32 for excerpt in kept[1:])
    assert all(text.endswith(excerpt.text) for text, excerpt in zip(asked, kept, strict=True))


def test_a_run_that_ends_early_ends_the_animation_early() -> None:
    n = characters_needed(FAST) // 2
    pieces = (run(100_000, begin) for begin in range(0, n, 100_000))
    left = Track("infgram", "", excerpts(pieces, lengths, FAST), FAST)
    show = Show(Race(left, whole("GPT", WORDS * 60, SLOW), ""))
    assert 3.5 < show.frames[-1].clock <= 4.1


def test_missing_excerpts_are_an_error_that_says_how_to_make_them(long_race: Race) -> None:
    kept = long_race.left.excerpts
    holes = Track("infgram", "", [kept[0], kept[-1]], FAST)
    with pytest.raises(ValueError, match=r"of infgram are shown .* make them with excerpts\(\)"):
        Show(Race(holes, long_race.right, ""))


def test_lines_fit_and_lose_nothing() -> None:
    text = WORDS + "x" * 3 * COLUMNS + " and\ttabs\r\n" + "word " * 40
    lines = lay_out(Excerpt(100, text, lengths(text)))
    for line in lines:
        assert len(line.text.rstrip()) <= COLUMNS
        assert len(line.shades) == len(line.text)
        own = text[line.begin - 100 :][: len(line.text)]
        assert line.text == own.replace("\t", " ").replace("\r", " ")
    assert sum(len(line.text) for line in lines) == len(text) - text.count("\n")


def test_shades_grow_with_the_verbatim_run() -> None:
    (line,) = lay_out(Excerpt(0, "abcdefgh", [0, 7, 8, 15, 16, 24, 32, 1000]))
    assert line.shades == "00112344"


def test_a_full_pane_makes_room_and_never_overflows() -> None:
    show = Show(Race(whole("a", "line\n" * 400, 1 / 200), whole("b", "line\n" * 400, 1 / 200), ""))
    seen = [len(pane(show.sheets[1], n)) for n in range(0, 1600)]
    assert max(seen) == ROWS
    assert min(seen[seen.index(ROWS) :]) >= ROWS // 2


# Files --------------------------------------------------------------------------------------------


def test_a_gif_has_every_frame_in_its_size_and_loops(tmp_path: Path) -> None:
    from PIL import Image

    race = short_race()
    told: list[tuple[int, int]] = []
    write(race, tmp_path / "race.gif", on_progress=lambda done, total: told.append((done, total)))
    frames = Show(race).frames
    with Image.open(tmp_path / "race.gif") as gif:
        assert gif.size == (1000, 580)
        assert gif.n_frames == len(frames)
        assert gif.info["loop"] == 0
        durations = []
        for i in range(gif.n_frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
    assert durations == [round(frame.seconds * 1000) for frame in frames]
    assert told == [(i + 1, len(frames)) for i in range(len(frames))]
    assert [path.name for path in tmp_path.iterdir()] == ["race.gif"]


def test_a_page_holds_its_texts_escaped() -> None:
    hostile = "</script><b>&amp;<!-- \N{SNOWMAN}"
    race = short_race(left=hostile * 9, right=hostile * 3)
    race = Race(
        Track("<left>", hostile, race.left.excerpts, race.left.seconds_per_character),
        race.right,
        hostile,
    )
    made = race_html(Show(race))
    assert made.count("</script>") == 2 and "<!--" not in made and "<b>&amp;" not in made
    assert "&lt;left&gt;" in made and "&lt;/script&gt;&lt;b&gt;&amp;amp;" in made
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', made, re.DOTALL)
    assert found
    sides = json.loads(found[1])["sides"]
    assert hostile in "".join(text for _, text, _ in sides[0]["sheets"][0][1])


def test_a_page_fetches_nothing() -> None:
    made = race_html(Show(short_race()))
    assert not re.search(r"https?:|src=|href=|@import|url\(|fetch\(", made)


def test_another_suffix_is_an_error_that_names_the_three(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.gif, \.mp4 or \.html, found \.avi"):
        write(short_race(), tmp_path / "race.avi")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check(tmp_path / "none" / "race.html")


def test_lengths_of_bytes_are_not_taken_for_lengths_of_characters() -> None:
    with pytest.raises(ValueError, match="found 3 match lengths for 2 characters"):
        Excerpt(0, "né", [0, 1, 2])


def test_without_ffmpeg_an_mp4_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="ffmpeg, which is not on the PATH"):
        write(short_race(), tmp_path / "race.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="stands in for ffmpeg with a shell script")
def test_what_ffmpeg_complains_of_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, target = tmp_path / "programs", tmp_path / "target"
    programs.mkdir()
    target.mkdir()
    (programs / "ffmpeg").write_text("#!/bin/sh\necho no such encoder >&2\nexit 1\n")
    (programs / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(OSError, match="ffmpeg failed: no such encoder"):
        write(short_race(), target / "race.mp4")
    assert not list(target.iterdir())


@pytest.mark.parametrize("suffix", ["gif", "html"])
def test_nothing_half_written_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"race.{suffix}"
    path.write_text("the one from before")

    def fail(done: int, total: int) -> None:
        if done * 2 > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(short_race(), path, on_progress=fail)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "the one from before"


def test_examples_in_the_documentation_run() -> None:
    assert doctest.testmod(animate).failed == 0
