"""The neural rival computes what nanoGPT computes, and its training can be killed at any time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `neural`")
pytest.importorskip("transformers", reason="needs transformers, the extra `neural`")

import torch.nn.functional as F
from infgram_bench import training
from infgram_bench.gpt import (
    CPU_RECIPE,
    JUDGE,
    SHAKESPEARE_CHAR,
    Decoder,
    Ids,
    Recipe,
    Text,
    build_model,
    generate,
    generate_batch,
    load_nanogpt,
    n_parameters,
    score,
    use_threads,
    validation_loss,
)
from infgram_bench.training import CheckpointError, Progress, Trained, train
from transformers import GPT2LMHeadModel

TINY = Recipe(
    "tiny",
    n_layer=2,
    n_head=2,
    n_embd=16,
    block_size=16,
    batch_size=4,
    dropout=0.1,
    max_iters=60,
    lr_decay_iters=60,
    eval_interval=10,
    eval_iters=3,
    learning_rate=1e-2,
    warmup_iters=5,
)
N_CHARACTERS = 11


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with use_threads(1):
        yield


@pytest.fixture(scope="module")
def text() -> Text:
    rng = np.random.default_rng(0)
    words = rng.choice(["to", "be", "or", "not", "that", "is", "the", "question"], 2000)
    return Text.split(" ".join(words).encode())


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    """Untrained, with weights so large that it is sure of one thing here and another there."""
    torch.manual_seed(1)
    model = build_model(TINY, N_CHARACTERS)
    for name, parameter in model.named_parameters():
        if not name.endswith(".bias"):
            parameter.data = 10 * parameter.data if parameter.dim() > 1 else 1 + parameter.data
    return model


def ids(n: int, seed: int = 0) -> Ids:
    return np.random.default_rng(seed).integers(0, N_CHARACTERS, n).astype(np.uint8)


def logits(model: GPT2LMHeadModel, sequence: Ids) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor(sequence, dtype=torch.long)[None]).logits[0]


# Model --------------------------------------------------------------------------------------------


def reference(weights: dict[str, torch.Tensor], sequence: Ids, n_heads: int) -> torch.Tensor:
    """GPT-2 without biases, written down from its definition: logits (T, V)."""
    n = len(sequence)
    tokens = weights["wte.weight"]
    x = tokens[sequence.astype(int)] + weights["wpe.weight"][:n]
    width = x.shape[1]
    head = width // n_heads
    future = torch.ones(n, n).triu(1).bool()

    def norm(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        spread = (x - x.mean(-1, keepdim=True)).pow(2).mean(-1, keepdim=True)
        return (x - x.mean(-1, keepdim=True)) / (spread + 1e-5).sqrt() * scale

    for i in range(TINY.n_layer):
        w = {k.removeprefix(f"h.{i}."): v for k, v in weights.items() if k.startswith(f"h.{i}.")}
        q, k, v = (norm(x, w["ln_1.weight"]) @ w["attn.c_attn.weight"]).split(width, -1)
        heads = []
        for h in range(n_heads):
            part = slice(h * head, (h + 1) * head)
            affinity = q[:, part] @ k[:, part].T / math.sqrt(head)
            heads.append(affinity.masked_fill(future, -math.inf).softmax(-1) @ v[:, part])
        x = x + torch.cat(heads, -1) @ w["attn.c_proj.weight"]
        h = norm(x, w["ln_2.weight"]) @ w["mlp.c_fc.weight"]
        x = x + (h * (1 + torch.erf(h / math.sqrt(2))) / 2) @ w["mlp.c_proj.weight"]
    return norm(x, weights["ln_f.weight"]) @ tokens.T


def test_the_model_computes_the_definition(model: GPT2LMHeadModel) -> None:
    weights = {k.removeprefix("transformer."): v for k, v in model.state_dict().items()}
    for n in (1, 7, TINY.block_size):
        expected = reference(weights, ids(n), TINY.n_head)
        torch.testing.assert_close(logits(model, ids(n)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif("INFGRAM_NANOGPT" not in os.environ, reason="INFGRAM_NANOGPT: a checkout")
def test_nanogpt_itself_computes_the_same(model: GPT2LMHeadModel) -> None:
    theirs = load_nanogpt(Path(os.environ["INFGRAM_NANOGPT"]), model)
    assert theirs.get_num_params() == n_parameters(model)
    sequence = torch.tensor(ids(TINY.block_size), dtype=torch.long)[None]
    with torch.inference_mode():
        found, _ = theirs(sequence, sequence)
    torch.testing.assert_close(found[0], logits(model, ids(TINY.block_size)))
    torch.manual_seed(3)
    prompt = torch.tensor(ids(4), dtype=torch.long)[None]
    written = theirs.generate(prompt, 30, temperature=0.8, top_k=200)[0, 4:]
    own = generate(model, ids(4), 30, seed=3, use_cache=False)
    assert own.tolist() == written.tolist()


@pytest.mark.skipif("INFGRAM_NANOGPT" not in os.environ, reason="INFGRAM_NANOGPT: a checkout")
def test_nanogpt_itself_learns_the_same(text: Text, tmp_path: Path) -> None:
    recipe = replace(TINY, dropout=0.0)  # the two draw in another order
    run = training._Run(recipe, text, torch.device("cpu"), tmp_path / "x")
    theirs = load_nanogpt(Path(os.environ["INFGRAM_NANOGPT"]), run.model).train()
    betas = (recipe.beta1, recipe.beta2)
    optimizer = theirs.configure_optimizers(recipe.weight_decay, 1.0, betas, "cpu")
    batches = torch.Generator().manual_seed(recipe.seed)
    for step in range(30):
        starts = torch.randint(len(text.training) - 16, (4, 1), generator=batches)
        pieces = run.training[starts + torch.arange(17)].long()
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate(recipe, step)
        _, loss = theirs(pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), recipe.grad_clip)
        optimizer.step()
        assert run.advance() == pytest.approx(loss.item(), rel=1e-4)


def test_a_folder_without_nanogpt_says_so(model: GPT2LMHeadModel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.py"):
        load_nanogpt(tmp_path, model)


@pytest.mark.parametrize(
    ("recipe", "millions"), [(SHAKESPEARE_CHAR, "10.65"), (CPU_RECIPE, "0.80")]
)
def test_parameters_are_as_many_as_nanogpt_says(recipe: Recipe, millions: str) -> None:
    assert f"{n_parameters(build_model(recipe, 65)) / 1e6:.2f}" == millions


def test_weights_begin_as_nanogpts() -> None:
    torch.manual_seed(0)
    model = build_model(CPU_RECIPE, 65)
    layer = model.transformer.h[0]
    for weight in (model.transformer.wte.weight, layer.attn.c_attn.weight, layer.mlp.c_fc.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    for weight in (layer.attn.c_proj.weight, layer.mlp.c_proj.weight):
        assert weight.std().item() == pytest.approx(0.02 / math.sqrt(8), rel=0.05)
    assert model.lm_head.weight is model.transformer.wte.weight


def test_the_judge_is_another_model() -> None:
    shapes = [(r.n_layer, r.n_embd, r.block_size) for r in (JUDGE, CPU_RECIPE, SHAKESPEARE_CHAR)]
    assert len(set(shapes)) == 3
    assert JUDGE.seed not in (CPU_RECIPE.seed, SHAKESPEARE_CHAR.seed)


def test_a_text_is_split_by_characters() -> None:
    text = Text.split("aé€ba".encode() * 2)
    assert text.characters == "abé€"
    assert text.decode(text.training) == "aé€baaé€b" and text.decode(text.validation) == "a"
    assert text.encode("b€").tolist() == [1, 3]
    with pytest.raises(ValueError, match="'x'"):
        text.encode("ax")
    with pytest.raises(ValueError, match="300 different"):
        Text.split("".join(map(chr, range(300))).encode())


# Losses -------------------------------------------------------------------------------------------


def naive_loss(model: GPT2LMHeadModel, text: Ids, stride: int, context: Ids) -> float:
    """The first block, then a window for each stretch of `stride` characters, one at a time."""
    block = model.config.n_positions
    sequence = np.concatenate([context, text])
    position, nats = max(len(context), 1), []
    while position < len(sequence):
        end = min(max(position + stride, block + 1), len(sequence))
        begin = max(0, end - 1 - block)
        log_probs = logits(model, sequence[begin : end - 1]).log_softmax(-1)
        nats += [-log_probs[t - 1 - begin, sequence[t]].item() for t in range(position, end)]
        position = end
    return float(np.mean(nats))


@pytest.mark.parametrize("n", [2, 16, 17, 18, 100, 350])
@pytest.mark.parametrize("stride", [1, 5, 16])
@pytest.mark.parametrize("n_context", [0, 1, 7, 40])
def test_the_loss_is_that_of_a_naive_loop(
    model: GPT2LMHeadModel, n: int, stride: int, n_context: int
) -> None:
    text, context = ids(n), ids(n_context, seed=1)
    found = validation_loss(model, text, stride=stride, context=context)
    assert found == pytest.approx(naive_loss(model, text, stride, context), rel=1e-5)


def test_a_score_is_the_loss_of_a_text_alone(model: GPT2LMHeadModel) -> None:
    assert score(model, ids(50)) == validation_loss(model, ids(50), stride=TINY.block_size // 2)


def test_a_loss_of_nothing_or_of_no_stride_is_refused(model: GPT2LMHeadModel) -> None:
    with pytest.raises(ValueError, match="nothing to predict"):
        validation_loss(model, ids(1), stride=1)
    for stride in (0, TINY.block_size + 1):
        with pytest.raises(ValueError, match="from 1 to 16"):
            validation_loss(model, ids(9), stride=stride)


# Generation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_prompt", [1, 5, TINY.block_size])
def test_the_lean_decoder_gives_the_librarys_logits(model: GPT2LMHeadModel, n_prompt: int) -> None:
    sequences = np.stack([ids(TINY.block_size, seed) for seed in range(3)])
    batch = torch.tensor(sequences, dtype=torch.long)
    with torch.inference_mode():
        decoder = Decoder(model, 3)
        found = [decoder(batch[:, :n_prompt], 0)]
        found += [decoder(batch[:, i : i + 1], i) for i in range(n_prompt, TINY.block_size)]
    for row, sequence in enumerate(sequences):
        expected = logits(model, sequence)[n_prompt - 1 :]
        torch.testing.assert_close(torch.stack(found)[:, row], expected, rtol=1e-4, atol=1e-4)


def test_the_lean_decoder_reads_a_tree_as_its_paths(model: GPT2LMHeadModel) -> None:
    """The tree is 4 - 5 - 6 and 4 - 7 behind three tokens; 4 and 7 are kept, and 8 is read."""
    before, tree = torch.tensor([[1, 2, 3]]), torch.tensor([4, 5, 6, 7])
    depths = torch.tensor([0, 1, 2, 1])
    sees = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]]).bool()
    with torch.inference_mode():
        decoder = Decoder(model, 1)
        decoder(before, 0)
        found = decoder.read_draft(tree, 3, depths, sees)
        decoder.keep(3, [0, 3])
        last = decoder(torch.tensor([[8]]), 5)
    paths = [logits(model, np.array(path)) for path in ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 7, 8])]
    expected = torch.stack([paths[0][3], paths[0][4], paths[0][5], paths[1][4]])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last[0], paths[1][5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_the_cache_changes_nothing_while_the_block_is_not_full(
    model: GPT2LMHeadModel, temperature: float
) -> None:
    n = TINY.block_size - 3 + 1  # the last one is predicted by a full block
    plain, cached = (
        generate(model, ids(3), n, temperature=temperature, seed=5, use_cache=use_cache)
        for use_cache in (False, True)
    )
    assert plain.tolist() == cached.tolist()
    assert len(set(plain.tolist())) > 2


@pytest.mark.parametrize("n_prompt", [1, 16, 40])
def test_a_full_block_is_begun_anew_from_its_last_half(
    model: GPT2LMHeadModel, n_prompt: int
) -> None:
    block = TINY.block_size
    written, begin = ids(n_prompt), max(0, n_prompt - block)
    for _ in range(50):
        if len(written) - begin > block:
            begin = len(written) - block // 2
        written = np.append(written, logits(model, written[begin:])[-1].argmax().numpy())
    cached = generate(model, ids(n_prompt), 50, temperature=0, seed=0, use_cache=True)
    assert cached.tolist() == written[n_prompt:].tolist()


def test_a_seed_repeats_a_text(model: GPT2LMHeadModel) -> None:
    for use_cache in (False, True):
        first, again, other = (
            generate(model, ids(3), 40, temperature=1.5, seed=seed, use_cache=use_cache).tolist()
            for seed in (1, 1, 2)
        )
        assert first == again != other
    texts = generate_batch(model, ids(3), 40, n_texts=4, temperature=1.5, seed=1)
    assert texts.shape == (4, 40) and texts.dtype == np.uint8
    assert len({tuple(text) for text in texts.tolist()}) == 4


def test_the_most_probable_alone_is_temperature_zero(model: GPT2LMHeadModel) -> None:
    coldest = generate(model, ids(3), 30, temperature=0, seed=0, use_cache=True)
    narrowest = generate(model, ids(3), 30, top_k=1, seed=0, use_cache=True)
    assert coldest.tolist() == narrowest.tolist()


@pytest.mark.parametrize("use_cache", [False, True])
def test_an_empty_prompt_is_refused(model: GPT2LMHeadModel, use_cache: bool) -> None:
    with pytest.raises(ValueError, match="empty prompt"):
        generate(model, ids(0), 3, seed=0, use_cache=use_cache)


# Training -----------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def at(steps: set[int], error: type[BaseException] = Killed) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.step in steps:
            steps.remove(progress.step)
            raise error

    return stop


def losses(trained: Trained) -> list[tuple[float, ...]]:
    return [(p.step, p.train_loss, p.val_loss) for p in trained.curve]


def same_weights(a: Trained, b: Trained) -> bool:
    theirs = b.model.state_dict()
    return all(torch.equal(weight, theirs[name]) for name, weight in a.model.state_dict().items())


@pytest.fixture(scope="module")
def uninterrupted(text: Text, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(TINY, text, folder=tmp_path_factory.mktemp("uninterrupted"))


def test_the_loss_falls(text: Text, uninterrupted: Trained) -> None:
    assert uninterrupted.finished and uninterrupted.step == TINY.max_iters
    assert [p.step for p in uninterrupted.curve] == [10, 20, 30, 40, 50, 60]
    assert uninterrupted.curve[-1].val_loss < 0.8 * math.log(len(text.characters))
    assert uninterrupted.validation_loss == validation_loss(
        uninterrupted.model, text.validation, stride=TINY.block_size, context=text.training[-16:]
    )
    assert uninterrupted.seconds > 0 and uninterrupted.evaluation_seconds > 0
    assert uninterrupted.peak_bytes > 10**6 and uninterrupted.machine
    assert set(uninterrupted.versions) == {"torch", "transformers"}


@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt])
def test_a_killed_training_becomes_what_it_would_have_been(
    text: Text,
    uninterrupted: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    if error is Killed:  # nothing is saved on the way out, so save after every step
        monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    stop = at({7, 20, 21, 45}, error)
    for _ in range(4):
        with pytest.raises(error):
            train(TINY, text, folder=tmp_path, on_progress=stop)
    trained = train(TINY, text, folder=tmp_path, on_progress=stop)
    assert losses(trained) == losses(uninterrupted)
    assert same_weights(trained, uninterrupted)
    assert trained.validation_loss == uninterrupted.validation_loss


@pytest.mark.parametrize("place", ["backward", "step"])
def test_an_interrupt_within_a_step_saves_no_half_of_it(
    text: Text,
    uninterrupted: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    owner, name = {
        "backward": (torch.nn.utils, "clip_grad_norm_"),
        "step": (torch.optim.AdamW, "step"),
    }[place]
    original, calls = getattr(owner, name), 0

    def interrupted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        result = original(*arguments)
        if calls == 30:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, text, folder=tmp_path)
    path = training.checkpoint_path(TINY, text, tmp_path)
    assert path.exists() == (place == "backward")  # before the weights change, or not at all
    assert losses(train(TINY, text, folder=tmp_path)) == losses(uninterrupted)


def test_a_finished_training_is_only_read(text: Text, uninterrupted: Trained) -> None:
    folder = uninterrupted.checkpoint.parent
    written = uninterrupted.checkpoint.stat().st_mtime_ns
    again = train(TINY, text, folder=folder, on_progress=at({*range(61)}))
    assert uninterrupted.checkpoint.stat().st_mtime_ns == written
    assert replace(again, model=uninterrupted.model) == uninterrupted
    assert same_weights(again, uninterrupted)
    assert [path.name for path in folder.iterdir()] == [uninterrupted.checkpoint.name]


def test_the_seconds_are_of_all_runs_together(text: Text, tmp_path: Path) -> None:
    endless = replace(TINY, max_iters=10**9)
    reports: list[Progress] = []
    first = train(endless, text, seconds=0.2, folder=tmp_path, on_progress=reports.append)
    assert first.seconds >= 0.2 and not first.finished
    assert first.curve[-1].step == first.step == len(reports)
    assert reports[-1].seconds_left == 0 and 0 <= reports[0].seconds_left < 0.2
    again = train(endless, text, seconds=0.2, folder=tmp_path)
    assert again.step == first.step and again.seconds == first.seconds
    more = train(endless, text, seconds=first.seconds + 0.1, folder=tmp_path)
    assert more.step > first.step and more.curve[: len(first.curve)] == first.curve


def test_stopping_for_time_leaves_the_rest_as_it_would_have_been(
    text: Text, uninterrupted: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even between two estimates that are due."""
    monkeypatch.setattr(training.time, "perf_counter", iter(range(10**6)).__next__)
    stopped = train(TINY, text, seconds=25, folder=tmp_path)  # a step takes a second
    assert losses(stopped)[-1][0] == stopped.step == 25
    trained = train(TINY, text, folder=tmp_path)
    assert [point for point in losses(trained) if point[0] != 25] == losses(uninterrupted)


