"""transformers' own loop with several tokens a step.

Logits processors, samplers and stopping criteria see one token after another, with the same ids
before it, as they do without drafts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import GenerateDecoderOnlyOutput
from transformers.generation.streamers import BaseStreamer

from ....errors import UnknownRequest
from ....index import Index
from ...drafter import Draft, Drafter
from ...text_drafter import TextDrafter
from . import refusals, ways
from .choosing import manner
from .readers import OneByOne, Together, most_tokens
from .texts import Text, padding_of, result


@dataclass
class Report:
    """What `decode` did, added up over the texts that it was given to.

    - `n_steps`: forward passes of the model, that of the prompt among them; one that reads several
      texts counts for each.
    - `n_tokens`: that were written; `n_drafted`, `n_accepted`: of drafts.
    - `way`: "tree" or "path", what the model was last given; empty before.
    """

    n_steps: int = 0
    n_tokens: int = 0
    n_drafted: int = 0
    n_accepted: int = 0
    way: str = ""

    @property
    def tokens_per_step(self) -> float:
        """NaN before the first step."""
        return self.n_tokens / self.n_steps if self.n_steps else float("nan")


def decode(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    *,
    drafter: Drafter | TextDrafter,
    indexes: Sequence[Index] | None = None,
    sample_drafts: bool = True,
    stream_to: BaseStreamer | None = None,
    report: Report | None = None,
    **model_kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Generates with drafts: the same text as without them where it is greedy, else the same law.

    For `model.generate(input_ids, custom_generate=decode, drafter=drafter, ...)` with whatever else
    `generate` takes: everything that is not named here comes from there.

    - `drafter`: of the model's vocabulary. Each text is a request of it, and ends as one that is
      kept, even where an exception ends it.
    - `indexes`: which of the drafter's indexes these texts are drafted from; None: all.
    - `sample_drafts`: where the model samples, tokens are drawn for drafts too, and verified by
      rejection: more of them are accepted. Without, tokens are chosen for drafts, and the same seed
      of torch gives the same text as without drafts (where there is one text).
    - `stream_to`: what `streamer` is to `generate`, which does not hand that on to a function.
      Gets the prompt, then one token after another.
    - `report`: where to count.

    How a model reads drafts is found out on the model itself, by some passes over a few tokens when
    it is first used: trees where siblings have the logits that each has alone, else paths. Models
    that read trees read the texts of a batch together; others read them one by one. Padding is on
    the left, and each text is the one that the model writes alone.

    Caches are made here: sliding windows and recurrent states are taken back to where a draft
    left the text. Where results come as a dictionary, it has `sequences`, `scores` and `logits`
    if asked for (0 behind the end of a text), and the cache of a single text.

    Source of the mask that lets a model read a tree: SpecInfer (Miao et al. 2024).

    Raises InvalidParameter, TokenizerUnavailable, before anything is generated.

    >>> import infgram
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> config = GPT2Config(vocab_size=256, n_embd=8, n_layer=1, n_head=1, eos_token_id=None)
    >>> model = GPT2LMHeadModel(config).eval()
    >>> drafter = Drafter(infgram.build(["to be or not to be"]))
    >>> prompt = torch.tensor([list(b"to be or ")])
    >>> text = model.generate(
    ...     prompt, max_new_tokens=20, do_sample=False, custom_generate=decode, drafter=drafter
    ... )
    >>> torch.equal(text, model.generate(prompt, max_new_tokens=20, do_sample=False))
    True
    """
    refusals.check_texts(input_ids, generation_config)
    refusals.check_batch(
        input_ids, generation_config, logits_processor, stopping_criteria, stream_to
    )
    refusals.check_model(model, drafter)
    refusals.check_inputs(model, input_ids, generation_config, model_kwargs)
    paddings = padding_of(input_ids, model_kwargs.get("attention_mask"))
    limit = min(generation_config.max_length, most_tokens(model))
    ways.check_frequencies(model, limit)
    way: ways.Way = "path"
    if drafter.max_tokens:
        prompt = input_ids[0, paddings[0] :].tolist()
        wants_tree = drafter.tree or len(input_ids) > 1
        way = ways.way_of(model, prompt, limit, tree=wants_tree)
    writer = _Writer(model, drafter, generation_config, sample_drafts, limit, way)
    writer.report = report or Report()
    writer.report.way = way
    seen_by = logits_processor, stopping_criteria, generation_config, stream_to
    texts = [
        Text(input_ids[row, None], padding, *seen_by, place=(row, len(input_ids)))
        for row, padding in enumerate(paddings)
    ]
    caches = writer.write(texts, indexes)
    if stream_to is not None:
        stream_to.end()
    return result(texts, generation_config, caches if len(texts) == 1 else None)


