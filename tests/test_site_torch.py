"""Pages of docs/ that need PyTorch: what they say can be pasted runs, with tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pasting import blocks, commands, shell

torch = pytest.importorskip("torch", reason="needs the extra `refine`")

pytestmark = pytest.mark.torch
DOCS = Path(__file__).parents[1] / "docs"
CODE = "def main(arguments):\n    for argument in arguments:\n        print(argument)\n\n\n" * 20


def paste(page: Path, folder: Path, instead: dict[str, str]) -> int:
    """All blocks of a page, in a folder; `instead`: what some commands are cut short to."""
    run = shell(folder)
    namespace: dict[str, object] = {}
    n_run = 0
    for language, block in blocks(page):
        if language == "python":
            exec(compile(block, page.name, "exec"), namespace)
            n_run += 1
            continue
        for command in commands(block):
            if command.startswith("pip "):
                continue
            for long, short in instead.items():
                command = command.replace(long, short)
            run(command)
            n_run += 1
    return n_run


def save_a_tiny_model(folder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `draft`")
    from tokenizers import ByteLevelBPETokenizer

    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator([CODE], vocab_size=300, min_frequency=2, special_tokens=["<end>"])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=learnt._tokenizer, eos_token="<end>"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=300,
        n_embd=16,
        n_layer=1,
        n_head=1,
        n_positions=4096,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)


def test_the_page_on_drafting_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_a_tiny_model(tmp_path / "my-model")
    for folder in ("src", "docs"):
        Path(folder).mkdir()
        Path(folder, "main.py").write_text(CODE)
    answer = {"prompt": "def main(", "output": CODE[9:200]}
    Path("answers.jsonl").write_text(json.dumps(answer) + "\n")
    Path("prompts.jsonl").write_text(json.dumps({"prompt": "def main("}) + "\n")
    Path("tinyshakespeare.txt").write_text("To be, or not to be: that is the question.\n" * 200)
    quick = {
        "draft profile": "draft profile --context-tokens 8 --draft-tokens 4 --threads 1",
        "draft bench": "draft bench --new-tokens 8 --repeat 1",
    }
    assert paste(DOCS / "drafting.md", tmp_path, quick) >= 8


def test_the_page_on_refining_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = "ROMEO: To be, or not to be, that is the question.\nJULIET: What is it, that we see?\n"
    Path("corpus.txt").write_text(line * 100)
    Path("essay.txt").write_text("To be, or nat to be.\n")
    quick = {"refine train": "refine train --steps 2 --threads 1 --device cpu"}
    assert paste(DOCS / "refiner.md", tmp_path, quick) >= 10
