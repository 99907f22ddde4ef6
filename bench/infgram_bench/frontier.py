"""What a generator's settings trade: quality against copying and diversity. Chooses the defaults.

A text is cut into pieces of 10,000 bytes. The generator's index holds the even ones, the judge's
the odd ones. For each setting a text is generated, and measured three ways:

- quality: nats a byte of the generated text under Kneser-Ney on the judge's index, which has not
  seen the generator's corpus. Low text is plausible, or just frequent.
- coverage: nats a byte of the judge's text under Kneser-Ney on an index of the generated text. Low
  only if the text is both like real text and as varied.
- copied: share of 20-grams that stand in the generator's corpus.

The generator's own corpus, as a text, is the row "real text".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import infgram
from infgram import SBIS, Longest, Model

from .question import Bench, Question

_PIECE = 10_000
_GRAM = 20
_N_GENERATED = 100_000


def _answer(bench: Bench) -> None:
    corpus, folder = bench.settings.corpus, bench.folder
    pieces = [corpus.text[i : i + _PIECE] for i in range(0, len(corpus.text), _PIECE)]
    bench.findings.setting["text"] = f"{corpus.name}, {_N_GENERATED:,} bytes a setting, seed 0"
    own, other = b"".join(pieces[::2]), b"".join(pieces[1::2])
    index = _index(own, folder / "own")
    judge = Model(_index(other, folder / "other"))
    sample = other[: 2 * _N_GENERATED]
    rows = [_row("real text", own[:_N_GENERATED], index, judge, sample, folder)]
    settings = _settings(index)
    for i, (name, model, sampling) in enumerate(settings):
        bench.progress(name, i, len(settings))
        made = model.generate("", max_tokens=_N_GENERATED, seed=0, **sampling)
        raw = made.token_ids.astype(np.uint8).tobytes()
        rows.append(_row(name, raw, index, judge, sample, folder))
    rows.sort(key=lambda row: float(row[3]))
    bench.findings.table(
        "sorted by what is copied",
        ["quality", "coverage", "copied 20-grams", "longest run"],
        rows,
    )


QUESTION = Question(
    "frontier",
    "Quality against copying, setting by setting",
    _answer,
    minutes=lambda settings: 6.0,
    in_quick=False,
)


def _settings(index: infgram.Index) -> list[tuple[str, Model, dict[str, Any]]]:
    """(name, model, sampling options)"""
    sbis = [
        (k, decay, "counts", temperature)
        for k in (1, 2, 3, 5, -1)
        for decay in ((0.1,) if k == 1 else (0.1, 0.3, 0.5))
        for temperature in (0.8, 1.0)
    ] + [(k, decay, "distributions", 0.8) for k in (2, 3, 5) for decay in (0.1, 0.3)]
    limits: list[dict[str, Any]] = [
        *({"temperature": t} for t in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        {"temperature": 1.0, "min_p": 0.02},
        {"temperature": 1.0, "top_p": 0.95},
    ]
    return [
        *(
            (
                f"SBIS k={k}, decay {decay}, {weighting}, temperature {temperature}",
                Model(index, SBIS(k, decay, weighting)),  # type: ignore[arg-type]
                {"temperature": temperature},
            )
            for k, decay, weighting, temperature in sbis
        ),
        (
            "SBIS k=2, decay 0.1, counts, max_copy 20",
            Model(index, SBIS.published(2)),
            {"max_copy": 20},
        ),
        ("SBIS k=2, decay 0.3, counts, max_copy 20", Model(index, SBIS(2, 0.3)), {"max_copy": 20}),
        ("longest, temperature 1.0", Model(index, Longest()), {"temperature": 1.0}),
        *(
            ("Kneser-Ney, " + ", ".join(f"{k} {v}" for k, v in limit.items()), Model(index), limit)
            for limit in limits
        ),
    ]


def _index(text: bytes, stem: Path) -> infgram.Index:
    source = stem.with_suffix(".txt")
    source.write_bytes(text)
    return infgram.build(source, stem.with_suffix(".infgram"), format="bytes", overwrite=True)


def _row(
    name: str, text: bytes, index: infgram.Index, judge: Model, sample: bytes, folder: Path
) -> list[str]:
    lengths = index.match_lengths(text)
    copied = float((lengths[_GRAM - 1 :] >= _GRAM).mean())
    quality = -judge.score(text).log_prob
    coverage = -Model(_index(text, folder / "made")).score(sample).log_prob
    coverage = coverage[np.isfinite(coverage)]  # letters that were never written
    return [
        name,
        f"{quality[np.isfinite(quality)].mean():.3f}",
        f"{coverage.mean():.3f}",
        f"{copied:.3f}",
        str(int(lengths.max())),
    ]