def test_the_best_weights_are_kept(text: Text, tmp_path: Path) -> None:
    """With few characters to learn from, training goes on beyond what helps."""
    short = replace(text, training=text.training[:40])
    greedy = replace(TINY, max_iters=150, lr_decay_iters=150, eval_interval=15, dropout=0.0)
    trained = train(greedy, short, folder=tmp_path)
    best = min(trained.curve, key=lambda point: point.val_loss)
    assert trained.best_step == best.step < 150
    assert trained.validation_loss < trained.curve[-1].val_loss - 0.2


def test_another_text_or_recipe_has_another_file(text: Text) -> None:
    others = [
        (TINY, text),
        (replace(TINY, seed=2), text),
        (TINY, replace(text, training=text.training[::-1])),
        (TINY, replace(text, validation=text.validation[1:])),
        (TINY, replace(text, characters=text.characters.upper())),
    ]
    paths = {training.checkpoint_path(recipe, other) for recipe, other in others}
    assert len(paths) == len(others)
    assert all(path.parent == training.cache_folder() for path in paths)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_torn_checkpoint_is_an_error_that_names_it(
    text: Text, uninterrupted: Trained, tmp_path: Path, part: float
) -> None:
    data = uninterrupted.checkpoint.read_bytes()
    path = training.checkpoint_path(TINY, text, tmp_path)
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(CheckpointError, match=f"{path.name} cannot be read.*delete it"):
        train(TINY, text, folder=tmp_path)


