"""Generation: the fused loop is the definition, seeds repeat, edges are survived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import examples, is_whole, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter, TokenOutOfRange
from infgram.models import sampling
from infgram.models.sampling import Plan
from infgram.seeds import spawn
from infgram.text.tokens import load


def by_definition(
    index: infgram.Index, prompt, sbis: infgram.SBIS, temperature: float, n: int, seed: int
) -> list[int]:
    """Generation with the readable estimator, a token at a time."""
    plan = Plan(temperature=temperature)
    rng = np.random.default_rng(seed)
    return infgram.Model(index, sbis).defined_sampler(prompt, plan, rng).sample(n)[0].tolist()


@pytest.mark.parametrize("k", [1, 2, 3, -1])
@pytest.mark.parametrize("weighting", ["counts", "distributions"])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 0.8, 1.0, 2.0])
def test_the_fused_loop_gives_the_tokens_of_the_definition(
    prose_index: infgram.Index, k: int, weighting, temperature: float
) -> None:
    sbis = infgram.SBIS(k, 0.1, weighting)
    for seed, prompt in enumerate(["ROMEO:", "", "First Cit\x00"]):
        native = infgram.generate(
            prose_index,
            prompt,
            max_tokens=20,
            k=k,
            decay=0.1,
            weighting=weighting,
            temperature=temperature,
            seed=seed,
        )
        expected = by_definition(prose_index, prompt.encode(), sbis, temperature, 20, seed)
        assert native.token_ids.tolist() == expected


_codes = st.sampled_from([3, 5, 8])
_repeats = st.builds(
    lambda unit, n: unit * n, st.lists(_codes, min_size=1, max_size=3), st.integers(90, 300)
)


@settings(max_examples=examples(300))
@given(
    documents=st.lists(st.lists(_codes, max_size=40) | _repeats, min_size=1, max_size=4).filter(
        any
    ),
    code_bits=st.sampled_from([8, 16, 32]),
    one_shard=st.booleans(),
    k=st.sampled_from([1, 2, 3, -1]),
    weighting=st.sampled_from(["counts", "distributions"]),
    window=st.sampled_from([1, 2, 3, 5, 200, 400]),
    temperature=st.sampled_from([0.0, 0.5, 0.8, 1.0]),
    seed=st.integers(0, 100),
)
def test_the_definition_holds_on_any_small_corpus(
    memory_folder: Path, documents, code_bits, one_shard, k, weighting, window, temperature, seed
) -> None:
    """Long repeats share more than a byte tells, and more than a window shows."""
    index = make_index(
        memory_folder / "generate.infgram",
        documents,
        tokenizer=load("ids", vocab_size=9),
        code_bits=code_bits,
        block_rows=32,
        shard_tokens=10**6 if one_shard else max(map(len, documents)) + 2,
    )
    for prompt in ([], [3], [8, 5], [0]):
        native = infgram.generate(
            index,
            prompt,
            max_tokens=30,
            k=k,
            weighting=weighting,
            window=window,
            temperature=temperature,
            seed=seed,
        )
        sbis = infgram.SBIS(k, 0.3, weighting, window)
        expected = by_definition(index, prompt, sbis, temperature, 30, seed)
        assert native.token_ids.tolist() == expected
        ended = len(expected) < 30
        assert native.finish_reason == ("end_of_text" if ended else "length")


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("temperature", [0.8, 1.0])
def test_the_levels_that_are_not_kept_are_not_missed(
    prose_index: infgram.Index, k: int, temperature: float
) -> None:
    """A copy limit makes the native loop keep all levels. No text is longer than this one. Both
    draw by weights where there is a top_k, which leaves nothing out."""
    index = infgram.open(prose_index.path)  # nothing was drawn from it yet
    for n, seeds in ((100_000, (1, 1)), (200, range(50))):
        plan = {"k": k, "decay": 0.1, "temperature": temperature, "max_tokens": n, "window": n}
        plan["top_k"] = 2**20
        for seed in seeds:  # at first before, then after so much was drawn that a table is made
            whole = infgram.generate(index, "KING", max_copy=n, seed=seed, **plan)
            found = infgram.generate(index, "KING", seed=seed, **plan)
            assert found.token_ids.tolist() == whole.token_ids.tolist()
            assert found.finish_reason == whole.finish_reason != "max_copy"


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.8, 1.0])
@pytest.mark.parametrize("window", [4, 200])
def test_bytes_are_drawn_as_wider_codes_are(
    memory_folder: Path, prose: bytes, k: int, temperature: float, window: int
) -> None:
    """Of bytes, a few levels have a loop of their own; so much is drawn that it has a table."""
    document = np.frombuffer(prose[:100_000], np.uint8)
    byte, wide = (
        make_index(memory_folder / f"of_{bits}_bits.infgram", [document], code_bits=bits)
        for bits in (8, 16)
    )
    plan = {"max_tokens": 4_000, "temperature": temperature, "seed": 1, "threads": 1}
    sbis = infgram.SBIS(k, window=window)
    for prompt in ("the ", "", "\x00"):
        found = infgram.Model(byte, sbis).samples(3, prompt, **plan)
        expected = infgram.Model(wide, sbis).samples(3, prompt, **plan)
        for one, other in zip(found, expected, strict=True):
            assert one.token_ids.tolist() == other.token_ids.tolist()


def test_the_draws_follow_the_weights(memory_folder: Path) -> None:
    """After "x" stand a, b, c 6, 3 and 1 times: their shares at temperature 1."""
    index = make_index(memory_folder / "shares.infgram", [list(b"xaxaxaxaxaxaxbxbxbxc")])
    rng = np.random.default_rng(0)
    n = 20_000
    drawn = [
        infgram.generate(index, "x", max_tokens=1, k=1, temperature=1.0, seed=rng).text
        for _ in range(n)
    ]
    expected = {"a": 0.6, "b": 0.3, "c": 0.1}
    chi_square = sum((drawn.count(t) - n * p) ** 2 / (n * p) for t, p in expected.items())
    assert chi_square < 13.8  # 0.1 % of two degrees of freedom


def chi_square_bound(degrees: int) -> float:
    """What chi-square exceeds once in 10,000 times (Wilson and Hilferty 1931)."""
    ninth = 2 / (9 * degrees)
    return degrees * (1 - ninth + 3.719 * ninth**0.5) ** 3


@pytest.mark.parametrize(
    "estimator",
    [
        infgram.SBIS(1, 0.3),
        infgram.SBIS(2, 0.3),
        infgram.SBIS(3, 0.3, "distributions"),
        infgram.SBIS(-1, 0.3),
        infgram.KneserNey(),
        infgram.KneserNey(max_order=4),
    ],
    ids=str,
)
@pytest.mark.parametrize("temperature", [0.5, 0.8, 1.0])
def test_what_is_drawn_by_rejection_has_the_law(
    prose: bytes, prose_index: infgram.Index, temperature: float, estimator
) -> None:
    """Over many contexts, short ones whose rows are many and long ones whose rows are few."""
    model = infgram.Model(prose_index, estimator)
    rng = np.random.default_rng(7)
    n_draws, total, degrees = 300, 0.0, 0
    for place in rng.integers(100, len(prose) - 1, 40).tolist():
        context = prose[place - int(rng.integers(0, 12)) : place]
        law = model.distribution(context or b"\x00") ** (1 / temperature)
        law[-1] = 0.0  # nobody writes what the corpus never had
        if prose_index.n_documents == 1:
            law[0] = 0.0
        law /= law.sum()
        expected = n_draws * law
        drawn = np.zeros(len(law))
        for made in model.samples(
            n_draws, context or b"\x00", max_tokens=1, temperature=temperature, seed=rng, threads=1
        ):
            ended = made.finish_reason == "end_of_text"
            drawn[0 if ended else np.searchsorted(model.token_ids[1:-1], made.token_ids) + 1] += 1
        assert not drawn[expected == 0].any()
        often = expected >= 5
        groups = [(drawn[i], expected[i]) for i in np.flatnonzero(often)]
        if expected[~often].sum() >= 5:
            groups.append((drawn[~often].sum(), expected[~often].sum()))
        total += sum((seen - asked) ** 2 / asked for seen, asked in groups)
        degrees += len(groups) - 1
    assert degrees > 40
    assert total < chi_square_bound(degrees)


@pytest.mark.parametrize("n_following", [60, 90])
@pytest.mark.parametrize(
    "estimator", [infgram.SBIS(1), infgram.SBIS(2), infgram.KneserNey()], ids=str
)
def test_where_no_proposal_is_taken_all_weights_are_counted(
    memory_folder: Path, estimator, n_following: int
) -> None:
    """Each of many tokens follows once: most proposals are refused, and often all of them."""
    pairs = [[1, 10 + i] for i in range(n_following)]
    index = make_index(
        memory_folder / "flat.infgram",
        [[token for pair in pairs for token in pair]],
        tokenizer=load("ids", vocab_size=200),
        code_bits=8,
    )
    model, how = infgram.Model(index, estimator), {"temperature": 0.5, "max_tokens": 60}
    for seed in range(3):
        made = model.generate([1], seed=seed, **how)
        sampler = model.defined_sampler([1], Plan(**how), np.random.default_rng(seed))
        assert made.token_ids.tolist() == sampler.sample(60)[0].tolist()


@pytest.mark.parametrize(
    ("how", "numbers"),
    [
        ({"temperature": 0.8}, 2),
        ({"temperature": 1.0}, 1),
        ({"temperature": 0.4}, 1),  # by weights
        ({"temperature": 1.2}, 1),
        ({"temperature": 0.8, "top_k": 5}, 1),
        ({"temperature": 0.8, "top_p": 0.9}, 1),
        ({"temperature": 0.8, "min_p": 0.1}, 1),
        ({"temperature": 0.8, "max_copy": 100}, 1),
    ],
    ids=str,
)
def test_who_draws_by_rejection_takes_two_numbers_and_who_weighs_takes_one(
    memory_folder: Path, how: dict[str, float], numbers: int
) -> None:
    """Only one token follows, so the first row proposed is taken."""
    index = make_index(memory_folder / "one.infgram", [list(b"ab" * 50)])
    rng, counted = np.random.default_rng(3), np.random.default_rng(3)
    infgram.Model(index, infgram.SBIS()).generate("a", max_tokens=7, seed=rng, **how)
    counted.random(7 * numbers)
    assert rng.random() == counted.random()


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("temperature", [0.8, 1.0, 1.3])
def test_texts_of_many_are_those_that_are_drawn_alone(
    memory_folder: Path, n_threads: int, temperature: float
) -> None:
    """Some of them end before others, and chunks end anywhere."""
    documents = [b"abcabcab", b"abcbcbcbc", b"cabacab", b"bcabcabcabcabc"] * 3
    index = make_index(memory_folder / "beside.infgram", [list(d) for d in documents])
    model = infgram.Model(index, infgram.SBIS())
    plan = {"max_tokens": 50, "temperature": temperature}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_CHUNK_TOKENS", 7)
        found = model.samples(21, "a", threads=n_threads, seed=5, **plan)
    alone = [model.generate("a", seed=rng, **plan) for rng in spawn(5, 21)]
    assert found == alone
    assert len({len(text.token_ids) for text in found}) > 5


def test_a_seed_repeats_the_text_and_a_generator_goes_on(prose_index) -> None:
    def text(seed: object) -> str:
        return infgram.generate(prose_index, "KING", max_tokens=200, seed=seed).text

    assert text(1) == text(1) != text(2)
    rng = np.random.default_rng(1)
    assert text(rng) == text(1)
    assert text(rng) != text(1)
    assert text(None) != text(None)


def test_streaming_gives_the_same_text_in_pieces(prose_index: infgram.Index) -> None:
    pieces = list(infgram.stream(prose_index, "KING", max_tokens=10_000, seed=3))
    assert len(pieces) > 2
    whole = infgram.generate(prose_index, "KING", max_tokens=10_000, seed=3)
    assert "".join(pieces) == whole.text
    assert is_whole(whole, 10_000)


@settings(max_examples=examples(100))
@given(text=st.text("aé日🙂\udcff", min_size=1, max_size=30), chunk=st.integers(1, 5))
def test_streaming_never_breaks_a_character(memory_folder: Path, text: str, chunk: int) -> None:
    raw = text.encode("utf-8", "surrogateescape")
    index = make_index(memory_folder / "stream.infgram", [list(raw)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_CHUNK_TOKENS", chunk)
        pieces = list(infgram.stream(index, (), max_tokens=200, k=1, temperature=0, seed=0))
    whole = infgram.generate(index, (), max_tokens=200, k=1, temperature=0, seed=0)
    assert "".join(pieces) == whole.text
    assert raw.decode(errors="replace").startswith(whole.text[:1])


def test_a_context_that_never_occurred_is_survived(prose_index: infgram.Index) -> None:
    for prompt in (b"\x00\x01\xff", "日本", b"\x00"):
        assert is_whole(infgram.generate(prose_index, prompt, max_tokens=100, seed=0), 100)


def test_a_text_ends_where_a_document_does(memory_folder: Path) -> None:
    index = make_index(memory_folder / "ends.infgram", [list(b"abc"), list(b"abc"), list(b"xyz")])
    made = infgram.generate(index, "a", k=1, seed=0)
    assert (made.text, made.finish_reason) == ("bc", "end_of_text")
    begun = {infgram.generate(index, k=1, seed=seed).text for seed in range(20)}
    assert "abc" in begun
    assert all(text[:3] in ("abc", "xyz") for text in begun)


def test_new_text_is_not_all_copied(prose: bytes, prose_index: infgram.Index) -> None:
    written = infgram.generate(prose_index, "ROMEO:", max_tokens=20_000, k=2, seed=0)
    assert 0 < infgram.copied_share(prose_index, written.token_ids, run=50) < 1
    assert infgram.copied_share(prose_index, prose[:5000], run=50) == 1.0
    assert infgram.copied_share(prose_index, b"\x00\x01\x02\x03\x04", run=4) == 0.0
    assert infgram.copied_share(prose_index, "") == 0.0
    with pytest.raises(InvalidParameter):
        infgram.copied_share(prose_index, "a", run=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"k": -2},
        {"k": 2.0},
        {"k": 2**31},
        {"seed": -1},
        {"seed": "x"},
        {"decay": -0.1},
        {"decay": 1.1},
        {"decay": float("nan")},
        {"weighting": "other"},
        {"window": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"max_tokens": -1},
    ],
    ids=str,
)
def test_a_parameter_outside_its_range_is_refused(prose_index, wrong) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        infgram.generate(prose_index, "a", **wrong)
    with pytest.raises(InvalidParameter):
        infgram.stream(prose_index, "a", **wrong)  # at once, not at the first piece


def test_a_prompt_of_no_tokens_is_refused(prose_index: infgram.Index) -> None:
    with pytest.raises(TokenOutOfRange):
        infgram.generate(prose_index, [999])
    assert infgram.generate(prose_index, "a", max_tokens=0).text == ""


def test_extreme_temperatures_stay_finite(prose_index: infgram.Index) -> None:
    for temperature in (1e-6, 1e-3, 1e6):
        made = infgram.generate(
            prose_index, "a", k=-1, max_tokens=50, temperature=temperature, seed=0
        )
        assert is_whole(made, 50)
