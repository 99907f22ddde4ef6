"""What a refiner says of texts, compared with one pass a row over the same network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_index
from numpy.typing import NDArray
from refiner import runs, train_tiny

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `refine`")
pytest.importorskip("safetensors", reason="needs safetensors, the extra `refine`")

from infgram.errors import InvalidParameter, NotARefiner, RefinerMismatch
from infgram.refine.network import checkpoint, score
from infgram.refine.network.corrupt import corrupt
from infgram.refine.network.score import Scorer
from infgram.refine.network.training import area_under_roc
from infgram.text.tokens import load

WINDOW = 32
BYTES = load("bytes")
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("refiner") / "x.safetensors"
    train_tiny(runs(6000), path, steps=80)
    return path


@pytest.fixture(scope="module")
def scorer(path: Path) -> Scorer:
    return Scorer(path, device="cpu", threads=1)


def log_probs(scorer: Scorer, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """One row, all places."""
    with torch.inference_mode():
        logits = scorer._network(torch.from_numpy(codes)[None])[0]
    found: NDArray[np.float64] = logits.log_softmax(-1).double().numpy()
    return found


def naive_pll(
    scorer: Scorer, text: NDArray[Any], span: tuple[int, int], candidate: Any, folds: int, halo: int
) -> float:
    """Of a text that fits a window."""
    codes = scorer.vocabulary.codes(text)
    codes[span[0] : span[1]] = scorer.vocabulary.codes(candidate)
    low, high = max(span[0] - halo, 0), min(span[1] + halo, len(codes))
    total = 0.0
    for fold in range(folds):
        hidden = np.arange(low, high)[fold::folds]
        holed = codes.copy()
        holed[hidden] = scorer.vocabulary.mask
        total += log_probs(scorer, holed)[hidden, codes[hidden]].sum()
    return total


def test_confidence_is_the_probability_of_the_visible_token(scorer: Scorer) -> None:
    texts = [runs(n, seed=n) for n in (1, 7, WINDOW)]
    for text, found in zip(texts, scorer.confidence(texts), strict=True):
        codes = scorer.vocabulary.codes(text)
        expected = np.exp(log_probs(scorer, codes)[np.arange(len(text)), codes])
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_suspicion_is_the_detectors(scorer: Scorer) -> None:
    text = runs(WINDOW)
    with torch.inference_mode():
        logits = scorer._network.detect(torch.from_numpy(scorer.vocabulary.codes(text))[None])
    np.testing.assert_allclose(scorer.suspicion([text])[0], logits[0].sigmoid().numpy(), **CLOSE)


def test_with_an_index_the_evidence_is_heard(
    scorer: Scorer, memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(memory_folder / "a.infgram", [runs(2000, seed=1)], tokenizer=BYTES)
    texts = [runs(n, seed=n) for n in (400, 1, WINDOW)]
    network = scorer._network
    found = scorer.suspicion(texts, index)
    for text, of_text, alone in zip(texts, found, scorer.suspicion(texts), strict=True):
        lengths = index.match_lengths(text, window=64).astype(np.float32)
        with torch.inference_mode():
            logits = torch.from_numpy(alone).logit()
            both = (logits[None], torch.from_numpy(lengths)[None])
            expected = network.evidence(*both)[0].sigmoid().numpy()
        np.testing.assert_allclose(of_text, expected, rtol=1e-3, atol=1e-4)
    monkeypatch.setattr(score, "_BATCH_TOKENS", {"cpu": 1152, "cuda": 64})
    for whole, in_pieces in zip(found, scorer.suspicion(texts, index), strict=True):
        np.testing.assert_allclose(in_pieces, whole, **CLOSE)


def test_an_index_tells_more_than_the_detector_knows(scorer: Scorer, memory_folder: Path) -> None:
    rng = np.random.default_rng(0)
    index = make_index(memory_folder / "b.infgram", [runs(6000)], tokenizer=BYTES)
    text = runs(4000, seed=5)
    written = corrupt(text, index, rng).token_ids
    alone, told = (
        area_under_roc(scorer.suspicion([written], *told)[0], written != text)
        for told in ([], [index])
    )
    assert told > alone


def test_an_index_with_other_tokens_is_refused(scorer: Scorer, memory_folder: Path) -> None:
    index = make_index(memory_folder / "c.infgram", [list(b"abcxyz")], tokenizer=BYTES)
    with pytest.raises(RefinerMismatch, match="3 tokens that the refiner does not know"):
        scorer.suspicion([runs(9)], index)


def test_a_refiner_without_evidence_is_to_be_trained_again(path: Path, tmp_path: Path) -> None:
    tensors, metadata = checkpoint.read(path)
    older = {name: t for name, t in tensors.items() if not name.startswith("evidence.")}
    checkpoint.write(tmp_path / "older", older, metadata)
    with pytest.raises(NotARefiner, match=r"evidence(.|\n)*train it again"):
        Scorer(tmp_path / "older", device="cpu")


@pytest.mark.parametrize("n", [WINDOW + 1, 2 * WINDOW, 331])
def test_long_texts_are_seen_in_windows_that_leave_no_place_out(scorer: Scorer, n: int) -> None:
    text = runs(n)
    for found in (scorer.confidence([text])[0], scorer.suspicion([text])[0]):
        assert found.shape == (n,) and ((found > 0) & (found < 1)).all()
    first = scorer.confidence([text[:WINDOW]])[0]
    n_sure = WINDOW // 2
    np.testing.assert_allclose(scorer.confidence([text])[0][:n_sure], first[:n_sure], **CLOSE)


def test_flaws_are_less_likely_than_what_belongs_there(scorer: Scorer) -> None:
    text = runs(900)
    spans = [(at, at + 1) for at in range(15, 900, 30)]  # inside of a run
    flawed = text.copy()
    for at, _ in spans:
        flawed[at] = ord("a") if text[at] != ord("a") else ord("b")
    places = [at for at, _ in spans]
    seen, unseen = scorer.confidence([text])[0], scorer.confidence([flawed])[0]
    assert unseen[places].mean() < seen[places].mean()
    candidates = [[[flawed[at]], [text[at]]] for at in places]
    for judge in (scorer.pll, scorer.masked_scores):
        scores = np.array(judge([flawed], [spans], [candidates])[0])
        assert (scores[:, 1] - scores[:, 0]).mean() > 0.3


def test_unknown_tokens_are_not_expected(scorer: Scorer) -> None:
    text = np.frombuffer(b"aaa!aa", np.uint8)
    assert scorer.confidence([text])[0][3] == 0
    scores = scorer.pll([text], [[(3, 4)]], [[[list(b"!"), list(b"a")]]])[0][0]
    assert scores[0] == -np.inf and np.isfinite(scores[1])


@pytest.mark.parametrize(("folds", "halo"), [(6, 10), (1, 0), (3, 4)])
def test_pll_hides_each_token_once(scorer: Scorer, folds: int, halo: int) -> None:
    text = runs(28)
    span = (14, 17)
    candidates = [b"aaa", b"bbb", b"hah", b"cde"]
    ids = [np.frombuffer(c, np.uint8) for c in candidates]
    found = scorer.pll([text], [[span]], [[ids]], folds=folds, halo=halo)[0][0]
    expected = [naive_pll(scorer, text, span, c, folds, halo) for c in ids]
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_masked_scores_hide_the_whole_span(scorer: Scorer) -> None:
    text = runs(28)
    codes = scorer.vocabulary.codes(text)
    codes[5:8] = scorer.vocabulary.mask
    expected = log_probs(scorer, codes)[5:8]
    ids = [np.frombuffer(c, np.uint8) for c in (b"aaa", b"bcd")]
    sums = [expected[np.arange(3), scorer.vocabulary.codes(c)].sum() for c in ids]
    found = scorer.masked_scores([text], [[(5, 8)]], [[ids]])[0][0]
    np.testing.assert_allclose(found, sums, **CLOSE)


def test_a_batch_scores_as_its_parts_do(scorer: Scorer) -> None:
    texts = [runs(n, seed=n) for n in (30, 200, 31)]
    spans = [[(12, 14)], [(20, 23), (150, 152)], []]
    candidates = [
        [[text[s:e], text[s:e][::-1], text[s - 2 : e - 2]] for s, e in of_text]
        for text, of_text in zip(texts, spans, strict=True)
    ]
    candidates[1][1] = candidates[1][1][:1]
    for judge in (lambda *a: scorer.pll(*a, halo=4), scorer.masked_scores):
        together = judge(texts, spans, candidates)
        assert [len(of_text) for of_text in together] == [1, 2, 0]
        for text, of_text, words, found in zip(texts, spans, candidates, together, strict=True):
            for span, choice, scores in zip(of_text, words, found, strict=True):
                alone = judge([text], [[span]], [[choice]])[0][0]
                np.testing.assert_allclose(scores, alone, **CLOSE)


def test_spans_close_together_do_not_hide_each_others_surroundings(scorer: Scorer) -> None:
    text = runs(30)
    spans = [(8, 10), (13, 15)]
    words = [[text[s:e]] for s, e in spans]
    together = scorer.pll([text], [spans], [words], halo=5)[0]
    alone = [
        scorer.pll([text], [[s]], [[w]], halo=5)[0][0] for s, w in zip(spans, words, strict=True)
    ]
    np.testing.assert_allclose(together, alone, **CLOSE)


def test_holes_are_filled_and_nothing_else(scorer: Scorer) -> None:
    texts = [runs(200), runs(9)]
    holes = [np.zeros(200, np.bool_), np.zeros(9, np.bool_)]
    holes[0][[20, 21, 22, 103, 199]] = True
    for steps in (1, 3, 8):
        made = scorer.fill(texts, holes, steps=steps, temperature=1.0, seed=1)
        again = scorer.fill(texts, holes, steps=steps, temperature=1.0, seed=1)
        for text, hole, found, same in zip(texts, holes, made, again, strict=True):
            assert np.array_equal(found[~hole], text[~hole])
            assert np.array_equal(found, same)
            assert set(found.tolist()) <= set(b"abcdefgh")
    inside = np.zeros(200, np.bool_)
    inside[6 * 12 + 2 : 6 * 12 + 4] = True
    assert np.array_equal(scorer.fill(texts[:1], [inside])[0], texts[0])


def test_all_of_a_text_can_be_a_hole(scorer: Scorer) -> None:
    made = scorer.fill([np.zeros(50, np.uint8)], [np.ones(50, np.bool_)], steps=4)[0]
    assert len(made) == 50 and set(made.tolist()) <= set(b"abcdefgh")


@pytest.mark.parametrize(
    ("span", "candidate", "message"),
    [
        ((5, 5), b"", "expected one inside it"),
        ((25, 31), b"aaaaaa", "expected one inside it"),
        ((0, 25), 25 * b"a", "of 1 to 12 tokens"),
        ((2, 4), b"abc", "expected 2 like the span"),
    ],
)
def test_spans_and_candidates_that_do_not_fit_are_refused(
    scorer: Scorer, span: tuple[int, int], candidate: bytes, message: str
) -> None:
    with pytest.raises(InvalidParameter, match=message):
        scorer.pll([runs(30)], [[span]], [[[list(candidate)]]])


def test_fill_refuses_holes_of_another_length(scorer: Scorer) -> None:
    with pytest.raises(InvalidParameter, match="a flag a token"):
        scorer.fill([runs(30)], [np.zeros(29, np.bool_)])
    with pytest.raises(InvalidParameter, match="steps is 0"):
        scorer.fill([runs(30)], [np.zeros(30, np.bool_)], steps=0)


def test_a_checkpoint_whose_parts_do_not_fit_is_refused(path: Path, tmp_path: Path) -> None:
    tensors, metadata = checkpoint.read(path)
    broken: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (tensors, {**metadata, "token_ids": metadata["token_ids"][1:]}),
        (tensors, {**metadata, "shape": {**metadata["shape"], "width": 32}}),
        (tensors, {k: v for k, v in metadata.items() if k != "shape"}),
        ({k: v for k, v in tensors.items() if k != "head.weight"}, metadata),
    ]
    for i, (weights, words) in enumerate(broken):
        checkpoint.write(tmp_path / str(i), weights, words)
        with pytest.raises(NotARefiner, match="train it again"):
            Scorer(tmp_path / str(i))


def test_the_number_of_threads_is_left_as_it_was(path: Path) -> None:
    before = torch.get_num_threads()
    Scorer(path, device="cpu", threads=before + 1).confidence([runs(10)])
    assert torch.get_num_threads() == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a limit to memory")
def test_too_little_memory_is_an_error_with_advice(path: Path) -> None:
    program = """
import resource, sys
import numpy as np
from infgram.errors import OutOfMemory
from infgram.refine.network.score import Scorer

scorer = Scorer(sys.argv[1], device="cpu", threads=1)
texts = [np.full(64, 97, np.uint8)] * 40
before = [text.copy() for text in texts]
scorer.log_likelihoods(texts[:1])
used = 1024 * int(open("/proc/self/status").read().split("VmSize:")[1].split()[0])
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used, most))
hoard = []
try:
    while True:  # what the allocator still has
        hoard.append(bytearray(1 << 14))
except MemoryError:
    del hoard[-16:]  # enough to say so
try:
    scorer.log_likelihoods(texts)
except OutOfMemory as error:
    hoard.clear()
    print(error)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
assert all((a == b).all() for a, b in zip(texts, before))
print(len(scorer.log_likelihoods(texts)))
"""
    command = [sys.executable, "-c", program, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    message, n_texts = ended.stdout.splitlines()
    assert message.startswith("cpu has too little memory")
    assert "end what else uses it" in message
    assert n_texts == "40"
