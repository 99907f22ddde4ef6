"""What wants a GPU, in under ten minutes: nanoGPT's own training to its end, and a larger refiner.

nanoGPT's 10.65 M model is trained by its published recipe, its loss is measured as infgram's is in
`neural`, and it writes. Then refiners of both sizes are trained on the same text and edit the same
drafts, which the finished nanoGPT judges: it has no part in them. With `--quick` all of this
happens with models of a moment, on whatever device there is, to see that it works.
"""

from __future__ import annotations

import math
import shutil
from typing import Any

import infgram

from .findings import Findings, duration, size
from .neural import missing
from .processes import run_job
from .question import Bench, CannotMeasure, Question
from .settings import Settings
from .timing import Contender, Timing

SIZES = ("nano", "base")
_QUICK_BYTES = 60_000
_COLUMNS = {
    "nats, nanoGPT": "nats, nanoGPT",
    "known words": "known words",
    "copied grams": "copied 20-grams",
    "distinct word bigrams": "distinct word bigrams",
    "changed": "changed",
}


def _answer(bench: Bench) -> None:
    if reason := missing():
        raise CannotMeasure(reason)
    quick, findings = bench.settings.quick, bench.findings
    device = run_job("gpu_device", all_cores=True).result
    if not (quick or device["is_gpu"]):
        raise CannotMeasure(
            "torch finds no GPU here: run it where it finds one, or with --quick, which tries all "
            "of it with models of a moment"
        )
    findings.setting["device"] = device["name"]
    corpus, folder = bench.settings.corpus, bench.folder
    length = _QUICK_BYTES if quick else len(corpus.text)
    (folder / "training.txt").write_bytes(corpus.training[: int(0.9 * length)])
    (folder / "held_out.txt").write_bytes(corpus.validation[: length - int(0.9 * length)])
    infgram.build(
        folder / "training.txt", folder / "training.infgram", format="bytes", two_sided=True
    )
    how = "quick" if quick else ""

    def run(job: str, *arguments: str, stage: str) -> dict[str, Any]:
        def report(line: dict[str, Any]) -> None:
            bench.progress(stage, line["step"], line["max_iters"])

        bench.progress(stage, 0, 0)
        return run_job(job, folder, *arguments, how, all_cores=True, on_line=report).result

    _nanogpt(run("gpu_nanogpt", stage="nanoGPT"), findings)
    trained = {name: run("gpu_refiner", name, stage=f"refiner, {name}") for name in SIZES}
    _refiners(trained, findings)
    _edits(run("gpu_edits", stage="edits by both"), findings)
    if quick:
        findings.note("by --quick: models of a moment, whose figures mean nothing")


def _minutes(settings: Settings) -> float:
    if missing():
        return 0.1
    return 9.0 if shutil.which("nvidia-smi") else 0.5


QUESTION = Question(
    "gpu",
    "What wants a GPU: nanoGPT's whole training, and a larger refiner",
    _answer,
    minutes=_minutes,
    in_quick=False,
)


def _nanogpt(found: dict[str, Any], findings: Findings) -> None:
    steps = f"{found['step']:,} of {found['max_iters']:,} steps"
    name = f"nanoGPT, {found['parameters'] / 1e6:.2f} M, {steps}"
    row = [name, duration(found["seconds"]), *[""] * 4, size(found["peak_bytes"])]
    if found["loss"] is None:
        findings.note(f"{name}: all that there was time for, so its loss is not shown")
    else:
        loss, apart, published = (found[each] for each in ("loss", "loss_apart", "published"))
        row[2:5] = [f"{loss:.4f}", f"{math.exp(loss):.3f}", f"{apart:.4f}"]
        row[5] = "" if published is None else f"{published:.4f}"
        findings.figures["nanoGPT: loss"] = loss
        findings.figures["nanoGPT: seconds of training"] = found["seconds"]
    findings.table(
        "trained on this device",
        [
            *("in", "held-out loss, nats", "perplexity", "loss of windows apart, nats"),
            *("published loss", "memory of the device"),
        ],
        [row],
    )
    contenders = [
        Contender(f"nanoGPT, {way}", str, timing=Timing(taken))
        for way, taken in found["writing"].items()
    ]
    findings.timing_table("characters written", contenders, rate=True)
    for contender in contenders:
        findings.figures[f"{contender.name}: seconds a character"] = contender.timing.seconds
    findings.note(
        "held-out loss: each character has three quarters of a block before it at least, as in "
        "`neural`; of windows apart: half a block on average, as nanoGPT looks at a text"
    )


def _refiners(trained: dict[str, dict[str, Any]], findings: Findings) -> None:
    findings.table(
        "refiners, trained on this device",
        [
            *("parameters", "in", "steps, of the detector", "tokens read"),
            *("nats at 15 % hidden", "at 50 %", "AUROC", "with an index"),
        ],
        [
            [
                name,
                f"{found['parameters'] / 1e6:.2f} M",
                duration(found["seconds"]),
                f"{found['steps']:,}, {found['detector_steps']:,}",
                f"{found['n_tokens_seen'] / 1e6:.2f} M",
                *(f"{found['val_loss'][rate]:.3f}" for rate in ("0.15", "0.5")),
                *(f"{found[which]:.3f}" for which in ("auroc", "auroc_with_index")),
            ]
            for name, found in trained.items()
        ],
    )
    for name, found in trained.items():
        findings.figures |= {
            f"refiner {name}: loss with 0.15 hidden": found["val_loss"]["0.15"],
            f"refiner {name}: AUROC": found["auroc"],
            f"refiner {name}: AUROC with an index": found["auroc_with_index"],
        }


def _edits(found: dict[str, Any], findings: Findings) -> None:
    shown = {name: title for name, title in _COLUMNS.items() if name in found["rows"][0]["values"]}
    rows = []
    for row in found["rows"]:
        cells = [f"{row['values'][name]:.3f}" for name in shown]
        for i, name in enumerate(shown):
            if name in row["differences"]:
                value, low, high = row["differences"][name]
                cells[i] += f" ({value:+.3f}, {low:+.3f} to {high:+.3f})"
                findings.figures[f"{row['name']}, k={row['start']}: {name}"] = value
        rows.append([f"SBIS k={row['start']}, {row['name']}", *cells])
    findings.table(
        "drafts, and edited (difference to the draft, 95 % of resamplings)", [*shown.values()], rows
    )
    findings.setting["drafts"] = (
        f"{found['n']} held-out prompts of {found['n_prompt']} bytes; {found['n_judged']} bytes "
        "after each are judged"
    )