class _Writer:
    """Writes texts with drafts of one way, each a request of the drafter."""

    def __init__(
        self,
        model: Any,
        drafter: Drafter | TextDrafter,
        config: GenerationConfig,
        sample_drafts: bool,
        limit: float,
        way: ways.Way,
    ) -> None:
        self.report = Report()
        self._model = model
        self._drafter = drafter
        self._way = way
        self._limit = limit
        self._turns, self._ends = ways.turns(model), ways.ends(model)
        self._how, self._choose = manner(config, sample_drafts and drafter.draws)
        if way == "path" and drafter.tree:
            self._how["tree"] = False
        self._from: dict[str, Any] = {}

    def write(self, texts: Sequence[Text], indexes: Sequence[Index] | None) -> Any:
        """Returns the cache of the last text."""
        self._from = {} if indexes is None else {"indexes": indexes}
        requests: dict[Hashable, Text] = {}
        try:
            for text in texts:
                request = object()
                self._drafter.start(request, text.token_ids, **self._from)
                requests[request] = text
            if self._way == "tree":
                return self._write_together(requests)
            return [self._write_alone(text, request) for request, text in requests.items()][-1]
        finally:
            for request in requests:
                with suppress(UnknownRequest):
                    self._drafter.stop(request)

    def _write_alone(self, text: Text, request: Hashable) -> Any:
        reader = self._begin(text, request)
        while not text.has_ended:
            # What a model has to read once more is paid for by a step without a draft.
            room = self._room(text) if reader.n_again <= self._drafter.max_tokens else 0
            draft = self._propose(text, request, room)
            rows = reader.read([text.last], draft.token_ids.tolist())
            reader.keep(1 + len(self._take(text, request, rows, draft)))
        return reader.cache

    def _write_together(self, requests: dict[Hashable, Text]) -> Any:
        readers = [self._begin(text, request) for request, text in requests.items()]
        running = list(requests.items())
        reader = Together(self._model, readers)
        del readers
        while True:
            left = [row for row, (_, text) in enumerate(running) if not text.has_ended]
            if not left:
                return reader.cache
            if len(left) < len(running):
                reader.select(left)
                running = [running[row] for row in left]
            drafts = self._propose_all(running)
            rows = reader.read([text.last for _, text in running], drafts)
            reader.keep(
                [
                    self._take(text, request, logits, draft)
                    for (request, text), logits, draft in zip(running, rows, drafts, strict=True)
                ]
            )

    def _begin(self, text: Text, request: Hashable) -> OneByOne:
        """Reads the prompt and writes a token. Nothing is drafted while a prompt is read."""
        reader = OneByOne(self._model)
        draft = self._propose(text, request, 0)
        ids = text.token_ids
        rows = reader.read(ids, [])
        reader.keep(len(ids))
        self._take(text, request, rows, draft)
        return reader

    def _room(self, text: Text) -> int:
        """How many tokens a draft may have behind a text."""
        n = len(text)
        room = min(self._drafter.max_tokens, self._limit - n - 1, *(end - n for end in self._ends))
        for turn in self._turns:
            if n <= turn + 1:
                room = min(room, max(0, turn - n))
        return int(max(0, room))

    def _propose(self, text: Text, request: Hashable, room: int) -> Draft:
        try:
            return self._drafter.propose(request, room, **self._how)
        except UnknownRequest:  # others were used later, and there were too many
            self._drafter.start(request, text.token_ids, **self._from)
            return self._drafter.propose(request, room, **self._how)

    def _propose_all(self, running: Sequence[tuple[Hashable, Text]]) -> list[Draft]:
        rooms = [self._room(text) for _, text in running]
        try:
            return self._drafter.propose_batch([each for each, _ in running], rooms, **self._how)
        except UnknownRequest:
            return [
                self._propose(text, request, room)
                for (request, text), room in zip(running, rooms, strict=True)
            ]

    def _take(self, text: Text, request: Hashable, rows: torch.Tensor, draft: Draft) -> list[int]:
        """Writes what the model makes of a draft. Returns the places of what it has read of it."""
        written, places = text.write(rows, draft, self._choose)
        with suppress(UnknownRequest):
            self._drafter.accept(request, written, len(places))
        self.report.n_steps += 1
        self.report.n_tokens += len(written)
        self.report.n_drafted += len(draft)
        self.report.n_accepted += len(places)
        return places[: len(written) - 1]
