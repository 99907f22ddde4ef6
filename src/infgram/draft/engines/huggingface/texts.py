"""The texts of a batch as they are written: each for itself, and what becomes of them together."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import GenerateDecoderOnlyOutput
from transformers.generation.streamers import BaseStreamer

from ...drafter import Draft
from .caches import of_transformers
from .choosing import Choose
from .judges import Judges
from .library import CACHE


class Text:
    """What is written, and what looks at every token of it."""

    def __init__(
        self,
        prompt: torch.Tensor,
        n_padding: int,
        processors: LogitsProcessorList,
        criteria: StoppingCriteriaList,
        config: GenerationConfig,
        streamer: BaseStreamer | None = None,
        place: tuple[int, int] = (0, 1),
    ) -> None:
        """prompt: (1, n), with so much padding in front; processors are shown that, too.

        place: which text of how many it is. See `Judges`.
        """
        self.ids = prompt
        self.has_ended = False
        keeps = bool(config.return_dict_in_generate)
        self.scores: list[torch.Tensor] | None = [] if keeps and config.output_scores else None
        self.logits: list[torch.Tensor] | None = [] if keeps and config.output_logits else None
        self._n_padding = n_padding
        self._judges = Judges(processors, criteria, *place)
        self._streamer = streamer
        if streamer is not None:
            streamer.put(prompt.cpu())

    def __len__(self) -> int:
        """Tokens, without padding."""
        return self.ids.shape[1] - self._n_padding

    @property
    def token_ids(self) -> list[int]:
        """All of them, without padding."""
        ids: list[int] = self.ids[0, self._n_padding :].tolist()
        return ids

    @property
    def last(self) -> int:
        """The last token."""
        return int(self.ids[0, -1])

    def write(
        self, rows: torch.Tensor, draft: Draft, choose: Choose
    ) -> tuple[list[int], list[int]]:
        """Goes down a draft until its model goes another way, or the text ends.

        rows: logits after the context and after each token of the draft, (n + 1, vocab_size).
        Returns the tokens written, and the places in the draft of those that were there.
        """
        edges = zip(draft.parents.tolist(), draft.token_ids.tolist(), strict=True)
        below = {edge: place for place, edge in enumerate(edges)}
        written: list[int] = []
        places: list[int] = []
        place: int | None = -1
        while place is not None and not self.has_ended:
            # float32 and a copy, as in transformers: processors may write into it
            logits = rows[place + 1].to(self.ids.device, torch.float32, copy=True)[None]
            token = choose(self._scores(logits), draft, place)
            self._append(token)
            written.append(token)
            place = below.get((place, token))
            if place is not None:
                places.append(place)
        return written, places

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        if self.logits is not None:
            self.logits.append(logits.clone())
        scores = self._judges.scores(self.ids, logits)
        if self.scores is not None:
            self.scores.append(scores)
        return scores

    def _append(self, token: int) -> None:
        new = self.ids.new_tensor([[token]])
        self.ids = torch.cat([self.ids, new], 1)
        if self._streamer is not None:
            self._streamer.put(new[0].cpu())
        scores = None if self.scores is None else tuple(self.scores)
        self.has_ended = self._judges.ends(self.ids, scores)


def padding_of(input_ids: torch.Tensor, mask: torch.Tensor | None) -> list[int]:
    """How many tokens in front of each prompt are padding."""
    if mask is None:
        return [0] * len(input_ids)
    n_hidden: list[int] = (mask == 0).sum(1).tolist()
    return n_hidden


def result(
    texts: list[Text], config: GenerationConfig, cache: Any
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """What `generate` returns: texts of one length, padded behind their ends."""
    length = max(text.ids.shape[1] for text in texts)
    pad = getattr(config, "_pad_token_tensor", None)
    token = 0 if pad is None else int(pad)  # without, all texts have one length
    sequences = torch.cat([_filled(text.ids, length, token, 1) for text in texts])
    if not config.return_dict_in_generate:
        return sequences
    return GenerateDecoderOnlyOutput(
        sequences=sequences,
        scores=_together([text.scores for text in texts]),
        logits=_together([text.logits for text in texts]),
        **{CACHE: None if cache is None else of_transformers(cache)},
    )


def _together(steps: list[Any]) -> tuple[torch.Tensor, ...] | None:
    """A tensor (texts, vocab_size) for each token; 0 behind the end of a text."""
    if steps[0] is None:
        return None
    n = max(map(len, steps))
    each = [_filled(torch.cat(rows), n, 0, 0) for rows in steps]
    return tuple(torch.stack(each, 1))


def _filled(tensor: torch.Tensor, length: int, value: int, axis: int) -> torch.Tensor:
    shape = list(tensor.shape)
    shape[axis] = length - shape[axis]
    return torch.cat([tensor, tensor.new_full(shape, value)], axis)
