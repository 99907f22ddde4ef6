"""The same seed gives the same text: what a fixed corpus answered when tests/data/golden.json was
written is what it answers now.

The file is not an oracle, only a memory: where an answer is meant to change, say so in the
changelog and write it anew with `python tests/test_golden.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_index
from test_two_sided import make

import infgram
from infgram import SBIS, KneserNey, Longest, Model
from infgram.draft import Drafter
from infgram.refine import Proposer, certify, polish
from infgram.text.tokens import load

GOLDEN = Path(__file__).parent / "data" / "golden.json"
_COMMON = "the a cat dog man king queen mat log house sat ran saw ate slept sang on under with near"
_RARE = "old red small and but then that who never crown river, night; morning? O! it's naïve café"
_WORDS = [*_COMMON.split(), *_RARE.split()]
_WIDE = ["ℵ", "語", "🂡", "ω"]


def _numbers(n: int, below: int, seed: int) -> list[int]:
    """A linear congruential sequence: the same in every version of everything."""
    found = []
    for _ in range(n):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        found.append((seed >> 33) % below)
    return found


def _text(n_words: int, seed: int, words: Sequence[str] = _WORDS) -> str:
    """Prose of a kind: few words are often, lines end, and phrases return."""
    numbers = _numbers(n_words, 10_000, seed)
    written: list[str] = []
    for i, number in enumerate(numbers):
        if number % 11 == 0 and i > 60:
            begin = number * 7 % (i - 40)
            written += written[begin : begin + 4 + number % 9]
        written.append(words[number * number // 10_000 * len(words) // 10_000])
        if number % 13 == 0:
            written.append("\nKING:" if number % 2 else "\n")
    return " ".join(written)


@pytest.fixture(scope="module")
def indexes(memory_folder: Path) -> dict[str, infgram.Index]:
    return _indexes(memory_folder)


def _indexes(folder: Path) -> dict[str, infgram.Index]:
    """Bytes, two sides, several documents; characters in 16 and ids in 32 bits, several shards."""
    found = {}
    texts = [_text(n, n) for n in (2200, 900, 1300)]
    found["bytes"] = make(folder / "golden.infgram", [text.encode() for text in texts])
    wide = [_text(n, n, [*_WORDS, *_WIDE]) for n in (700, 400, 800)]
    found["characters"] = make_index(
        folder / "golden-chars.infgram",
        [[ord(c) for c in text] for text in wide],
        tokenizer=load("chars"),
        shard_tokens=7000,
        code_bits=16,
    )
    found["ids"] = make_index(
        folder / "golden-ids.infgram",
        [[n * n // 300 for n in _numbers(2500, 3000, seed)] * 2 for seed in (5, 6)],
        tokenizer=load("ids", vocab_size=50_000),
        shard_tokens=6000,
        code_bits=32,
    )
    found["other"] = make_index(
        folder / "golden-other.infgram", [list(_text(800, 99).encode())], block_rows=64
    )
    return found


_ESTIMATORS: dict[str, Any] = {
    "SBIS k=1": SBIS(k=1, decay=0.1),
    "SBIS k=2": SBIS(k=2, decay=0.3),
    "SBIS k=3, distributions": SBIS(k=3, decay=0.5, weighting="distributions"),
    "SBIS k=-1": SBIS(k=-1, decay=0.1),
    "SBIS k=2, window 5, floor": SBIS(k=2, decay=0.1, window=5, floor=1e-4),
    "Longest": Longest(),
    "Longest, window 3": Longest(window=3),
    "KneserNey": KneserNey(),
    "KneserNey, order 5": KneserNey(max_order=5),
}
_SAMPLING: dict[str, dict[str, Any]] = {
    "plain": {},
    "cool": {"temperature": 0.7, "top_k": 20},
    "limits": {"temperature": 1.3, "top_p": 0.9, "min_p": 0.02},
    "greedy": {"temperature": 0.0},
    "new": {"max_copy": 12},
    "stop": {"stop": ["K", "\n"]},
}
_PROMPTS: dict[str, list[Any]] = {
    "bytes": ["", "the old king ", "KING: never"],
    "characters": ["", "the 語 "],
    "ids": [[], [3, 0, 12]],
}


def _of(values: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


def _rounded(values: Any) -> list[float]:
    """So coarse that another machine's exp and log make no difference."""
    return [float(f"{value:.7g}") for value in np.asarray(values, float).ravel()]


def _generated(indexes: dict[str, infgram.Index]) -> dict[str, Any]:
    found = {}
    for kind, prompts in _PROMPTS.items():
        for name, estimator in _ESTIMATORS.items():
            for adapt in (False, True):
                model = Model(indexes[kind], estimator, adapt=adapt)
                for how, sampling in _SAMPLING.items():
                    if (kind == "ids" and how == "stop") or (
                        how == "new" and estimator.window < sampling["max_copy"]
                    ):
                        continue
                    made = [
                        model.generate(prompt, max_tokens=150, seed=seed, **sampling)
                        for seed, prompt in enumerate(prompts)
                    ]
                    where = f"{kind}, {name}, {how}{', adapt' if adapt else ''}"
                    found[where] = _of([m.token_ids.tolist(), m.finish_reason] for m in made)
    return found


