"""Logits processors and stopping criteria for a text of a batch that is written for itself.

transformers calls each of them once a step with all texts. Here the texts differ in length, and
each text asks for itself, once a token.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers
from transformers import (
    LogitsProcessorList,
    PrefixConstrainedLogitsProcessor,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
)

from ....errors import InvalidParameter

# What treats all texts alike, and need not see more than one. Others of transformers' own do not,
# or not with all of their settings.
_ALIKE = tuple(
    getattr(transformers, name)
    for name in (
        *("TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper"),
        *("TypicalLogitsWarper", "EpsilonLogitsWarper", "EtaLogitsWarper", "LogitNormalization"),
        *("MinLengthLogitsProcessor", "MinNewTokensLengthLogitsProcessor"),
        *("NoRepeatNGramLogitsProcessor", "NoBadWordsLogitsProcessor"),
        *("SuppressTokensLogitsProcessor", "InfNanRemoveLogitsProcessor"),
        *("MaxLengthCriteria", "MaxTimeCriteria", "EosTokenCriteria", "StopStringCriteria"),
    )
)
_SHARED = (torch.nn.Module, PreTrainedTokenizerBase)  # large, and the same for all texts


class Judges:
    """What processors and criteria say of a text, which is one of several.

    What counts what it was called with counts for each text on its own: a text of several has
    copies. They may treat the rows of a batch each in its own way, so they see the text in the
    text's row, and in all others too.

    Raises InvalidParameter for what cannot be copied.
    """

    def __init__(
        self,
        processors: LogitsProcessorList,
        criteria: StoppingCriteriaList,
        row: int,
        n_rows: int,
    ) -> None:
        self._row, self._n_rows = row, n_rows
        self._processors: Any = processors
        self._criteria: Any = criteria
        if n_rows > 1:
            self._processors = [_of_row(each, row) for each in processors]
            self._criteria = [_copy(each) for each in criteria]

    def scores(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Of the next token, (1, vocab_size); ids: (1, n)."""
        if self._n_rows == 1:
            processed: torch.Tensor = self._processors(ids, scores)
            return processed
        for processor in self._processors:
            if type(processor) in _ALIKE:
                scores = processor(ids, scores)
            else:
                shown = ids.expand(self._n_rows, -1), scores.expand(self._n_rows, -1).clone()
                scores = processor(*shown)[self._row, None]
        return scores

    def ends(self, ids: torch.Tensor, scores: tuple[torch.Tensor, ...] | None) -> bool:
        """Whether a text has ended. scores: of its tokens so far, where they are kept."""
        if self._n_rows == 1:
            return bool(self._criteria(ids, scores)[0])
        return any(self._says_end(each, ids, scores) for each in self._criteria)

    def _says_end(
        self, criterion: Any, ids: torch.Tensor, scores: tuple[torch.Tensor, ...] | None
    ) -> bool:
        if type(criterion) in _ALIKE:
            return bool(torch.as_tensor(criterion(ids, scores)).reshape(-1)[0])
        if scores is not None:
            scores = tuple(each.expand(self._n_rows, -1) for each in scores)
        ends = torch.as_tensor(criterion(ids.expand(self._n_rows, -1), scores)).reshape(-1)
        return bool(ends[self._row if len(ends) > 1 else 0])


def _of_row(processor: Any, row: int) -> Any:
    if type(processor) is not PrefixConstrainedLogitsProcessor:
        return _copy(processor)
    allowed = processor._prefix_allowed_tokens_fn

    def of_row(_: int, ids: torch.Tensor) -> Any:
        return allowed(row, ids)

    return PrefixConstrainedLogitsProcessor(of_row, processor._num_beams)


def _copy(each: Any) -> Any:
    """transformers' own begin anew whatever they remember; of others all is copied."""
    if type(each).__module__.startswith("transformers."):
        return copy.copy(each)
    held = getattr(each, "__dict__", {}).values()
    try:
        return copy.deepcopy(each, {id(part): part for part in held if isinstance(part, _SHARED)})
    except Exception as error:
        raise InvalidParameter(
            f"{type(each).__name__} cannot be copied ({error}), and each text of a batch needs its "
            "own: write the texts one by one"
        ) from error
