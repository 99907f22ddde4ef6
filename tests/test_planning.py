"""A plan says what a build takes: its disk to the byte where that is certain, all else in scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from infgram_cli.main import cli

import infgram
from infgram.errors import InvalidParameter
from infgram.measured import COSTS, PROCESS_BYTES


def test_every_layout_of_every_width_has_costs_that_make_sense() -> None:
    assert set(COSTS) == {(bits, kind) for bits in (8, 16, 32) for kind in ("fast", "compact")}
    for bits in (8, 16, 32):
        fast, compact = COSTS[bits, "fast"], COSTS[bits, "compact"]
        assert compact.disk_bytes < fast.disk_bytes / 4
        assert compact.warm_seconds > fast.warm_seconds / 2
        for cost in (fast, compact):
            assert cost.memory_bytes > 5 * bits / 8
            assert 1e-9 < cost.build_seconds < 1e-5
            assert 0 < cost.cold_reads < 10


@pytest.mark.parametrize("n_ids", [None, 50_000, 100_000])
def test_the_disk_of_the_fast_layout_is_what_its_columns_take(
    tmp_path: Path, n_ids: int | None
) -> None:
    """The compact layout's hangs on the text, all else on the machine."""
    (tmp_path / "text.u16").write_bytes(np.tile(np.arange(200, dtype="<u2"), 10_000).tobytes())
    how: dict[str, Any] = {"format": "bytes"}
    if n_ids:
        how = {"tokenizer": "ids", "vocab_size": n_ids}
    index = infgram.build(tmp_path / "text.u16", tmp_path / "part.infgram", part=(1, 1), **how)
    found = infgram.plan(index.n_tokens, vocabulary=n_ids or "bytes")
    fixed = 12 * (n_ids or 0) + 20_000  # tables of the vocabulary, and paddings
    assert found.disk_bytes == pytest.approx(index.n_bytes - fixed, rel=0.02)
    assert found.code_bits == index.manifest["code_bits"]


def test_costs_grow_as_the_formulas_say() -> None:
    small = infgram.plan(1e9, layout="compact", parts=4)
    large = infgram.plan(4e9, layout="compact", parts=4)
    more = infgram.plan(4e9, layout="compact", parts=16)
    assert large.disk_bytes == more.disk_bytes == pytest.approx(4 * small.disk_bytes)
    assert large.build_hours == more.build_hours == pytest.approx(4 * small.build_hours)
    assert large.part_hours == pytest.approx(4 * more.part_hours)
    assert large.memory_bytes - PROCESS_BYTES == pytest.approx(
        4 * (more.memory_bytes - PROCESS_BYTES)
    )
    assert (large.n_shards, more.n_shards) == (4, 16)
    assert more.warm_seconds == pytest.approx(4 * large.warm_seconds)
    assert large.cold_reads < more.cold_reads < 4 * large.cold_reads
    twice = infgram.plan(4e9, layout="compact", parts=4, query_tokens=20)
    assert twice.warm_seconds == pytest.approx(2 * large.warm_seconds)


def test_a_part_beyond_a_shard_has_several_and_takes_the_memory_of_one() -> None:
    one = infgram.plan(2**31 - 2)
    assert (one.n_parts, one.n_shards) == (1, 1)
    several = infgram.plan(1e10, parts=1)
    assert (several.n_parts, several.n_shards) == (1, 5)
    assert several.memory_bytes == one.memory_bytes
    assert infgram.plan(1e10).n_parts == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tokens": 0}, "tokens is 0, expected a number of them"),
        ({"tokens": -1e9}, "tokens is -1000000000.0"),
        ({"tokens": float("nan")}, "tokens is nan"),
        ({"tokens": float("inf")}, "tokens is inf"),
        ({"tokens": "1e12"}, "tokens is '1e12'"),
        ({"layout": "small"}, "layout is 'small', expected one of"),
        ({"vocabulary": "words"}, "vocabulary is 'words'"),
        ({"vocabulary": 0}, "vocabulary is 0"),
        ({"parts": 0}, "parts is 0"),
        ({"tokens": 10, "parts": 11}, "parts is 11, expected a whole number from 1 to 10"),
        ({"query_tokens": 0}, "query_tokens is 0"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        infgram.plan(**{"tokens": 1e9, **options})
    assert says in str(caught.value)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["plan", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_prints_the_plan() -> None:
    said = run("--tokens", "1e12", "--layout", "compact")
    for word in (
        "466",
        "shards",
        "24.7 hours of one core",
        "3.2 minutes for a part",
        "cold query",
        "warm query",
        "measured",
    ):
        assert word in said
    given = ["--tokens", "1e9", "--vocabulary", "50000", "--parts", "3", "--json"]
    found = json.loads(run(*given, "--query-tokens", "5"))
    truth = infgram.plan(1e9, vocabulary=50_000, parts=3, query_tokens=5)
    for name, value in found.items():
        if name != "measured":
            assert value == getattr(truth, name), name
    assert "found many" in run("--tokens", "many", code=2)
    assert "found words, expected bytes" in run("--tokens", "9", "--vocabulary", "words", code=2)
    assert "parts is 7" in run("--tokens", "5", "--parts", "7", code=2)
