"""The mixture: the core says what its definition says, and it is learnt once and kept."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import lines, run
from conftest import generation, make_index

import infgram
from infgram import KneserNey, Mix, Model
from infgram.errors import CorruptIndex, InvalidParameter, NeedsMerge
from infgram.models.mix import adapting, definition, fitting
from infgram.models.mix.sight import NAMED, SETS, SIGHTS, Size
from infgram.text.tokens import load

LEARNT = 30_000
SIZES: list[Size] = ["lean", "full"]
UNSEEN = slice(40_000, 42_500)


@pytest.fixture(scope="module")
def learnt(prose: bytes, memory_folder: Path) -> infgram.Index:
    """A part of the prose, that is long enough to learn from."""
    text = np.frombuffer(prose[:LEARNT], np.uint8)
    index = make_index(memory_folder / "learnt.infgram", [text])
    for size in SIZES:
        infgram.fit(index, size=size)
        infgram.fit(index, size=size, adapt=True)
    return index


@pytest.fixture(scope="module")
def random_indexes(memory_folder: Path) -> list[infgram.Index]:
    """Small corpora of several documents, in which all that a text has to say happens."""
    rng = np.random.default_rng(5)
    words = [
        "To",
        "be,",
        "or",
        "NOT",
        "be;",
        "that's it.\n\n",
        "a_1 -",
        "(x)",
        "\u00e9!",
        "Bee?",
        "be",
    ]
    found = []
    for i, n in enumerate([40, 400, 900]):
        drawn = [" ".join(rng.choice(words, n)).encode() for _ in range(1 + i)]
        path = memory_folder / f"random-{i}.infgram"
        found.append(make_index(path, [list(text) for text in drawn]))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_the_core_says_what_the_definition_says(
    random_indexes: list[infgram.Index], size: Size
) -> None:
    for index in random_indexes:
        model = Model(index, Mix(size))
        long = "To be: or\nNOT be: it\nthat's Bee it be, or not, " * 9
        for context in ("", "T", "to be, NO", "zzz be", "that's it.\n\n Bee", "\u00e9!\n\nx", long):
            expected = model.defined_distribution(context)
            assert model.distribution(context) == pytest.approx(expected, abs=1e-9)
            assert expected.sum() == pytest.approx(1, abs=1e-9)
        text = "be, NOT to be (x) \u00e9"
        scored = model.score(text, context="To ").log_prob
        said = [
            model.defined_distribution(b"To " + text.encode()[:i])[model.token_ids == byte].item()
            for i, byte in enumerate(text.encode())
        ]
        assert np.exp(scored) == pytest.approx(said, abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_the_core_learns_what_the_definition_learns(
    random_indexes: list[infgram.Index], size: Size
) -> None:
    read = "To be, NOT zbe be be be be be; Bee?\n\nto be or \u00e9! NOT be (x) #q be be, be"
    for index in random_indexes[:2]:
        model = Model(index, Mix(size), adapt=True)
        for context, bos in (("", True), (read, False)):
            expected = model.defined_distribution(context, bos=bos)
            assert model.distribution(context, bos=bos) == pytest.approx(expected, abs=1e-9)
            assert expected.sum() == pytest.approx(1, abs=1e-9)
        ids = np.append(index.ids(read), [index.end_of_text, *index.ids("To be, be be")])
        steps = list(model.trace(ids))
        scored = np.exp(model.score(ids).log_prob)
        assert [step.prob for step in steps] == pytest.approx(scored.tolist(), abs=1e-9)
        names = {level.name for level in steps[-1].levels[1:]}
        assert names == set(definition.inputs_of(SIGHTS[size], adapts=True))


def test_a_text_that_is_forgotten_is_forgotten_by_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapting, "MOST_LIVE_TOKENS", 4)
    sight = SIGHTS["lean"]
    live = adapting.LiveCounts(sight)
    keys = list(range(sight.n_counted))
    for code in (1, 2, 3, 4, 5):
        live.read(keys, code)
    assert live.counts(keys, 6)[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert live.recent(keys)[0] == definition.Recent((5, 4, 3), 3)


def test_it_learns_from_what_it_reads(learnt: infgram.Index, prose: bytes) -> None:
    unseen = prose[UNSEEN]
    adapting_one, static = (Model(learnt, Mix(), adapt=adapt) for adapt in (True, False))
    plain = Model(learnt, KneserNey(), adapt=True)
    twice = adapting_one.score(unseen + unseen).log_prob
    once, again = twice[: len(unseen)].mean(), twice[len(unseen) :].mean()
    assert again > once + 1
    assert once > static.score(unseen).log_prob.mean() + 0.02
    assert once > plain.score(unseen).log_prob.mean() + 0.02


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", [{}, {"temperature": 0.8}, {"top_k": 3}, {"max_copy": 6}])
def test_the_core_draws_what_the_definition_draws_while_it_learns(
    random_indexes: list[infgram.Index], how: infgram.Sampling, size: Size
) -> None:
    model = Model(random_indexes[1], Mix(size), adapt=True)
    made = model.generate("to b", max_tokens=12, seed=3, **how)
    plan = infgram.models.sampling.plan_of({"max_tokens": 12, **how})
    defined = model.defined_sampler("to b", plan, np.random.default_rng(3))
    assert made.token_ids.tolist() == defined.sample(12)[0].tolist()
    again = model.generate("to b", max_tokens=12, seed=3, **how)
    assert again.token_ids.tolist() == made.token_ids.tolist()  # nothing is left of the first


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"temperature": 0.8},
        {"temperature": 1.3},
        {"temperature": 0.0},
        {"top_k": 3},
        {"top_k": 40, "top_p": 0.9, "temperature": 0.7},
        {"top_p": 0.8},
        {"min_p": 0.1},
        {"max_copy": 6},
    ],
)
def test_the_core_draws_what_the_definition_draws(
    random_indexes: list[infgram.Index], how: infgram.Sampling, size: Size
) -> None:
    model = Model(random_indexes[1], Mix(size))
    for prompt in ("", "to b"):
        made = model.generate(prompt, max_tokens=12, seed=3, **how)
        plan = infgram.models.sampling.plan_of({"max_tokens": 12, **how})
        defined = model.defined_sampler(prompt, plan, np.random.default_rng(3))
        assert made.token_ids.tolist() == defined.sample(12)[0].tolist()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("adapt", [False, True])
def test_its_law_sums_to_one_wherever_it_is(
    learnt: infgram.Index, prose: bytes, size: Size, adapt: bool
) -> None:
    n = 0
    model = Model(learnt, Mix(size), adapt=adapt)
    for _, rows in model.distributions(prose[LEARNT : LEARNT + 10_000]):
        assert rows.sum(axis=1) == pytest.approx(1, abs=1e-9)
        assert (rows > 0).all()
        n += len(rows)
    assert n == 10_000


def test_it_predicts_better_than_kneser_ney(learnt: infgram.Index, prose: bytes) -> None:
    unseen = prose[UNSEEN]
    full, lean, plain = (
        Model(learnt, estimator).score(unseen).log_prob.mean()
        for estimator in (Mix("full"), Mix(), KneserNey())
    )
    assert full > lean > plain + 0.02


def test_what_the_corpus_never_had_has_what_kneser_ney_gives_it(
    random_indexes: list[infgram.Index],
) -> None:
    for index in random_indexes:
        mixed, plain = (Model(index, estimator) for estimator in (Mix(), KneserNey()))
        scored = [model.score("be#").log_prob[-1] for model in (mixed, plain)]
        assert scored[0] == pytest.approx(scored[1], abs=1e-9)
        assert mixed.distribution("be")[-1] == pytest.approx(
            plain.distribution("be")[-1], abs=1e-12
        )
        step = list(mixed.trace("be#"))[-1]
        assert step.prob == pytest.approx(np.exp(scored[0]), abs=1e-12)
        assert not any(level.push for level in step.levels)


def test_a_corpus_of_one_letter_asks_nothing(memory_folder: Path) -> None:
    model = Model(make_index(memory_folder / "one.infgram", [[97] * 50]), Mix())
    expected = model.defined_distribution("aa")
    assert model.distribution("aa") == pytest.approx(expected, abs=1e-12)
    assert expected.sum() == pytest.approx(1, abs=1e-12)
    assert model.generate("a", max_tokens=5, seed=0, temperature=0.8).text == "aaaaa"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("adapt", [False, True])
def test_two_fits_are_the_same(learnt: infgram.Index, size: Size, adapt: bool) -> None:
    one = fitting.stored_fit(learnt, size=size, adapt=adapt)
    other = infgram.fit(learnt, size=size, adapt=adapt, save=False)
    assert one is not None
    assert (one.n_tokens, one.nats) == (other.n_tokens, other.nats)
    assert one.n_tokens == LEARNT
    for name in fitting._DTYPES:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("size", SIZES)
def test_texts_do_not_depend_on_threads(learnt: infgram.Index, size: Size) -> None:
    model = Model(learnt, Mix(size))
    one, two = (
        [made.text for made in model.samples(3, "The ", max_tokens=60, seed=1, threads=n)]
        for n in (1, 2)
    )
    assert one == two
    assert len(set(one)) == 3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("adapt", [False, True])
def test_it_is_learnt_once_and_kept(
    learnt: infgram.Index, monkeypatch: pytest.MonkeyPatch, size: Size, adapt: bool
) -> None:
    expected = Model(learnt, Mix(size), adapt=adapt).distribution("The ")
    monkeypatch.setattr(fitting, "_fitted", lambda *_, **__: pytest.fail("learnt again"))
    again = infgram.open(learnt.path)
    assert Model(again, Mix(size), adapt=adapt).distribution("The ").tolist() == expected.tolist()


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_learnt_of_a_text_with_few_words_is_read_again(
    tmp_path: Path, size: Size, adapt: bool
) -> None:
    """No word has a class of its own: an empty array may lie anywhere in the file."""
    index = infgram.build(["to be or not to be"], tmp_path / "x.infgram")
    expected = Model(index, Mix(size), adapt=adapt).distribution("to ")
    again = infgram.open(index.path)
    fitted = infgram.stored_fit(again, size=size, adapt=adapt)
    assert fitted is not None and not len(fitted.words)
    assert np.array_equal(Model(again, Mix(size), adapt=adapt).distribution("to "), expected)


def test_what_another_recipe_learnt_is_learnt_anew(
    random_indexes: list[infgram.Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = random_indexes[0]
    infgram.fit(index)
    monkeypatch.setattr(fitting, "_RECIPE", fitting._RECIPE + 1)
    assert infgram.stored_fit(infgram.open(index.path)) is None


@pytest.mark.parametrize(
    "name", ["mixture.npz", "mixture-adapting.npz", "mixture-full.npz", "mixture-full-adapting.npz"]
)
def test_whatever_is_kept_no_query_leaves_it(
    random_indexes: list[infgram.Index], name: str
) -> None:
    """Damage is told, or tells other probabilities that still sum to one."""
    index = random_indexes[0]
    adapt = "adapting" in name
    size: Size = "full" if "full" in name else "lean"
    for kind in {False, adapt}:
        infgram.fit(index, size=size, adapt=kind)
    file = generation(index.path) / name
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    rng = np.random.default_rng(0)
    told = []
    columns = [column for column in fitting._DTYPES if column in arrays]
    for name in [*columns, "fit", "missing"] * (10 if adapt else 6):
        damaged = {key: array.copy() for key, array in arrays.items() if key != name}
        if name in arrays:
            array = arrays[name].copy()
            if len(array) and rng.random() < 0.3:
                array = array[: rng.integers(len(array))]
            for _ in range(3 if len(array) else 0):
                bits = array.view(np.uint8)
                bits[rng.integers(len(bits))] = rng.integers(256)
            damaged[name] = array
        else:
            damaged.pop(str(rng.choice(columns)))
        np.savez(file, **damaged)
        opened = infgram.open(index.path)
        try:
            law = Model(opened, Mix(size), adapt=adapt).distribution("to be")
        except CorruptIndex as error:
            told.append(str(error))
            continue
        assert law.sum() == pytest.approx(1, abs=1e-9)
    np.savez(file, **arrays)
    assert len(told) > 10
    assert all("infgram fit" in message for message in told)


FITS: dict[str, np.ndarray] = {
    "infinite": np.array([np.inf, 1]),
    "no number": np.array([np.nan, 1]),
    "no mean": np.array([1, np.nan]),
    "negative": np.array([-1.0, 1]),
    "text": np.array(["a", "b"]),
    "table": np.ones((2, 2)),
    "complex": np.ones(2, complex),
    "records": np.zeros(2, [("a", "<f8")]),
    "one": np.ones(1),
    "alone": np.array(5.0),
}


@pytest.mark.parametrize(
    "change",
    [
        *({"fit": fit} for fit in FITS.values()),
        {"recipe": np.array([5, 5])},
        {"recipe": np.array("5")},
        {"recipe": np.array(np.nan)},
        {"recipe": np.zeros((), [("a", "<i8")])},
        {"recipe": None},
    ],
    ids=lambda change: f"{next(iter(change))}={next(iter(change.values()))}",
)
@pytest.mark.parametrize("adapt", [False, True])
def test_what_no_fit_is_kept_as_is_named(
    random_indexes: list[infgram.Index], change: dict[str, np.ndarray | None], adapt: bool
) -> None:
    index = random_indexes[0]
    for kind in {False, adapt}:
        infgram.fit(index, adapt=kind)
    file = generation(index.path) / ("mixture-adapting.npz" if adapt else "mixture.npz")
    whole = file.read_bytes()
    with np.load(file) as archive:
        arrays = {**archive, **change}
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(CorruptIndex, match=f"{file.name} is damaged.*infgram fit"):
        infgram.stored_fit(infgram.open(index.path), adapt=adapt)
    file.write_bytes(whole)


def test_what_another_file_lacks_is_not_said_of_the_mixture(
    random_indexes: list[infgram.Index],
) -> None:
    index = random_indexes[0]
    for kind in (False, True):
        infgram.fit(index, adapt=kind)
    for name, command in (("mixture.npz", "infgram fit`"), ("calibration.npz", "infgram calib")):
        file = generation(index.path) / name
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CorruptIndex, match=f"/{name} is damaged.*{command}"):
            infgram.stored_fit(infgram.open(index.path), adapt=True)
        file.write_bytes(whole)


def test_a_flipped_bit_is_found(random_indexes: list[infgram.Index]) -> None:
    """In what is read whole, when it is opened; in what is not, by `verify`."""
    index = random_indexes[0]
    infgram.fit(index)
    file = generation(index.path) / "mixture.npz"
    whole = file.read_bytes()
    infgram.open(index.path).verify()
    with zipfile.ZipFile(file) as archive:
        members = {each.filename: each for each in archive.infolist()}
    assert {"values.npy", "words.npy", "classes.npy", "offsets.npy"} < members.keys()
    for name, member in members.items():
        n_name, n_extra = struct.unpack_from("<2H", whole, member.header_offset + 26)
        damaged = bytearray(whole)
        damaged[member.header_offset + 30 + n_name + n_extra + member.file_size - 1] ^= 16
        file.write_bytes(damaged)
        opened = infgram.open(index.path)
        with pytest.raises(CorruptIndex, match=r"mixture\.npz is damaged.*infgram fit"):
            opened.verify()
        if name != "contexts.npy":
            with pytest.raises(CorruptIndex, match=r"mixture\.npz is damaged.*infgram fit"):
                infgram.stored_fit(opened)
    file.write_bytes(whole)


def test_of_an_index_that_has_grown_it_says_how_to_make_it_one(tmp_path: Path) -> None:
    index = infgram.build(["to be or not to be"], tmp_path / "x.infgram")
    (tmp_path / "more.txt").write_text("that is the question")
    grown = infgram.add(index, tmp_path / "more.txt")
    for adapt in (False, True):
        with pytest.raises(NeedsMerge, match="Mix needs it in one piece"):
            infgram.fit(grown, adapt=adapt)


def test_a_trace_says_what_pushed_a_token(random_indexes: list[infgram.Index]) -> None:
    index = random_indexes[1]
    model = Model(index, Mix())
    scored = model.score("be or", context="to ")
    for i, step in enumerate(model.trace("be or", context="to ")):
        assert step.prob == pytest.approx(np.exp(scored.log_prob[i]), abs=1e-9)
        whole, *inputs = step.levels
        assert (whole.weight, whole.name) == (1, "the mixture")
        assert {level.name for level in inputs} == set(
            definition.inputs_of(SIGHTS["lean"], adapts=False)
        )
        pushes = [abs(level.push) for level in inputs]
        assert pushes == sorted(pushes, reverse=True)
        assert all(level.weight == 0 for level in inputs)
    best, worst = (
        sum(level.push for level in Mix().explain(context, ord(token)))
        for token in "ex"
        for context in model._contexts(index.ids("to b"))
    )
    assert best > worst  # pushes lead to what is probable


def test_the_core_has_the_contexts_that_the_definition_has() -> None:
    numbers = [values(definition.Text())[0] for values in NAMED.values()]
    assert numbers == list(range(1, len(NAMED) + 1))
    assert [len(sight.named) for sight in SIGHTS.values()] == [21, len(NAMED)]
    assert [len(sight.sets) for sight in SIGHTS.values()] == [14, len(SETS)]


def test_a_line_begins_with_the_same_however_far_it_is_indented() -> None:
    def begins(line: bytes) -> tuple[int, int]:
        text = definition.Text().read(b"before\n" + line)
        return text.opening, text.opener

    assert begins(b"    return x") == begins(b"return y") == begins(b"  retu")
    assert len({begins(line) for line in (b"return", b"retain", b"retort", b"ret", b"")}) == 5
    assert begins(b"  ") == (0, 0)


def test_progress_ends_a_fit(random_indexes: list[infgram.Index]) -> None:
    index = random_indexes[0]
    told: list[tuple[int, int]] = []
    infgram.fit(index, save=False, progress=lambda *done: told.append(done))
    assert told[0][0] == 0
    assert told[-1] == (told[-1][1],) * 2

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infgram.fit(index, save=False, progress=stop)


def test_what_it_cannot_do_is_refused(memory_folder: Path) -> None:
    ids = make_index(
        memory_folder / "ids.infgram", [[1, 2, 3]], tokenizer=load("ids", vocab_size=9)
    )
    shards = make_index(memory_folder / "shards.infgram", [[97] * 30] * 4, shard_tokens=40)
    for index in (ids, shards):
        with pytest.raises(InvalidParameter, match=r"use KneserNey\(\)"):
            Model(index, Mix()).distribution([1])


def test_characters_are_read_as_bytes_are(memory_folder: Path) -> None:
    text = "caf\u00e9 \u0416uk, \u0416uk. " * 30
    chars = load("chars")
    index = make_index(
        memory_folder / "chars.infgram", [chars.encode(text).tolist()], tokenizer=chars
    )
    model = Model(index, Mix())
    assert model.distribution("caf").sum() == pytest.approx(1, abs=1e-9)
    expected = model.defined_distribution("caf\u00e9 \u0416")
    assert model.distribution("caf\u00e9 \u0416") == pytest.approx(expected, abs=1e-9)


def test_several_indexes_are_mixed(random_indexes: list[infgram.Index]) -> None:
    model = Model(random_indexes[:2], Mix(), weights=[1, 3])
    assert model.distribution("to b").sum() == pytest.approx(1, abs=1e-9)
    assert model.distribution("to b") == pytest.approx(model.defined_distribution("to b"), abs=1e-9)


def test_a_fit_to_a_sample_of_a_corpus_says_so(
    random_indexes: list[infgram.Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = random_indexes[1]
    whole = infgram.fit(index, save=False)
    assert whole.n_counted == whole.n_tokens == index.n_rows - 1
    monkeypatch.setitem(fitting._MOST_TOKENS, "lean", 1000)
    monkeypatch.setattr(fitting, "_MOST_LEARNT", 400)
    part = infgram.fit(index, save=False)
    assert part.n_counted == 16 * 62  # a sixteenth of the most, each
    assert 0 < part.n_tokens < 600
    assert len(part.contexts) < len(whole.contexts) * 0.6
    told = run("fit", str(index.path)).stdout
    assert f"of a sample of 992 of {index.n_rows - 1:,}, perplexity" in " ".join(told.split())
    (said,) = lines(run("fit", str(index.path), "--json"))
    assert said["n_counted"] == 992
    assert "of a sample of 992" in " ".join(run("info", str(index.path)).stdout.split())
    assert Model(index, Mix()).distribution("to b").sum() == pytest.approx(1, abs=1e-9)
    monkeypatch.undo()
    infgram.fit(index)


def test_an_unknown_size_is_refused(random_indexes: list[infgram.Index]) -> None:
    size: Any = "huge"
    for ask in (Mix, lambda size: infgram.fit(random_indexes[0], size=size)):
        with pytest.raises(InvalidParameter, match="size is 'huge', expected one of: lean, full"):
            ask(size)


def test_the_command_line_fits_it_and_asks_it(
    random_indexes: list[infgram.Index], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = str(random_indexes[1].path)
    (told,) = lines(run("fit", index, "--json"))
    assert told["n_tokens"] > 100
    assert f"{told['n_tokens']:,} tokens predicted" in run("fit", index).stdout
    assert run("fit", index, "--quiet").output == ""
    Path("text.txt").write_text("To be or be")
    asked = ["perplexity", "text.txt", "-i", index, "--estimator", "mix", "--json"]
    (found,) = lines(run(*asked))
    expected = infgram.perplexity(Model(random_indexes[1], Mix()), "To be or be")
    assert found["perplexity"] == pytest.approx(expected.perplexity, rel=1e-6)
    (told,) = lines(run("fit", index, "--mix-size", "full", "--json"))
    assert told["size"] == "full"
    (found,) = lines(run(*asked, "--mix-size", "full"))
    expected = infgram.perplexity(Model(random_indexes[1], Mix("full")), "To be or be")
    assert found["perplexity"] == pytest.approx(expected.perplexity, rel=1e-6)
    (told,) = lines(run("info", index, "--json"))
    assert {(fit["size"], fit["adapts"]) for fit in told["mixtures"]} >= {
        ("lean", False),
        ("full", False),
    }
    (told,) = lines(run("fit", index, "--adapt", "--json"))
    assert told["n_tokens"] > 100
    (adapted,) = lines(run(*asked, "--adapt"))
    model = Model(random_indexes[1], Mix(), adapt=True)
    expected = infgram.perplexity(model, "To be or be")
    assert adapted["perplexity"] == pytest.approx(expected.perplexity, rel=1e-6)
    made = run(
        *("generate", "to b", "-i", index, "--estimator", "mix", "-n", "5"),
        *("--seed", "1", "--trace", "--json"),
    )
    assert lines(made)[0]["levels"][1]["name"] in definition.inputs_of(SIGHTS["lean"], adapts=False)
    shown = run("generate", "to b", "-i", index, "--estimator", "mix", "-n", "5", "--trace").stdout
    assert any(name in shown for name in definition.inputs_of(SIGHTS["lean"], adapts=False))
