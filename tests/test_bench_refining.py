"""Refined text is measured by definitions that hold; test_bench_refining_judges.py has the rest."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from infgram_bench import refining, refining_detection
from infgram_bench.corpora import Corpus
from infgram_bench.findings import Findings
from infgram_bench.question import CannotMeasure
from infgram_bench.refining_bars import add_bars
from infgram_bench.refining_drafts import (
    N_PROMPT,
    N_WRITTEN,
    Drafts,
    Setting,
    best_of,
    offsets,
    spread,
    windows,
    write,
)
from infgram_bench.refining_metrics import (
    Measure,
    Real,
    divergence,
    in_runs,
    measures,
    run_lengths,
    whole_words,
)
from infgram_bench.refining_systems import Material, System, random_words, refined

import infgram

_WORDS = ["the", "cat", "and", "that", "don't", "dog", "saw", "this", "man", "with", "both", "hats"]
TEXT = "".join(
    " ".join(np.random.default_rng(i).choice(_WORDS, 7)) + ",\n" for i in range(900)
).encode()
CORPUS = Corpus("words", TEXT)


def real_in(folder: Path) -> Real:
    (folder / "training.txt").write_bytes(CORPUS.training)
    index = infgram.build(folder / "training.txt", folder / "training.infgram")
    return Real(index, CORPUS.training, CORPUS.validation)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    return real_in(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def prompts(real: Real) -> np.ndarray:
    places = offsets(len(real.held_out), "reporting", 4)
    return windows(real.held_out, places).token_ids[:, :N_PROMPT]


@pytest.fixture(scope="module")
def drafts(real: Real, prompts: np.ndarray) -> Drafts:
    return write(real.index, Setting(2), prompts, (1, 2))


@pytest.fixture(scope="module")
def material(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material(real.index, real.training, tmp_path_factory.mktemp("material"))


# Prompts and drafts -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bytes", [0, 500, 5_000, 111_540])
def test_prompts_of_the_two_parts_begin_far_apart_and_have_room(n_bytes: int) -> None:
    tuning, reporting = (offsets(n_bytes, part, 10**6) for part in ("tuning", "reporting"))
    assert all(abs(a - b) >= 300 for a in tuning for b in reporting)
    for places in (tuning, reporting):
        assert len(set(places)) == len(places)
        assert all(0 <= at <= n_bytes - N_PROMPT - N_WRITTEN for at in places)
        assert all(abs(a - b) >= N_PROMPT for a in places for b in places if a != b)


def test_reporting_begins_with_the_odd_multiples_of_512_and_has_256_in_shakespeare() -> None:
    places = offsets(111_540, "reporting", 256)
    assert len(places) == 256 and places[:3] == [512, 1536, 2560]
    odd = [at for at in places if at % 1024 == 512]
    assert places[: len(odd)] == odd and len(odd) == 109
    assert offsets(111_540, "tuning", 2) == [0, 1024]


def test_drafts_follow_their_prompts_and_depend_on_prompt_seed_and_number_alone(
    real: Real, prompts: np.ndarray, drafts: Drafts
) -> None:
    assert drafts.token_ids.shape == (8, N_PROMPT + N_WRITTEN)
    assert (drafts.token_ids[:, :N_PROMPT] == np.concatenate([prompts, prompts])).all()
    assert (drafts.written[:4] != drafts.written[4:]).any(1).all()
    fewer = write(real.index, Setting(2), prompts[:2], (2,))
    assert (fewer.token_ids == drafts.token_ids[4:6]).all()
    other = write(real.index, Setting(2), prompts, (1, 2), draft=1)
    assert (other.written != drafts.written).any(1).all()


def test_the_best_of_several_drafts_is_the_one_with_the_highest_score(
    real: Real, prompts: np.ndarray
) -> None:
    def score(token_ids: np.ndarray, n_prompt: int) -> np.ndarray:
        return (token_ids[:, n_prompt:] == ord("t")).mean(1)

    each = [write(real.index, Setting(3), prompts, (1,), draft=i) for i in range(3)]
    best = best_of(3, score, real.index, Setting(3), prompts, (1,))
    for i, text in enumerate(best.token_ids):
        scores = [score(made.token_ids, N_PROMPT)[i] for made in each]
        assert text.tolist() == each[int(np.argmax(scores))].token_ids[i].tolist()


def test_drafts_that_cannot_be_as_long_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_bytes(b"aaaaaaaa")
    index = infgram.build(tmp_path / "short.txt", tmp_path / "short.infgram")
    prompt = np.full((1, N_PROMPT), ord("a"), np.uint8)
    with pytest.raises(CannotMeasure, match="ended before 256"):
        write(index, Setting(1, max_copy=3), prompt, (1,))


def test_windows_are_pieces_of_the_text() -> None:
    starts = spread(TEXT, 5)
    assert starts[0] == 0 and starts[-1] == len(TEXT) - N_PROMPT - N_WRITTEN
    for at, window in zip(starts, windows(TEXT, starts).token_ids, strict=True):
        assert window.tobytes() == TEXT[at : at + N_PROMPT + N_WRITTEN]


# Metrics ------------------------------------------------------------------------------------------


def test_copying_and_words_are_what_novelty_says(real: Real, drafts: Drafts) -> None:
    """Words at the ends are cut away here, so that novelty has no others."""
    written = drafts.written
    found = measures(written, written, {}, real)
    novelty = infgram.novelty(real.index, *written, gram=20)
    assert found["copied grams"].value == pytest.approx(novelty.found_grams)
    assert run_lengths(real.index, written).max() == novelty.longest_run
    longest = [infgram.novelty(real.index, text).longest_run for text in written]
    assert found["longest copy"].value == pytest.approx(np.mean(longest))
    odd = written.copy()
    odd[:, 100:103] = np.frombuffer(b"qqq", np.uint8)
    inner = [" ".join(whole_words(text)) for text in odd]
    known = infgram.novelty(real.index, *inner).known_words
    assert known is not None and known < 1
    assert measures(odd, written, {}, real)["known words"].value == pytest.approx(known)


def test_a_word_that_an_end_may_cut_is_left_out() -> None:
    def words(text: str) -> list[str]:
        return whole_words(np.frombuffer(text.encode(), np.uint8))

    assert words("ab don't '' 3x-y é") == ["don't", "x", "y"]
    assert words(" ab ") == ["ab"] and words("ab") == words("") == []


def test_nats_of_new_bytes_leave_out_what_is_copied(real: Real, drafts: Drafts) -> None:
    rng = np.random.default_rng(0)
    written = drafts.written.copy()
    written[rng.random(written.shape) < 0.02] = ord("x")
    nats = rng.random(written.shape)
    found = measures(written, drafts.written, {"j": nats}, real)
    new = []
    for text, each in zip(written, nats, strict=True):
        copied = np.zeros(len(text), bool)
        for i in range(len(text) - 19):
            if real.index.count(text[i : i + 20]):
                copied[i : i + 20] = True
        new += each[~copied].tolist()
    assert 0 < len(new) < nats.size
    assert found["nats of new, j"].value == pytest.approx(np.mean(new))
    assert found["nats, j"].value == pytest.approx(nats.mean())
    assert found["changed"].value == pytest.approx((written != drafts.written).mean())


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=1, max_size=4),
    st.integers(1, 8),
)
@settings(max_examples=examples(60))
def test_bytes_in_runs_are_those_that_a_run_covers(lengths: list[list[int]], least: int) -> None:
    runs = np.array(lengths)
    runs[:, 0] = np.minimum(runs[:, 0], 1)
    for at in range(1, 6):  # a run without its last byte is one, too
        runs[:, at] = np.minimum(runs[:, at], runs[:, at - 1] + 1)
    expected = [
        [any(row[end] >= least and end - row[end] < i <= end for end in range(6)) for i in range(6)]
        for row in runs.tolist()
    ]
    assert in_runs(runs, least).tolist() == expected


@given(*[st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1)] * 2)
@settings(max_examples=examples(60))
def test_divergence_is_the_definition(a: dict[str, int], b: dict[str, int]) -> None:
    def kl(p: dict[str, float], q: dict[str, float]) -> float:
        return sum(share * math.log(share / q[key]) for key, share in p.items())

    p, q = ({key: n / sum(each.values()) for key, n in each.items()} for each in (a, b))
    mean = {key: (p.get(key, 0) + q.get(key, 0)) / 2 for key in p.keys() | q.keys()}
    assert divergence(a, b) == pytest.approx((kl(p, mean) + kl(q, mean)) / 2, abs=1e-12)
    assert divergence(a, a) == 0 and divergence({"x": 2}, b) == pytest.approx(math.log(2))


def test_diversity_and_divergence_are_of_groups(real: Real, monkeypatch: Any) -> None:
    written = windows(real.training, spread(real.training, 6)).written
    monkeypatch.setattr("infgram_bench.refining_metrics.GROUP", 3)
    found = measures(written, written, {}, real)
    expected: dict[str, list[float]] = {name: [] for name in ("bigrams", "6-grams", "trigrams")}
    for group in (written[:3], written[3:]):
        texts = [text.tobytes().decode() for text in group]
        pairs = [
            pair for text in group for words in [whole_words(text)] for pair in pairwise(words)
        ]
        grams = [text[i : i + 6] for text in texts for i in range(len(text) - 5)]
        thirds = Counter(text[i : i + 3] for text in texts for i in range(len(text) - 2))
        held_out = real.held_out.decode()
        theirs = Counter(held_out[i : i + 3] for i in range(len(held_out) - 2))
        expected["bigrams"].append(len(set(pairs)) / len(pairs))
        expected["6-grams"].append(len(set(grams)) / len(grams))
        expected["trigrams"].append(divergence(thirds, theirs))
    names = ("distinct word bigrams", "distinct 6-grams", "divergence of trigrams")
    for name, values in zip(names, expected.values(), strict=True):
        assert found[name].part.tolist() == pytest.approx(values)
        assert found[name].value == pytest.approx(np.mean(values))


def test_a_difference_comes_with_an_interval_that_is_paired_and_seeded() -> None:
    rng = np.random.default_rng(0)
    base, whole = rng.normal(5, 3, 400), np.ones(400)
    one = Measure(base, whole)
    other = Measure(base + rng.normal(0.1, 0.2, 400), whole)
    value, low, high = other.difference(one)
    assert value == pytest.approx(np.mean(other.part - base)) and low < value < high
    assert high - low == pytest.approx(2 * 1.96 * 0.2 / math.sqrt(400), rel=0.15)
    assert other.difference(one) == (value, low, high)
    assert one.difference(one) == (0, 0, 0)
    nothing = Measure(whole, 0 * whole)
    assert math.isnan(nothing.value)


def test_a_ratio_is_of_sums() -> None:
    ratio = Measure(np.array([1.0, 3.0]), np.array([1.0, 7.0]))
    assert ratio.value == 0.5


# Systems ------------------------------------------------------------------------------------------


def test_who_changes_a_prompt_or_a_length_is_an_error(drafts: Drafts) -> None:
    def shorter(ids: np.ndarray, lengths: np.ndarray, seed: int) -> np.ndarray:
        return ids[:, :-1]

    def bold(ids: np.ndarray, lengths: np.ndarray, seed: int) -> np.ndarray:
        ids[0, lengths[0] - 1] ^= 1
        return ids

    def plain(ids: np.ndarray, lengths: np.ndarray, seed: int) -> np.ndarray:
        ids[:, lengths[0]] = seed
        return ids

    system = System("s", lambda material: plain)
    with pytest.raises(ValueError, match="s made"):
        refined(system, shorter, drafts, 0)
    with pytest.raises(ValueError, match="s changed a prompt"):
        refined(system, bold, drafts, 0)
    assert (refined(system, plain, drafts, 7).written[:, 0] == 7).all()
    assert (drafts.written[:, 0] != 7).all()


def test_random_words_are_words_as_long_as_those_they_replace(
    material: Material, real: Real, drafts: Drafts
) -> None:
    refine = random_words(material)
    system = System("random", lambda _: refine)
    first, again, other = (refined(system, refine, drafts, seed).token_ids for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    changed = (first != drafts.token_ids).mean()
    assert 0.01 < changed < 0.15
    for made, text in zip(first, drafts.token_ids, strict=True):
        new, old = whole_words(made[N_PROMPT:]), whole_words(text[N_PROMPT:])
        assert [len(word) for word in new] == [len(word) for word in old]
        assert set(new) <= real.vocabulary


# Detection ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=examples(60))
def test_auroc_counts_pairs(pairs: list[tuple[int, bool]]) -> None:
    suspicion = np.array([s for s, _ in pairs], float)
    wrong = np.array([w for _, w in pairs])
    wins = [(a > b) + (a == b) / 2 for a in suspicion[wrong] for b in suspicion[~wrong]]
    found = refining_detection.auroc(suspicion, wrong)
    assert found == pytest.approx(np.mean(wins)) if wins else math.isnan(found)


# The verdict --------------------------------------------------------------------------------------


def rival(low: float, high: float) -> dict[str, Any]:
    difference = [(low + high) / 2, low, high]
    beside = {"rival": "SBIS", "copied": 0.1, "difference": difference}
    return {"name": "editor", "start": 3, "beside": {"a": beside, "b": beside}}


@pytest.mark.parametrize(
    ("rivals", "said"),
    [
        ([], "Nothing refines yet"),
        ([rival(-0.2, -0.1)], "editor from k=3: yes, -0.150 nats"),
        ([rival(-0.2, 0.1)], "editor from k=3: no, -0.050 nats"),
        ([{**rival(0, 0), "beside": {}}], "editor from k=3: no raw text copies as little"),
    ],
)
def test_the_verdict_is_yes_only_where_all_judges_are_sure(
    rivals: list[dict[str, Any]], said: str
) -> None:
    assert said in refining.verdict(rivals)


def test_bars_are_of_the_stricter_judge() -> None:
    row = {
        **{"name": "polish", "start": -1, "seconds": 40e-6, "longest": 3},
        "differences": {"nats, a": [-0.2, 0, 0], "nats, b": [-0.05, 0, 0]},
    }
    findings = Findings()
    found = {
        **{"rows": [row], "throughput": {"rate": 1999.0, "threads": 2}},
        "detection": {"refiner": 0.81, "other": 0.1},
    }
    add_bars(found, findings)
    assert [(bar.found, bar.reached) for bar in findings.bars] == [
        (-0.05, False),
        (40.0, True),
        (0.81, True),
        (1999.0, False),
    ]
