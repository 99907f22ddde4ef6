"""A refiner's opinion of texts: what is likely, what is suspicious, which word fits, what may fill.

Texts are token ids of the refiner's tokenizer. The network sees windows as long as those that it
was trained on; many windows are computed at once, on a processor in float32.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidParameter, MissingExtra, NotARefiner
from ...extras import how_to_install
from ...index import Index
from ...seeds import spawn
from ...tracing.copying import run_lengths
from ..vocabulary import Vocabulary
from ..working_text import HALO

try:
    import torch

    from . import checkpoint
    from .device import best_device, enough_memory, use_threads
    from .evidence import REACH
    from .model import Refiner, Shape
except ImportError as error:
    raise MissingExtra(
        f"a refiner needs torch and safetensors: {how_to_install('refine')}"
    ) from error

Text = NDArray[np.integer[Any]] | Sequence[int]
Span = tuple[int, int]
Candidates = Sequence[Sequence[Text]]

_BATCH_TOKENS = {"cpu": 576, "mps": 1 << 15, "cuda": 1 << 17}  # a core's cache holds 576
_MARGIN = 40  # tokens that are seen on either side of a span, where the text has them
_OVERLAP = 16  # of windows side by side, on either side


class Scorer:
    """A trained refiner, ready to judge.

    - `path`: a file that `infgram refine train` has written.
    - `device`: "auto", "cuda", "mps" or "cpu". `threads`: of torch, on a processor.

    Safe to use from many threads; with `threads`, from one at a time. Raises NotARefiner,
    InvalidParameter, and its methods OutOfMemory.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, device: str = "auto", threads: int | None = None
    ) -> None:
        tensors, self.metadata = checkpoint.read(path)
        self.device = best_device(device)
        self.threads = threads
        try:
            metadata = self.metadata
            self.vocabulary = Vocabulary(metadata["tokenizer"], tuple(metadata["token_ids"]))
            self.window = int(metadata["recipe"]["window"])
            if metadata["vocabulary_sha256"] != self.vocabulary.sha256:
                raise NotARefiner(f"{path}: the vocabulary does not fit its hash; train it again")
            self._network = Refiner(len(self.vocabulary), Shape(**metadata["shape"]))
            self._network.load_state_dict(tensors)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, NotARefiner):
                raise
            raise NotARefiner(
                f"{path}: the metadata does not fit the weights ({error}); train it again with "
                "`infgram refine train`"
            ) from error
        self._network.to(self.device).eval()

    # One pass -------------------------------------------------------------------------------------

    def confidence(self, texts: Sequence[Text]) -> list[NDArray[np.float32]]:
        """For each token the probability that the network gives it where it stands, in sight.

        A token that the refiner does not know has probability 0.
        """
        codes = [self.vocabulary.codes(text) for text in texts]
        found = [np.zeros(len(text), np.float32) for text in codes]
        for batch, tiles, probs in self._in_sight(codes):
            known = np.minimum(batch, len(self.vocabulary) - 1)
            chosen = np.take_along_axis(probs, known[..., None], axis=-1)[..., 0]
            chosen[batch == self.vocabulary.mask] = 0
            _put(found, chosen, tiles)
        return found

    def suspicion(
        self, texts: Sequence[Text], index: Index | None = None
    ) -> list[NDArray[np.float32]]:
        """For each token the probability that it does not belong there.

        Without an index the detector's, which knows of the text alone. With one, that it was drawn
        from n-grams of this index and is out of place, which is found far more often: SBIS copies
        runs of the corpus. Long verbatim runs count as evidence, so real quotations of the corpus
        look suspicious too, and the corpus itself as a whole.

        Raises RefinerMismatch for an index with tokens that the refiner does not know.
        """
        if index is not None:
            self.vocabulary.check(index)
        codes = [self.vocabulary.codes(text) for text in texts]
        logits = [np.zeros(len(text), np.float32) for text in codes]
        for batch, tiles in self._tiled(codes):
            with self._computing():
                _put(logits, self._network.detect(self._tensor(batch)).cpu().numpy(), tiles)
        if index is not None:
            logits = [
                self._weighed(of_text, run_lengths(index, np.asarray(text)))
                for text, of_text in zip(texts, logits, strict=True)
            ]
        return [torch.from_numpy(of_text).sigmoid().numpy() for of_text in logits]

    def _weighed(
        self, logits: NDArray[np.float32], lengths: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Logits of a text with what an index tells of it, a long text in pieces."""
        weighed = np.zeros_like(logits)
        n = _BATCH_TOKENS["cuda"]
        for low in range(0, len(logits), n):
            start, end = max(low - REACH, 0), low + n + REACH
            with self._computing():
                both = (self._tensor(each[start:end])[None] for each in (logits, lengths))
                found = self._network.evidence(*both)[0].cpu().numpy()
            weighed[low : low + n] = found[low - start :][:n]
        return weighed

    def log_likelihoods(
        self, texts: Sequence[Text], *, folds: int = 3
    ) -> list[NDArray[np.float64]]:
        """For each token its log-probability where it alone of its neighbours is hidden.

        Every `folds`-th token is hidden at once, so a text takes `folds` passes; the sum is its
        pseudo-log-likelihood in nats. -inf for tokens that the refiner does not know. Windows are
        twice as long as in training: fewer are needed, and held-out text is as likely within 1 %.
        """
        codes = [self.vocabulary.codes(text) for text in texts]
        found = [np.zeros(len(text)) for text in codes]
        rows, hidden, origins = [], [], []
        for tile in self._tiles(codes, 2 * self.window):
            row = codes[tile.text][tile.start : tile.start + tile.n]
            for fold in range(min(folds, tile.high - tile.low)):
                asked = np.arange(tile.low + fold, tile.high, folds)
                holed = row.copy()
                holed[asked - tile.start] = self.vocabulary.mask
                rows.append(holed)
                hidden.append(asked - tile.start)
                origins.append((tile.text, asked))
        for i, log_probs in self._each_log_probs(rows, hidden):
            number, asked = origins[i]
            found[number][asked] = _of(log_probs, codes[number][asked])
        return found

    def likeliest(
        self, texts: Sequence[Text]
    ) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        """For each token the one that the network would have in its place, and its probability.

        All tokens are in sight, the one that is asked for as well.
        """
        codes = [self.vocabulary.codes(text) for text in texts]
        best = [np.zeros(len(text), np.int64) for text in codes]
        found = [np.zeros(len(text), np.float32) for text in codes]
        for _, tiles, probs in self._in_sight(codes):
            _put(best, probs.argmax(-1), tiles)
            _put(found, probs.max(-1), tiles)
        return [(self.vocabulary.ids(b), p) for b, p in zip(best, found, strict=True)]

    def _in_sight(
        self, codes: Sequence[NDArray[np.int64]]
    ) -> Iterator[tuple[NDArray[np.int64], list[_Tile], NDArray[np.float32]]]:
        """Batches of windows, and of each place the probabilities of all codes."""
        for batch, tiles in self._tiled(codes):
            with self._computing():
                probs = self._network(self._tensor(batch)).softmax(-1).cpu().numpy()
            yield batch, tiles, probs

    # Candidates -----------------------------------------------------------------------------------

    def masked_scores(
        self,
        texts: Sequence[Text],
        spans: Sequence[Sequence[Span]],
        candidates: Sequence[Candidates],
    ) -> list[list[NDArray[np.float64]]]:
        """How well candidates fit, in a pass: with the span hidden, the sum of log probabilities.

        - `spans`: of each text, half-open.
        - `candidates`: of each span, token ids as many as the span has.

        Gives for each text and span an array of shape (n_candidates,). Cheap, and blind to how a
        candidate's own letters go together: rank with it, and judge with `pll`.
        """
        places = list(self._places(texts, spans, candidates, halo=HALO))
        rows, hidden = [], []
        for window in places:
            row = window.codes.copy()
            asked = np.zeros(len(row), np.bool_)
            for span in window.spans:
                asked[span.start : span.end] = True
            row[asked] = self.vocabulary.mask
            rows.append(row)
            hidden.append(np.flatnonzero(asked))
        scores = _empty(candidates)
        found = self._log_probs(rows, hidden)
        for window, where, log_probs in zip(places, hidden, found, strict=True):
            for span in window.spans:
                first = int(np.searchsorted(where, span.start))
                of_span = log_probs[first : first + span.end - span.start]
                for i, candidate in enumerate(span.candidates):
                    scores[span.text][span.number][i] = _of(of_span, candidate).sum()
        return scores

    def pll(
        self,
        texts: Sequence[Text],
        spans: Sequence[Sequence[Span]],
        candidates: Sequence[Candidates],
        *,
        folds: int = 6,
        halo: int = HALO,
    ) -> list[list[NDArray[np.float64]]]:
        """Pseudo-log-likelihood in nats of each candidate and what is around it, in its context.

        Each token of the span and of `halo` tokens on either side is hidden once and the others are
        seen: every `folds`-th at once, so a candidate takes `folds` passes. Spans of a text that
        lie far enough apart share them. Differences between the candidates of a span are what
        counts; arguments and result are as in `masked_scores`.
        """
        if folds < 1 or halo < 0:
            raise InvalidParameter(f"folds is {folds} and halo {halo}, expected 1 and 0 at least")
        rows, hidden, owners = [], [], []
        for window in self._places(texts, spans, candidates, halo=halo):
            n = len(window.codes)
            for i in range(max(len(span.candidates) for span in window.spans)):
                row = window.codes.copy()
                owner = np.full(n, -1)
                fold = np.zeros(n, np.int64)
                for number, span in enumerate(window.spans):
                    if i < len(span.candidates):
                        row[span.start : span.end] = span.candidates[i]
                        low, high = max(span.start - halo, 0), min(span.end + halo, n)
                        owner[low:high] = number
                        fold[low:high] = np.arange(high - low) % folds
                for f in range(folds):
                    asked = np.flatnonzero((owner >= 0) & (fold == f))
                    if len(asked):
                        holed = row.copy()
                        holed[asked] = self.vocabulary.mask
                        rows.append(holed)
                        hidden.append(asked)
                        owners.append((window, i, owner[asked], row[asked]))
        scores = _empty(candidates)
        found = self._log_probs(rows, hidden)
        for (window, i, owner, answers), log_probs in zip(owners, found, strict=True):
            each = _of(log_probs, answers)
            sums = np.bincount(owner, weights=each, minlength=len(window.spans))
            for number in np.unique(owner).tolist():
                span = window.spans[number]
                scores[span.text][span.number][i] += sums[number]
        return scores

    # Filling --------------------------------------------------------------------------------------

    def fill(
        self,
        texts: Sequence[Text],
        holes: Sequence[NDArray[np.bool_]],
        *,
        steps: int = 8,
        threshold: float = 0.9,
        temperature: float = 0.0,
        seed: int | np.random.Generator | None = None,
    ) -> list[NDArray[np.uint32]]:
        """The texts with new tokens in their holes, the surest ones first.

        In each of `steps` passes a token is drawn for every hole (at temperature 0 the likeliest);
        those whose probability is at least `threshold` stay, and the surest others, so that each
        step fills its share of what is left. The same seed fills the same.
        """
        if steps < 1 or not 0 <= temperature < math.inf:
            raise InvalidParameter(
                f"steps is {steps} and temperature {temperature}, expected 1 and 0 at least"
            )
        codes = [self.vocabulary.codes(text) for text in texts]
        left = [np.array(hole, np.bool_) for hole in holes]
        for text, hole in zip(codes, left, strict=True):
            if hole.shape != text.shape:
                raise InvalidParameter(
                    f"holes have shape {hole.shape}, expected {text.shape}, a flag a token"
                )
            text[hole] = self.vocabulary.mask
        rngs = spawn(seed, len(codes))
        for step in range(steps):
            drawn = [np.zeros(len(text), np.int64) for text in codes]
            sure = [np.full(len(text), -1.0) for text in codes]
            rows, places, origins = [], [], []
            for tile in self._tiles(codes):
                asked = np.flatnonzero(left[tile.text][tile.low : tile.high]) + tile.low
                if len(asked):
                    rows.append(codes[tile.text][tile.start : tile.start + tile.n])
                    places.append(asked - tile.start)
                    origins.append((tile.text, asked))
            if not rows:
                break
            found = self._log_probs(rows, places)
            for (number, asked), log_probs in zip(origins, found, strict=True):
                chosen = _drawn(log_probs, temperature, rngs[number])
                drawn[number][asked] = chosen
                sure[number][asked] = np.exp(_of(log_probs, chosen))
            for text, hole, new, prob in zip(codes, left, drawn, sure, strict=True):
                n_least = -(-int(hole.sum()) // (steps - step))
                stays = hole & (prob >= threshold)
                stays[np.argsort(-prob, kind="stable")[:n_least]] = True
                text[stays] = new[stays]
                hole &= ~stays
        return [
            self._filled(text, np.asarray(original, np.uint32), np.asarray(hole, np.bool_))
            for text, original, hole in zip(codes, texts, holes, strict=True)
        ]

    def _filled(
        self, codes: NDArray[np.int64], original: NDArray[np.uint32], hole: NDArray[np.bool_]
    ) -> NDArray[np.uint32]:
        filled = original.copy()
        filled[hole] = self.vocabulary.ids(codes[hole])
        return filled

    # Windows --------------------------------------------------------------------------------------

    def _places(
        self,
        texts: Sequence[Text],
        spans: Sequence[Sequence[Span]],
        candidates: Sequence[Candidates],
        *,
        halo: int,
    ) -> Iterator[_Window]:
        """Windows around the spans: as many spans in each as do not see each other's candidates."""
        for text, (ids, of_text, alternatives) in enumerate(
            zip(texts, spans, candidates, strict=True)
        ):
            codes = self.vocabulary.codes(ids)
            n = min(self.window, len(codes))
            longest = self.window - 2 * halo
            open_windows: list[_Window] = []
            order = sorted(range(len(of_text)), key=lambda i: of_text[i])
            for number in order:
                start, end = of_text[number]
                if not 0 <= start < end <= len(codes) or end - start > longest:
                    raise InvalidParameter(
                        f"the span {start} to {end} of a text of {len(codes)} tokens: expected one "
                        f"inside it, of 1 to {longest} tokens"
                    )
                coded = [self.vocabulary.codes(each) for each in alternatives[number]]
                if any(len(each) != end - start for each in coded):
                    raise InvalidParameter(
                        f"candidates for {start} to {end} have {[len(c) for c in coded]} tokens, "
                        f"expected {end - start} like the span"
                    )
                if not coded:
                    continue
                margin = min(_MARGIN, (n - (end - start)) // 2)
                for window in open_windows:
                    seen = min(end + margin, len(codes))
                    if seen <= window.start + n and start - window.end >= 2 * halo:
                        break
                else:
                    first = max(min(start - margin, len(codes) - n), 0)
                    window = _Window(first, 0, codes[first : first + n], [])
                    open_windows.append(window)
                at = window.start
                window.spans.append(_Place(text, number, start - at, end - at, coded))
                window.end = end
            yield from open_windows

    def _tiles(
        self, codes: Sequence[NDArray[np.int64]], longest: int | None = None
    ) -> Iterator[_Tile]:
        """Windows that cover the texts, and what each is to answer for."""
        for text, row in enumerate(codes):
            n = min(longest or self.window, len(row))
            overlap = min(_OVERLAP, (n - 1) // 4)
            low = start = 0
            while low < len(row):
                start = min(start, len(row) - n)
                high = len(row) if start + n == len(row) else start + n - overlap
                yield _Tile(text, start, n, low, high)
                low, start = high, high - overlap

    def _tiled(
        self, codes: Sequence[NDArray[np.int64]]
    ) -> Iterator[tuple[NDArray[np.int64], list[_Tile]]]:
        """Batches of windows of one length that cover the texts."""
        alike = defaultdict(list)
        for tile in self._tiles(codes):
            alike[tile.n].append(tile)
        for n, tiles in alike.items():
            for part in _parts(tiles, self._n_rows(n)):
                rows = [codes[tile.text][tile.start : tile.start + n] for tile in part]
                yield np.stack(rows), part

    # The network ----------------------------------------------------------------------------------

    def _log_probs(
        self, rows: Sequence[NDArray[np.int64]], places: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float64]]:
        """For each row the log probabilities in its places, of shape (n_places, n_codes)."""
        found = dict(self._each_log_probs(rows, places))
        return [found[i] for i in range(len(rows))]

    def _each_log_probs(
        self, rows: Sequence[NDArray[np.int64]], places: Sequence[NDArray[np.int64]]
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """The same with the number of the row, in the order in which they are computed."""
        # alike in length, and then in number of places
        order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), len(places[i])))
        at = 0
        while at < len(order):
            n = len(rows[order[at]])
            part = [i for i in order[at : at + self._n_rows(n)] if len(rows[i]) == n]
            at += len(part)
            most = max(len(places[i]) for i in part)
            asked = np.stack([np.resize(places[i], most) for i in part])
            with self._computing():
                codes = self._tensor(np.stack([rows[i] for i in part]))
                logits = self._network.at(codes, self._tensor(asked))
                log_probs = logits.float().log_softmax(-1).cpu().numpy()
            for row, i in enumerate(part):
                yield i, log_probs[row, : len(places[i])].astype(np.float64)

    def _n_rows(self, n: int) -> int:
        return max(1, _BATCH_TOKENS[self.device.type] // max(n, 1))

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        advice = "end what else uses it, or use another device; no text was changed"
        with (
            torch.inference_mode(),
            use_threads(self.threads),
            enough_memory(self.device, advice),
        ):
            yield


@dataclass(frozen=True, slots=True)
class _Tile:
    """The window [start, start + n) of a text; it answers for the places [low, high)."""

    text: int
    start: int
    n: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class _Place:
    """A span of a text, the number-th, within a window."""

    text: int
    number: int
    start: int
    end: int
    candidates: list[NDArray[np.int64]]


@dataclass(slots=True)
class _Window:
    """Codes from `start` of a text on; `end` is where its last span ends in the text."""

    start: int
    end: int
    codes: NDArray[np.int64]
    spans: list[_Place]


def _put(found: Sequence[NDArray[Any]], values: NDArray[Any], tiles: Sequence[_Tile]) -> None:
    for row, tile in zip(values, tiles, strict=True):
        found[tile.text][tile.low : tile.high] = row[tile.low - tile.start : tile.high - tile.start]


def _empty(candidates: Sequence[Candidates]) -> list[list[NDArray[np.float64]]]:
    return [[np.zeros(len(of_span)) for of_span in of_text] for of_text in candidates]


def _of(log_probs: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log probability of a code in each place; -inf for one that is not known."""
    n_codes = log_probs.shape[-1]
    chosen = log_probs[np.arange(len(codes)), np.minimum(codes, n_codes - 1)]
    return np.where(codes < n_codes, chosen, -np.inf)


def _drawn(
    log_probs: NDArray[np.float64], temperature: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    if temperature == 0:
        return log_probs.argmax(axis=-1)
    return (log_probs / temperature + rng.gumbel(size=log_probs.shape)).argmax(axis=-1)


def _parts(items: list[_Tile], n: int) -> Iterator[list[_Tile]]:
    for at in range(0, len(items), n):
        yield items[at : at + n]