def _mixed(indexes: dict[str, infgram.Index]) -> dict[str, Any]:
    both = [indexes["bytes"], indexes["other"]]
    found = {}
    for name, estimator in _ESTIMATORS.items():
        model = Model(both, estimator, weights=[2, 1])
        made = model.generate("the old ", max_tokens=40, seed=3, temperature=0.9)
        found[name] = [
            made.text,
            _rounded(np.maximum(model.score("the old naïve king").log_prob, -99.0).sum()),
        ]
    model = Model(indexes["bytes"], SBIS(decay=0.3))
    found["samples"] = [m.text for m in model.samples(3, "O", max_tokens=30, seed=8)]
    traced = model.generate("the", max_tokens=12, seed=1, trace=True).trace
    found["trace"] = [[t.text, t.n, t.m, *_rounded(t.prob)] for t in traced or ()]
    return found


def _scored(indexes: dict[str, infgram.Index]) -> dict[str, Any]:
    found = {}
    for kind in _PROMPTS:
        text = indexes[kind].document(1).token_ids[40:160]
        text = np.concatenate([text, text[::-1][:60]])
        for name, estimator in _ESTIMATORS.items():
            for adapt in (False, True):
                model = Model(indexes[kind], estimator, adapt=adapt)
                scores = model.score(text, context=text[:9])
                log_prob = np.maximum(scores.log_prob, -99.0)
                where = f"{kind}, {name}{', adapt' if adapt else ''}"
                sums = _rounded([log_prob.sum(), log_prob[7], log_prob[-1]])
                found[where] = [*sums, int(scores.n.sum()), int(scores.m.sum())]
    return found


def _drafted(indexes: dict[str, infgram.Index]) -> dict[str, Any]:
    found = {}
    for kind in ("bytes", "characters", "ids"):
        text = indexes[kind].document(1).token_ids[300:420]
        for tree, sample in ((True, False), (False, False), (True, True)):
            drafter = Drafter(indexes[kind], max_tokens=12, tree=tree)
            steps = []
            for request in range(2):
                drafter.start(request, text[:8])
                at = 8
                while at < len(text):
                    draws = {"sample": True, "rng": at} if sample else {}
                    draft = drafter.propose(request, **draws)
                    n = len(draft.accepted(text[at:-1].tolist()))
                    steps.append(
                        [
                            draft.token_ids.tolist(),
                            draft.parents.tolist(),
                            draft.match_lengths.tolist(),
                            list(draft.sources),
                        ]
                    )
                    drafter.accept(request, text[at : at + n + 1], n)
                    at += n + 1
                drafter.stop(request)
            totals = drafter.totals
            where = f"{kind}, {'tree' if tree else 'path'}{', drawn' if sample else ''}"
            found[where] = [
                _of(steps),
                totals.steps,
                totals.accepted,
                float(f"{totals.expected:.5g}"),
            ]
    return found


def _edited(indexes: dict[str, infgram.Index]) -> dict[str, Any]:
    index = indexes["bytes"]
    drafts = [index.document(d).text[500:900] for d in range(3)]
    broken = [text[:120] + text[140:260][::-1] + text[260:] for text in drafts]
    found: dict[str, Any] = {}
    for name, options in {
        "plain": {},
        "new": {"max_copy": 14},
        "protected": {"protect": "KING|cat", "rounds": 3, "margin": 1.0},
    }.items():
        polished = [
            polish(index, text, prompt="the old king", seed=i, **options)
            for i, text in enumerate(broken)
        ]
        found[name] = [
            [r.text, len(r.edits), r.n_rounds, *_rounded(sum(e.gain for e in r.edits))]
            for r in polished
        ]
    ids = index.ids(broken[0])
    candidates = Proposer(index).propose(ids, [(4, 7), (30, 36), (100, 104)], seed=4)
    found["candidates"] = [
        candidates.token_ids.tolist(),
        candidates.offsets.tolist(),
        candidates.span_of.tolist(),
        candidates.proposer.tolist(),
        candidates.source_offset.tolist(),
    ]
    certificate = certify(index, broken[1], max_copy=30)
    found["runs"] = [certificate.longest_run, [list(run) for run in certificate.runs]]
    return found


SUBJECTS: dict[str, Callable[[dict[str, infgram.Index]], dict[str, Any]]] = {
    "generated": _generated,
    "mixed": _mixed,
    "scored": _scored,
    "drafted": _drafted,
    "edited": _edited,
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_same_seed_gives_what_it_gave(subject: str, indexes: dict[str, infgram.Index]) -> None:
    golden = json.loads(GOLDEN.read_text())[subject]
    found = json.loads(json.dumps(SUBJECTS[subject](indexes)))
    assert found.keys() == golden.keys()
    different = {name for name in golden if found[name] != golden[name]}
    assert not different


def test_what_is_remembered_tells_settings_apart() -> None:
    golden = json.loads(GOLDEN.read_text())["generated"]
    assert len(set(golden.values())) > len(golden) / 2  # Longest and SBIS(k=1) are one


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = _indexes(Path(folder))
        written = {subject: make(made) for subject, make in SUBJECTS.items()}
    GOLDEN.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{GOLDEN} is written\n")
