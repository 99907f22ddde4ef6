"""Quality judged by a third party: a transformer that none of the writers is.

The judge is trained on the same training text as everybody, from another seed, in another order,
in another shape. It gives each system's texts a loss, in nats a character: low for what it finds
likely. A text that copies is likely, too, so beside it stands what of the text is copied. Held-out
real text is the point to compare with.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

import infgram

from .failures import Trial
from .findings import Curve, Picture
from .neural import load_nanogpt, missing
from .processes import run_beside, run_job
from .question import Bench, CannotMeasure, Question, instrument

_N_TEXTS = 16
_N_CHARACTERS = 1000
_GRAM = 20
_SBIS: dict[str, dict[str, Any]] = {
    "SBIS k=1": {"estimator": infgram.SBIS.published(1)},
    "SBIS k=2, decay 0.1": {"estimator": infgram.SBIS.published(2)},
    "SBIS k=2, decay 0.3": {"estimator": infgram.SBIS(2, 0.3)},
    "SBIS k=2, decay 0.3, max_copy 20": {"estimator": infgram.SBIS(2, 0.3), "max_copy": 20},
    "SBIS k=3, decay 0.1": {"estimator": infgram.SBIS.published(3)},
    "SBIS k=-1, decay 0.1": {"estimator": infgram.SBIS.published(-1)},
    "Kneser-Ney": {"estimator": infgram.KneserNey()},
    "Kneser-Ney, temperature 1": {"estimator": infgram.KneserNey(), "temperature": 1.0},
}
_NANOGPT = {
    f"nanoGPT, {size}{suffix}": (recipe, temperature)
    for size, recipe in [("CPU recipe", "CPU_RECIPE"), ("10.65 M", "SHAKESPEARE_CHAR")]
    for suffix, temperature in [("", 0.8), (", temperature 1", 1.0)]
}


def _answer(bench: Bench) -> None:
    if reason := missing():
        raise CannotMeasure(reason)
    corpus, findings = bench.settings.corpus, bench.findings
    findings.setting["text"] = (
        f"{_N_TEXTS} texts of {_N_CHARACTERS:,} characters a system, temperature 0.8 unless said, "
        f"{corpus.name}"
    )
    text, training = bench.folder / "corpus.txt", bench.folder / "training.txt"
    text.write_bytes(corpus.text)
    training.write_bytes(corpus.training)

    def report(line: dict[str, Any]) -> None:
        stage = f"training the judge, {line['seconds_left'] / 60:.0f} minutes left"
        bench.progress(stage, line["step"], line["max_iters"])

    with instrument("the judge"):
        run_job("neural_train", "JUDGE", text, "inf", on_line=report)
        loss = run_job("neural_nanogpt_loss", "JUDGE", text).result["loss"]
    findings.setting["judge"] = f"held-out loss {loss:.3f} nats a character"
    infgram.build(training, bench.folder / "training.infgram", format="bytes")
    bench.progress("writing and judging", 0, 0)
    trial, limit = Trial(), bench.settings.patience
    index = bench.folder / "training.infgram"
    judged = run_beside("judge", text, index, trial=trial, limit=limit).result
    rows = sorted(judged["rows"], key=lambda row: row["nats"])
    header = [
        *("judge's nats a character", f"copied {_GRAM}-grams", "longest copied run"),
        *("known words", "distinct 4-grams"),
    ]
    cells = [
        [
            row["name"],
            f"{row['nats']:.3f} ± {row['error']:.3f}",
            f"{row['copied']:.3f}",
            str(row["longest_run"]),
            f"{row['known_words']:.3f}",
            f"{row['distinct']:.3f}",
        ]
        for row in rows
    ]
    cells += [[name, each.cell, *[""] * (len(header) - 1)] for name, each in trial.failed.items()]
    findings.table("system", header, cells)
    findings.note("±: standard error of the mean over texts")
    for name in judged["unfinished"]:
        findings.note(f"{name}: not judged, since its training is not finished; ask `neural` first")
    points = [Curve(row["name"], [row["copied"]], [row["nats"]]) for row in rows]
    findings.pictures.append(
        Picture(
            "judge",
            "What a judge finds likely, and what is copied",
            f"share of {_GRAM}-grams that stand in the corpus",
            "judge's nats a character",
            points,
        )
    )


QUESTION = Question(
    "judge",
    "Quality judged by a third party",
    _answer,
    minutes=lambda settings: 0.1 if missing() else 12.0,
    in_quick=False,
)


# In a process of its own --------------------------------------------------------------------------


def judge(text: Path, index_path: Path, trial: Trial) -> dict[str, Any]:
    """Everyone writes, the judge reads."""
    from . import gpt

    index = infgram.open(index_path)
    model, split = load_nanogpt("JUDGE", text)
    prompt = split.encode("\n")
    texts: dict[str, list[str]] = {
        "real text, held out": _pieces(split.decode(split.validation)),
        "real text, training": _pieces(split.decode(split.training)),
    }
    for name, options in _SBIS.items():
        options = {"temperature": 0.8, **options}
        writer = infgram.Model(index, options.pop("estimator"))
        made = writer.samples(_N_TEXTS, "\n", max_tokens=_N_CHARACTERS, seed=1, **options)
        texts[f"infgram, {name}"] = [each.text for each in made]
    unfinished = []
    for name, (recipe, temperature) in _NANOGPT.items():
        if name in trial.failed:
            continue
        with trial.of(name, "writing"):
            writer, _ = load_nanogpt(recipe, text, unfinished=False)
            if writer is None:
                unfinished.append(name)
                continue
            ids = gpt.generate_batch(
                writer, prompt, _N_CHARACTERS, n_texts=_N_TEXTS, temperature=temperature, seed=1
            )
            texts[name] = [split.decode(each) for each in ids]
    rows = []
    for name, written in texts.items():
        nats = [gpt.score(model, np.append(prompt, split.encode(each))) for each in written]
        novelty = infgram.novelty(index, *written, gram=_GRAM)
        rows.append(
            {
                "name": name,
                "nats": float(np.mean(nats)),
                "error": float(np.std(nats, ddof=1)) / math.sqrt(len(nats)),
                "copied": novelty.found_grams,
                "longest_run": novelty.longest_run,
                "known_words": novelty.known_words,
                "distinct": novelty.distinct[3],
            }
        )
    return {"rows": rows, "unfinished": unfinished}


def _pieces(text: str) -> list[str]:
    """Of the length of a sample, from all over the text."""
    starts = np.linspace(0, len(text) - _N_CHARACTERS, _N_TEXTS).astype(int).tolist()
    return [text[start : start + _N_CHARACTERS] for start in starts]
