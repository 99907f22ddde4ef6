"""Two loops that write with a model and any drafter: transformers' own, and a lean one.

What the lean one leaves out is most of the time of a step of a small model on a CPU. It is what
somebody has who wrote a loop for one model: `Decoder` of gpt.py, and infgram's verification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from infgram.draft import greedy, sample
from infgram.draft.drafter import draft_of
from infgram.draft.engines.huggingface import Report, decode
from infgram.draft.profile import measure_cost, measure_steps

from . import gpt
from .drafting_traces import Ids


@dataclass
class Run:
    """What one way wrote, in all of its rounds."""

    texts: set[tuple[int, ...]] = field(default_factory=set)
    n_steps: int = 0
    n_tokens: int = 0


Write = Callable[[Ids, Run], None]


class TransformersLoop:
    """`generate` of transformers, for drafts with infgram's `decode` in it."""

    name = "transformers"
    plain = "transformers"

    def __init__(self, model: Any, n_written: int, temperature: float) -> None:
        self._model = model
        self._n_written = n_written
        self._how: dict[str, Any] = {"do_sample": False}
        if temperature:
            self._how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}

    def cost(self, context_tokens: int, max_tokens: int) -> tuple[float, ...]:
        """Seconds of a step with 0 to max_tokens drafted tokens."""
        found = measure_cost(self._model, context_tokens=context_tokens, max_tokens=max_tokens)
        return found.seconds

    def undrafted(self, **more: Any) -> Write:
        """Writes as transformers itself does."""

        def write(prompt: Ids, run: Run) -> None:
            ids = torch.from_numpy(prompt.astype(np.int64))[None]
            torch.manual_seed(0)
            made = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self._n_written,
                pad_token_id=0,
                **self._how,
                **more,
            )
            run.texts.add(tuple(made[0, len(prompt) :].tolist()))

        return write

    def drafted(self, drafter: Any, *, draw: bool = False) -> Write:
        """draw: of a drafter that can draw its drafts, which a model that samples likes better."""
        report = Report()
        write_all = self.undrafted(
            custom_generate=decode, drafter=drafter, sample_drafts=draw, report=report
        )

        def write(prompt: Ids, run: Run) -> None:
            write_all(prompt, run)
            run.n_steps, run.n_tokens = report.n_steps, report.n_tokens

        return write


class LeanLoop:
    """The model's weights, a cache, and nothing else."""

    name = "a lean loop"
    plain = "no drafts"

    def __init__(self, model: Any, n_written: int, temperature: float) -> None:
        self._model = model
        self._n_written = n_written
        self._temperature = temperature

    def cost(self, context_tokens: int, max_tokens: int) -> tuple[float, ...]:
        """Seconds of a step with 0 to max_tokens drafted tokens."""
        decoder = gpt.Decoder(self._model, 1)
        text = [0] * context_tokens

        def step(n_drafted: int) -> None:
            self._read(decoder, text, draft_of([0] * n_drafted, range(-1, n_drafted - 1)))

        with torch.inference_mode():
            decoder(torch.tensor([text]), 0)
            return measure_steps(step, max_tokens=max_tokens)

    def undrafted(self) -> Write:
        """Writes as `gpt.generate` does with a cache."""

        def write(prompt: Ids, run: Run) -> None:
            made = gpt.generate(
                *(self._model, prompt.astype(np.uint8), self._n_written),
                temperature=self._temperature,
                top_k=self._model.config.vocab_size,
                seed=0,
                use_cache=True,
            )
            run.texts.add(tuple(made.tolist()))

        return write

    def drafted(self, drafter: Any, *, draw: bool = False) -> Write:
        """draw: of a drafter that can draw its drafts, which a model that samples likes better."""

        def write(prompt: Ids, run: Run) -> None:
            with torch.inference_mode():
                made, n_steps = self._write(drafter, prompt, draw)
            run.texts.add(tuple(made))
            run.n_steps += n_steps
            run.n_tokens += len(made)

        return write

    def _write(self, drafter: Any, prompt: Ids, draw: bool) -> tuple[list[int], int]:
        """What follows a prompt, and how many steps it took."""
        random = np.random.default_rng(0)
        drawing = {"sample": True, "temperature": self._temperature, "rng": random} if draw else {}
        decoder = gpt.Decoder(self._model, 1)
        text = prompt.tolist()
        end = len(text) + self._n_written
        drafter.start("text", prompt.astype(np.uint32))
        draft = drafter.propose("text", 0)  # nothing is drafted while the prompt is read
        logits = decoder(torch.tensor([text]), 0)
        n_steps = 1
        while True:
            verified = self._verify(draft, logits, random)
            decoder.keep(len(text), verified.places.tolist())
            text += verified.token_ids.tolist()
            drafter.accept("text", verified.token_ids.tolist(), verified.num_accepted)
            if len(text) >= end:
                drafter.stop("text")
                return text[len(prompt) : end], n_steps
            room = min(drafter.max_tokens, end - len(text) - 1)
            draft = drafter.propose("text", room, **drawing)
            logits = self._read(decoder, text, draft)
            n_steps += 1

    def _verify(self, draft: Any, logits: torch.Tensor, random: np.random.Generator) -> Any:
        if not self._temperature:
            return greedy(draft, logits.argmax(-1).numpy())
        laws = (logits.double() / self._temperature).softmax(-1).numpy()
        return sample(draft, laws, random)

    @staticmethod
    def _read(decoder: gpt.Decoder, text: list[int], draft: Any) -> torch.Tensor:
        """Reads the last token of a text and a draft behind it."""
        last, start = text[-1], len(text) - 1
        if not len(draft):
            return decoder(torch.tensor([[last]]), start)
        n = len(draft) + 1
        sees = torch.zeros(n, n, dtype=torch.bool)
        sees[:, 0] = True
        sees[1:, 1:] = torch.from_numpy(draft.mask())
        depths = torch.from_numpy(np.concatenate([[0], draft.positions(1)]))
        ids = torch.tensor([last, *draft.token_ids.tolist()])
        return decoder.read_draft(ids, start, depths, sees)


LOOPS = (TransformersLoop, LeanLoop)
