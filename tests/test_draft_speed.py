"""A model with drafts and without: what is timed, what is told, the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from conftest import make_index

import infgram

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `draft`")
transformers = pytest.importorskip("transformers", reason="needs transformers, the extra `draft`")

from infgram.draft import Drafter, TextDrafter
from infgram.draft.profile import Cost
from infgram.draft.speed import load_model, measure_speed
from infgram.errors import InputError, InvalidParameter, TokenError

PROSE = b"to be or not to be, that is the question. " * 5


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "speed.infgram", [list(PROSE)])


@pytest.fixture(scope="module")
def model() -> Any:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=256,
        n_embd=16,
        n_layer=1,
        n_head=1,
        n_positions=64,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config).double().eval()


@pytest.fixture(scope="module")
def saved(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


def test_all_ways_write_the_same(model: Any, index: infgram.Index) -> None:
    found = measure_speed(
        model, Drafter(index), [list(b"to be"), list(b"or")], max_new_tokens=12, rounds=2
    )
    assert [way.name for way in found.ways] == [
        "transformers",
        "infgram, no drafts",
        "infgram, drafts",
    ]
    assert found.n_different == 0
    assert all(way.n_tokens == 24 and len(way.seconds) == 2 for way in found.ways)
    plain, none, drafted = (way.tokens_per_step for way in found.ways)
    assert plain == none == 1.0 <= drafted
    rates = [way.median for way in found.ways]
    assert found.speed_up == pytest.approx(rates[2] / max(rates[:2]))


def test_a_drafter_of_bytes_is_measured_too(model: Any, index: infgram.Index) -> None:
    drafter = TextDrafter(index, tokenizer="bytes")
    for temperature in (0.0, 1.0):
        found = measure_speed(
            model, drafter, [list(b"to be")], max_new_tokens=8, rounds=1, temperature=temperature
        )
        assert found.n_different == 0  # chosen drafts: the same seed, the same text


def test_nothing_to_measure_is_refused(model: Any, index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="0 prompts"):
        measure_speed(model, Drafter(index), [])


@pytest.mark.parametrize(
    "options",
    [
        *({"rounds": found} for found in (0, 1.5, "x", True)),
        *({"max_new_tokens": found} for found in (0, 1.5, "x", 60, 10**11)),
        *({"temperature": found} for found in (-1, float("nan"), float("inf"), "x", None)),
        *({"prompts": found} for found in (None, "abc", 5)),
        *({"drafter": found} for found in (None, "x")),
        *({"model": found} for found in (None, "x")),
    ],
)
def test_what_cannot_be_measured_is_refused(
    model: Any, index: infgram.Index, options: dict[str, Any]
) -> None:
    given = {"model": model, "drafter": Drafter(index), "prompts": [list(b"to be")]}
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} is .*, expected"):
        measure_speed(**{**given, "max_new_tokens": 5, "rounds": 1, **options})


def test_prompts_are_checked_before_anything_is_written(model: Any, index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="prompt 1 is empty"):
        measure_speed(model, Drafter(index), [[1], []], max_new_tokens=5)
    for prompt in ([999], "abc", [1.5]):
        with pytest.raises(TokenError):
            measure_speed(model, Drafter(index), [prompt], max_new_tokens=5)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no causal model"):
        load_model(str(tmp_path))


def _cut(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])


def _foreign(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"something else " * 100)


def _of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_embd": 32}))


@pytest.mark.parametrize("spoil", [_cut, _foreign, _of_another_shape])
def test_weights_that_cannot_be_read_are_told(
    saved: Path, index: infgram.Index, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    spoil(folder)
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "to be"}\n')
    for arguments in (
        ("profile", folder, "-o", tmp_path / "cost.json"),
        ("bench", folder, prompts, "-i", index.path),
    ):
        failed = run("draft", *arguments, exit_code=2)
        assert "is no causal model of transformers that can be loaded" in failed.stderr
    assert not (tmp_path / "cost.json").exists()


@pytest.mark.parametrize("threads", [0, -1, 99999999999, 1.5, "x", True])
def test_threads_are_as_many_as_somebody_can_want(saved: Path, threads: Any) -> None:
    before = torch.get_num_threads()
    with pytest.raises(InvalidParameter, match=r"threads is .* from 1 to 1024"):
        load_model(str(saved), threads=threads)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--temperature", "nan"), "temperature is nan"),
        (("--temperature", "-1"), "temperature is -1.0"),
        (("--new-tokens", "99999999999"), "the model has no more positions"),
        (("--threads", "99999999999"), "threads is 99999999999"),
    ],
)
def test_the_command_refuses_what_cannot_be_measured(
    saved: Path, index: infgram.Index, tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "to be"}\n')
    failed = run("draft", "bench", saved, prompts, "-i", index.path, *options, exit_code=2)
    assert said in failed.stderr
    assert failed.stdout == ""


def test_the_commands_measure_a_saved_model(
    saved: Path, index: infgram.Index, tmp_path: Path
) -> None:
    cost = tmp_path / "cost.json"
    shown = run(
        "draft",
        "profile",
        saved,
        "-o",
        cost,
        *("--context-tokens", 8, "--draft-tokens", 4, "--threads", 1),
    )
    assert "4 drafted tokens" in shown.stdout
    assert len(Cost.load(cost).seconds) == 5
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "to be"}\n{"prompt_ids": [111, 114]}\n')
    arguments = ("bench", saved, prompts, "-i", index.path, "--new-tokens", 6, "--repeat", 1)
    shown = run("draft", *arguments, "--cost", cost, "--draft-tokens", 4)
    assert "infgram, drafts" in shown.stdout
    assert "of 2" in shown.stdout
    record = json.loads(run("draft", *arguments, "--json").stdout)
    assert len(record["ways"]) == 3 and record["speed_up"] > 0
    failed = run("draft", "profile", tmp_path, "-o", cost, exit_code=2)
    assert "no causal model" in failed.stderr
    failed = run(
        "draft",
        "profile",
        saved,
        "-o",
        cost,
        *("--context-tokens", 100, "--draft-tokens", 4),
        exit_code=2,
    )
    assert "positions" in failed.stderr
