"""Will drafts help? Replays what a model wrote against a drafter, with nothing deployed.

What a model wrote says what it would have accepted: exactly where it takes its likeliest token, in
law where it samples and drafts are compared with what it draws.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..checks import instance, several, whole
from ..errors import InfgramError, InvalidParameter, MalformedRecord, UnknownRequest
from ..text import tokens
from ..values.value import Value
from .cost import check_cost
from .drafter import Drafter
from .text_drafter import TextDrafter, check_drafter


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Value):
    """What a model was asked and what it wrote, as its token ids."""

    prompt_ids: tokens.Ids
    output_ids: tokens.Ids


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Value):
    """What drafts would have come to. Counts are of tokens.

    - `steps`: of the model; without drafts one a token.
    - `written`: what the traces have; `drafted`, and of these `accepted`; `expected` to be.
    - `draft_seconds`: what proposing and accepting took here.
    - `speed_up`: times as fast as without drafts, drafter included; None without a cost.
    """

    steps: int
    written: int
    drafted: int
    accepted: int
    expected: float
    draft_seconds: float
    speed_up: float | None

    @property
    def tokens_per_step(self) -> float:
        """Mean acceptance length, the model's own token included."""
        return self.written / self.steps


def simulate(
    drafter: Drafter | TextDrafter,
    traces: Iterable[Trace],
    *,
    max_tokens: int | None = None,
    seconds: Any = None,
) -> Simulation:
    """Replays traces, one request after another.

    - `max_tokens`: of a draft; None: as the drafter has it.
    - `seconds`: what a step takes with 0, 1, 2, ... drafted tokens (`profile.Cost.curve`), for
      `speed_up`. The drafter itself looks at the cost that it was made with.

    Raises InvalidParameter, TokenOutOfRange, and whatever the drafter raises.

    >>> import infgram
    >>> from infgram.draft import Drafter, Trace, simulate
    >>> drafter = Drafter(infgram.build(["to be or not to be"]))
    >>> found = simulate(drafter, [Trace(list(b"to be or "), list(b"not to be"))])
    >>> found.written, found.steps < 9
    (9, True)
    """
    check_drafter("totals", drafter=drafter)
    several("traces", traces=traces)
    cost = check_cost(seconds)
    most = drafter.max_tokens if max_tokens is None else max_tokens
    whole(0, max_tokens=most)
    if cost is not None and len(cost) <= most:
        raise InvalidParameter(
            f"seconds has {len(cost)} numbers, expected {most + 1} for drafts of up to {most} "
            "tokens: measure a longer curve, or draft less"
        )
    before = drafter.totals
    draft_seconds = model_seconds = 0.0
    for trace in traces:
        instance(Trace, "Trace(prompt_ids, output_ids) makes one", trace=trace)
        output = tokens.check_ids(trace.output_ids, drafter.vocab_size).tolist()
        request = object()
        drafter.start(request, trace.prompt_ids)
        try:
            at = 0
            while at < len(output):
                started = time.perf_counter()
                draft = drafter.propose(request, min(most, len(output) - at - 1))
                n = len(draft.accepted(output[at : at + most]))
                drafter.accept(request, output[at : at + n + 1])
                draft_seconds += time.perf_counter() - started
                at += n + 1
                if cost is not None:
                    model_seconds += float(cost[len(draft)])
        finally:
            with suppress(UnknownRequest):
                drafter.stop(request)
    totals = drafter.totals
    written = totals.written - before.written
    if not written:
        raise InvalidParameter("expected traces with output, found none")
    speed_up = None
    if cost is not None:
        speed_up = written * float(cost[0]) / (model_seconds + draft_seconds)
    return Simulation(
        steps=totals.steps - before.steps,
        written=written,
        drafted=totals.drafted - before.drafted,
        accepted=totals.accepted - before.accepted,
        expected=totals.expected - before.expected,
        draft_seconds=draft_seconds,
        speed_up=speed_up,
    )


def read_traces(
    path: str | os.PathLike[str], tokenizer: tokens.Tokenizer, vocab_size: int
) -> Iterator[Trace]:
    """Traces of a JSON-lines file: `prompt_ids` and `output_ids`, or `prompt` and `output` as text.

    A prompt may be left out.

    Raises MalformedRecord, OSError.
    """
    for prompt, output in _records(path, ("prompt", "output"), tokenizer, vocab_size):
        if output is None:
            raise MalformedRecord(f"{path}: expected output_ids or output on every line")
        yield Trace([] if prompt is None else prompt, output)


def read_prompts(
    path: str | os.PathLike[str], tokenizer: tokens.Tokenizer, vocab_size: int
) -> Iterator[tokens.Ids]:
    """Token ids of a JSON-lines file: `prompt_ids`, or `prompt` as text.

    Raises MalformedRecord, OSError.
    """
    for (prompt,) in _records(path, ("prompt",), tokenizer, vocab_size):
        if prompt is None or not len(prompt):
            raise MalformedRecord(f"{path}: expected prompt_ids or prompt on every line")
        yield prompt


def _records(
    path: str | os.PathLike[str],
    names: Sequence[str],
    tokenizer: tokens.Tokenizer,
    vocab_size: int,
) -> Iterator[list[tokens.TokenArray | None]]:
    """Of each line the ids under these names, or None where a name is missing."""
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError(f"found {type(record).__name__}, expected an object")
                yield [_ids(record, name, tokenizer, vocab_size) for name in names]
            except RecursionError as error:
                raise MalformedRecord(
                    f"{path}, line {number}: found JSON that is nested too deeply, expected an "
                    "object"
                ) from error
            except (ValueError, InfgramError) as error:
                raise MalformedRecord(f"{path}, line {number}: {error}") from error


def _ids(
    record: dict[str, Any], name: str, tokenizer: tokens.Tokenizer, vocab_size: int
) -> tokens.TokenArray | None:
    if f"{name}_ids" in record:
        return tokens.check_ids(record[f"{name}_ids"], vocab_size)
    if name not in record:
        return None
    if not isinstance(record[name], str):
        raise ValueError(f"{name} is {type(record[name]).__name__}, expected text")
    return tokenizer.encode(record[name])