def test_a_foreign_checkpoint_is_an_error(
    text: Text, uninterrupted: Trained, tmp_path: Path
) -> None:
    other = replace(TINY, seed=2)
    path = training.checkpoint_path(other, text, tmp_path)
    path.write_bytes(uninterrupted.checkpoint.read_bytes())
    with pytest.raises(CheckpointError, match=f"{path.name} is not a checkpoint of tiny"):
        train(other, text, folder=tmp_path)
    path.write_text("something else")
    with pytest.raises(CheckpointError, match=path.name):
        train(other, text, folder=tmp_path)
    torch.save(Killed, path)  # nothing in a file is executed
    with pytest.raises(CheckpointError, match=path.name):
        train(other, text, folder=tmp_path)


def test_a_text_without_room_for_a_block_is_refused(text: Text, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too short"):
        train(TINY, replace(text, validation=text.validation[:16]), folder=tmp_path)


def test_the_process_is_left_as_it_was(text: Text, tmp_path: Path) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(replace(TINY, max_iters=3), text, folder=tmp_path)
    assert torch.equal(before, torch.get_rng_state()) and torch.get_num_threads() == threads


def test_biases_stay_zero(uninterrupted: Trained) -> None:
    biases = [w for name, w in uninterrupted.model.named_parameters() if name.endswith(".bias")]
    assert biases and not any(bias.any() for bias in biases)


def test_the_rate_rises_falls_and_stays() -> None:
    recipe = replace(TINY, warmup_iters=9, lr_decay_iters=109, learning_rate=1e-3, min_lr=1e-4)
    rates = [training.learning_rate(recipe, step) for step in (0, 9, 59, 109, 500)]
    assert rates == pytest.approx([1e-4, 1e-3, 5.5e-4, 1e-4, 1e-4])


def test_matrices_decay_and_scales_do_not(model: GPT2LMHeadModel) -> None:
    decayed, level = training._optimizers(model, TINY, [])["optimizer"].param_groups
    assert decayed["weight_decay"] == 0.1 and all(p.dim() == 2 for p in decayed["params"])
    assert level["weight_decay"] == 0.0 and all(p.dim() == 1 for p in level["params"])
    assert len(decayed["params"]) == 2 + 4 * TINY.n_layer
    assert len(level["params"]) == 1 + 2 * TINY.n_layer


def test_cross_entropy_is_of_the_next_character(text: Text, tmp_path: Path) -> None:
    """A step's loss before any training is that of its own batch."""
    run = training._Run(TINY, text, torch.device("cpu"), tmp_path / "x")
    generator = torch.Generator().manual_seed(4)
    found = run.loss(run.training, generator).item()
    starts = torch.randint(len(text.training) - 16, (4, 1), generator=generator.manual_seed(4))
    pieces = torch.tensor(text.training, dtype=torch.long)[starts + torch.arange(17)]
    with torch.inference_mode():
        expected = F.cross_entropy(run.model(pieces[:, :-1]).logits.transpose(1, 2), pieces[:, 1:])
    assert found == pytest.approx(expected.item())
