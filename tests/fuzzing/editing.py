"""Texts in ten scripts and with emoji, edited: what the corpus cannot judge stays as it stands.

`python -m fuzzing.editing` edits many; the suite a few. What must hold is told here without the
library's own idea of a word: letters, marks on them and apostrophes are of words, and nothing else
is ever touched.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Callable, Iterator
from itertools import groupby
from random import Random
from typing import Any

from refiner import Bigrams

import infgram
from infgram.refine import Refined, polish, refine

ENGLISH = (
    "KING: the cat sat on the mat and the dog sat on the log, as they do.\n"
    "QUEEN: a man ate the cake that stood on a table; is the dog still there?\n"
    "KING: no cat is on the log, and a dog isn't the man that ate. “Good day,” he said.\n"
)
GREEK = "ο γάτος κάθισε στο χαλί και ο σκύλος κάθισε στο ξύλο.\nη γάτα είναι στο χαλί.\n"

SCRIPTS = (
    ("naïve", "façade", "Émile", "Gänseblümchen", "cafe\u0301"),
    ("γάτος", "σκύλος", "ψωμί", "Ὀδυσσεύς"),
    ("кошка", "собака", "объём"),
    ("שָׁלוֹם", "חתול"),
    ("قِطّة", "كلب"),
    ("हिन्दी", "बिल्ली"),
    ("แมว", "น้ำ"),
    ("猫坐在垫子上", "狗"),
    ("ねこ", "カタカナ"),
    ("고양이", "한국어"),
)
OTHERS = (
    *("😀", "👩\u200d👩\u200d👧", "🇬🇷", "👍🏽", "☃️"),
    *("—", "“", "”", "’", "…", "·", "\u00a0", "\u200b", "\ufeff", "\ufffd", "0", "42", "1st", "_"),
)


def indexes() -> dict[str, infgram.Index]:
    """By name: bytes, characters, and bytes of a corpus that has another script, too."""
    return {
        "bytes": infgram.build([ENGLISH * 3], two_sided=True),
        "chars": infgram.build([ENGLISH * 3], two_sided=True, tokenizer="chars"),
        "greek": infgram.build([ENGLISH * 3, GREEK * 3], two_sided=True),
    }


def text(rng: Random) -> str:
    """Words of the corpora, misspelt ones, words of other scripts, and other characters."""
    known = (ENGLISH + GREEK).split()
    pieces = []
    for _ in range(rng.randint(1, 30)):
        kind = rng.random()
        if kind < 0.4:
            piece = rng.choice(known)
        elif kind < 0.6:
            letters = list(rng.choice(known))
            rng.shuffle(letters)
            piece = "".join(letters)
        elif kind < 0.8:
            piece = rng.choice(rng.choice(SCRIPTS))
        else:
            piece = rng.choice(OTHERS)
        pieces.append(piece + rng.choice(["", " ", " ", " ", "\n", ", ", "-", "  "]))
    return "".join(pieces)


def _is_of_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM" or character in "'’"


def parts(written: str) -> Iterator[tuple[bool, str]]:
    """A text in turns: what is of words, and what is not."""
    for of_word, run in groupby(written, _is_of_word):
        yield of_word, "".join(run)


def broken(before: str, after: str, known: set[str]) -> str:
    """What must not have happened to a text whose corpus has the `known` characters, or nothing."""
    old, new = list(parts(before)), list(parts(after))
    if [part for of_word, part in old if not of_word] != [p for w, p in new if not w]:
        return "characters that are no letters have changed"
    if len(old) != len(new):
        return "words have come or gone"
    for (_, was), (_, now) in zip(old, new, strict=True):
        if was != now and not known.issuperset(was):
            return f"{was!r} has become {now!r}, and the corpus does not have all of its characters"
        if was != now and not known.issuperset(now):
            return f"{was!r} has become {now!r}, which the corpus does not have"
    return ""


def edits(index: infgram.Index, corpus: str) -> dict[str, Callable[..., Refined]]:
    """What edits, by name."""
    scorer: Any = Bigrams(index.ids(corpus), index.tokenizer.name)
    return {
        "polish": lambda draft, **how: polish(index, draft, margin=0.5, **how),
        "refine": lambda draft, **how: refine(index, scorer, draft, **how),
    }


def findings(n_texts: int, seed: int = 0) -> Iterator[str]:
    """What must not have happened to so many texts; they are edited by all, with every index."""
    for name, index in indexes().items():
        corpus = ENGLISH * 3 + (GREEK * 3 if name == "greek" else "")
        known = set(corpus)
        for way, edit in edits(index, corpus).items():
            rng = Random(seed)
            for i in range(n_texts):
                draft = text(rng)
                made = edit(draft, seed=i)
                what = broken(draft, made.text, known)
                if not what and made.n_unjudged < sum(c not in known for c in draft):
                    what = f"{made.n_unjudged} characters are counted as left alone"
                if what:
                    yield f"{way}, {name}, text {i}: {what}\n{draft!r}\n{made.text!r}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing.editing", description=__doc__)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    found = list(findings(asked.texts, asked.seed))
    print(*found, f"{asked.texts:,} texts, {len(found)} findings", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
