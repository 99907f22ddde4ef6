"""A drafter in the place of the small model of assisted generation: paths, which transformers
verifies."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.generation import GenerateDecoderOnlyOutput

from ....errors import InvalidParameter, UnknownRequest
from ...drafter import Draft, Drafter
from ...text_drafter import check_drafter
from .choosing import drawing_of


class _DraftConfig(PretrainedConfig):
    model_type = "infgram-draft"


class DraftModel(PreTrainedModel, GenerationMixin):
    """A drafter in the place of the small model of assisted generation.

    For `model.generate(input_ids, assistant_model=DraftModel(drafter), ...)`. Where the model
    samples, tokens are drawn, and their laws go with them as log-probabilities: transformers
    accepts or rejects them as those of any assistant. The text is a request of the drafter until
    one comes that does not continue it, or until `finish`.

    `decode` is faster, and takes trees.

    Raises InvalidParameter for a drafter of trees, and for what is none.

    >>> import infgram
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> config = GPT2Config(vocab_size=256, n_embd=8, n_layer=1, n_head=1, eos_token_id=None)
    >>> model = GPT2LMHeadModel(config).eval()
    >>> assistant = DraftModel(Drafter(infgram.build(["to be or not to be"]), tree=False))
    >>> prompt = torch.tensor([list(b"to be or ")])
    >>> text = model.generate(
    ...     prompt, max_new_tokens=20, do_sample=False, assistant_model=assistant
    ... )
    >>> torch.equal(text, model.generate(prompt, max_new_tokens=20, do_sample=False))
    True
    """

    config_class = _DraftConfig

    def __init__(self, drafter: Drafter) -> None:
        check_drafter(drafter=drafter)
        if drafter.tree:
            raise InvalidParameter(
                "the drafter makes trees, expected one of paths for assisted generation: "
                "Drafter(..., tree=False)"
            )
        super().__init__(_DraftConfig(vocab_size=drafter.vocab_size))
        self._drafter = drafter
        self._text: list[int] = []
        self._request: object | None = None

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def generate(
        self,
        input_ids: torch.Tensor,
        generation_config: GenerationConfig,
        max_new_tokens: int,
        **_: Any,
    ) -> GenerateDecoderOnlyOutput:
        """What assisted generation asks of an assistant: a draft of 1 to max_new_tokens tokens."""
        self._read(input_ids[0].tolist())
        drawing = drawing_of(generation_config) if generation_config.do_sample else {}
        n_tokens = min(max_new_tokens, self._drafter.max_tokens)
        try:
            draft = self._drafter.propose(self._request, n_tokens, **drawing)
        except UnknownRequest:  # others were used between
            self._start(self._text)
            draft = self._drafter.propose(self._request, n_tokens, **drawing)
        tokens, scores = _of_laws(draft, self._drafter.vocab_size)
        if not tokens:  # something has to be said: any token, as one of all that are alike
            tokens = [int(torch.randint(self._drafter.vocab_size, ())) if drawing else 0]
            scores = torch.zeros(1, self._drafter.vocab_size)
        return GenerateDecoderOnlyOutput(
            sequences=torch.cat([input_ids, input_ids.new_tensor([tokens])], 1),
            scores=tuple(scores[:, None]),
        )

    def finish(self) -> None:
        """Ends the text: what was written of it becomes part of the drafter's session."""
        request, self._request, self._text = self._request, None, []
        if request is not None:
            with suppress(UnknownRequest):  # forgotten, since others were used later
                self._drafter.stop(request)

    def _read(self, text: list[int]) -> None:
        n = len(self._text)
        if self._request is None or len(text) <= n or text[:n] != self._text:
            self.finish()
            self._start(text)
            return
        try:
            self._drafter.accept(self._request, text[n:])
            self._text = text
        except UnknownRequest:
            self._start(text)

    def _start(self, text: list[int]) -> None:
        request = object()
        self._drafter.start(request, text)
        self._request, self._text = request, text


def _of_laws(draft: Draft, vocab_size: int) -> tuple[list[int], torch.Tensor]:
    """The tokens of a path, and the logarithms of what they were drawn from: (n, vocab_size).

    A token that was chosen counts as one that nothing else could come in place of.
    """
    scores = torch.full((len(draft), vocab_size), -torch.inf)
    for i, token in enumerate(draft.token_ids.tolist()):
        ids, law = draft.q.get(i - 1, (np.array([token]), np.ones(1)))
        scores[i, ids.astype(np.int64)] = torch.from_numpy(law).log().to(scores.dtype)
    return draft.token_ids.tolist(), scores
