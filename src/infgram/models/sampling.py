"""Writing new text: tokens are drawn one after another, and read."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..checks import number, whole
from ..errors import InvalidParameter
from ..text.pieces import Behind
from ..values import markup
from ..values.table import Table
from ..values.value import Value
from .definition import TraceLevel

_CHUNK_TOKENS = 4096
_CHUNK_TOKENS_TO_STOP = 128

Reason = Literal["length", "end_of_text", "stop", "max_copy"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenTrace(Value):
    """Where a token came from.

    - `token_id`, `text`: the token, and what it adds to the text; a character of several tokens
      comes with its last one.
    - `prob`: its probability under the estimator, at temperature 1 and without limits.
    - `n`, `m`: of the longest level of the corpus.
    - `levels`: the mixture, longest level first.
    - `match`: the longest context of the token, and the token: what `Index.find` takes to tell its
      source documents.
    """

    token_id: int
    text: str
    prob: float
    n: int
    m: int
    levels: tuple[TraceLevel, ...]
    match: tuple[int, ...]

    def __str__(self) -> str:
        return self.text


class TokenTraces(Table[TokenTrace]):
    """Where the tokens of a text came from. `str` gives the text.

    `to_arrow()` and `to_pandas()` make a table of them, a notebook shades them.
    """

    __slots__ = ()
    row_type = TokenTrace

    def __str__(self) -> str:
        return "".join(token.text for token in self)

    def _repr_html_(self) -> str:
        return markup.output(*self.shaded())

    def shaded(self) -> Iterator[markup.Markup | None]:
        """The parts of what a notebook shows."""
        first = self[: markup.MOST_RUNS]
        yield markup.passage((t.text, shade(len(t.match)), _told(t)) for t in first if t.text)
        yield markup.left_out(len(self) - len(first), "tokens")
        yield markup.note("Verbatim from the corpus, in tokens:")
        yield markup.passage((f" {name} ", i, "") for i, name in enumerate(_NAMES))


_LONG = (8, 16, 32, 64)
_NAMES = (f"fewer than {_LONG[0]}", *(f"{n} or more" for n in _LONG))


def shade(run: int) -> int:
    """Of a token, by the length of the run of the corpus that ends with it: 0 to 4.

    >>> [shade(run) for run in (7, 8, 100)]
    [0, 1, 4]
    """
    return sum(run >= least for least in _LONG)


def _told(token: TokenTrace) -> str:
    return f"{token.prob:.1%}, a run of {len(token.match):,}; n = {token.n:,}, m = {token.m:,}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Generation(Value):
    """Generated text, without its prompt.

    - `text`: what stands behind the prompt, with the blank in between if the tokenizer puts one
      there; bytes that are not UTF-8 show as U+FFFD.
    - `token_ids`: uint32 array of shape (n_tokens,), an end of text not among them.
    - `finish_reason`: "length" after max_tokens, "end_of_text" where a document ended, "stop"
      before a stop string, "max_copy" where every next token would have made a run too long.
    - `trace`: one entry a token, if it was asked for.

    `str` gives the text. A notebook shows it, and with a trace where it comes from.
    """

    text: str
    token_ids: NDArray[np.uint32]
    finish_reason: Reason
    trace: TokenTraces | None = None

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        told = f"{len(self.token_ids):,} tokens, finish_reason {self.finish_reason!r}"
        if self.trace is None:
            return markup.output(
                markup.plain(self.text),
                markup.note(f"{told}; trace=True also tells where each comes from"),
            )
        return markup.output(*self.trace.shaded(), markup.note(told))


class Sampling(TypedDict, total=False):
    """How tokens are drawn: the keyword arguments of `generate`.

    - `max_tokens`: how many, unless the text ends before; 500.
    - `temperature`: probabilities are raised to its inverse; 0 takes the most probable token. 0.8.
    - `top_k`: only so many of the most probable tokens; 0 for all.
    - `top_p`: only the most probable of those that together have this probability.
    - `min_p`: only those with at least this share of the most probable one's probability.
    - `max_copy`: no run of more generated tokens stands in the corpus, except across the end of a
      document: where one would, the next token is drawn from what never followed it, if need be
      after shorter contexts. None for no limit.
    - `stop`: strings before which the text ends.

    >>> import infgram
    >>> how = infgram.Sampling(max_tokens=3, temperature=0.0)
    >>> infgram.generate(infgram.build(["to be or not to be"]), "not to", k=1, **how).text
    ' be'
    """

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    max_copy: int | None
    stop: str | Iterable[str]


@dataclass(frozen=True)
class Plan:
    """`Sampling`, checked, with what it leaves out.

    Raises InvalidParameter.

    >>> Plan(stop="ROMEO:").stops
    ('ROMEO:',)
    """

    max_tokens: int = 500
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    max_copy: int | None = None
    stop: str | Iterable[str] = ()

    def __post_init__(self) -> None:
        whole(0, max_tokens=self.max_tokens, top_k=self.top_k)
        if self.max_copy is not None:
            whole(1, max_copy=self.max_copy)
        number(0, temperature=self.temperature)
        number(0, 1, above=True, top_p=self.top_p)
        number(0, 1, min_p=self.min_p)
        self.stops  # which refuses what is no string

    @cached_property
    def stops(self) -> tuple[str, ...]:
        """The stop strings, read once: what was given may be an iterator."""
        given = (self.stop,) if isinstance(self.stop, str) else self.stop
        stops = tuple(given) if isinstance(given, Iterable) else (given,)
        if not all(isinstance(stop, str) and stop for stop in stops):
            found = stops if isinstance(given, Iterator) else self.stop
            raise InvalidParameter(f"stop is {found!r}, expected strings that are not empty")
        return stops


def plan_of(sampling: Sampling) -> Plan:
    """What keyword arguments plan. Raises InvalidParameter; TypeError for another name."""
    unknown = sampling.keys() - Plan.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(Plan.__dataclass_fields__)
        raise TypeError(f"unexpected argument {sorted(unknown)[0]!r}, expected one of: {known}")
    return Plan(**sampling)


class Sampler(Protocol):
    """Draws tokens from a context that it reads on."""

    def sample(self, n: int) -> tuple[NDArray[np.uint32], str]:
        """Up to n tokens, and why there are fewer: "", "end_of_text" or "max_copy"."""


def run(sampler: Sampler, plan: Plan, behind: Behind) -> Generation:
    """All of a text, behind that of the prompt."""
    pieces = stream(sampler, plan, behind)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            made: Generation = end.value
            return made


def stream(
    sampler: Sampler, plan: Plan, behind: Behind, chunk: int | None = None
) -> Generator[str, None, Generation]:
    """A text piece by piece as it is made, `chunk` tokens at a time; at its end, all of it."""
    chunks: list[NDArray[np.uint32]] = []
    reasons: list[Reason] = []
    if chunk is None:
        chunk = _CHUNK_TOKENS_TO_STOP if plan.stops else _CHUNK_TOKENS
    pieces: list[str] = []
    for piece in _until_stop(
        behind.in_pieces(_chunks(sampler, plan, chunk, chunks, reasons)), plan
    ):
        pieces.append(piece)
        yield piece
    text = "".join(pieces)
    token_ids = np.concatenate([np.zeros(0, np.uint32), *chunks])
    reason: Reason = reasons[0] if reasons else "stop"
    if plan.stops and len(behind.text(token_ids)) > len(text):
        token_ids = token_ids[: _n_tokens_of(text, token_ids, behind)]
        reason = "stop"
    return Generation(text, token_ids, reason)


def _chunks(
    sampler: Sampler,
    plan: Plan,
    chunk: int,
    made: list[NDArray[np.uint32]],
    reasons: list[Reason],
) -> Iterator[NDArray[np.uint32]]:
    left = plan.max_tokens
    while left:
        wanted = min(left, chunk)
        drawn, ended = sampler.sample(wanted)
        made.append(drawn)
        if ended:
            reasons.append("max_copy" if ended == "max_copy" else "end_of_text")
        yield drawn
        if ended:
            return
        left -= wanted
    reasons.append("length")


def _until_stop(pieces: Iterator[str], plan: Plan) -> Iterator[str]:
    """Pieces up to the first stop string; what may be the beginning of one waits."""
    longest = max(map(len, plan.stops), default=1)
    waiting = ""
    for piece in pieces:
        waiting += piece
        # the one that ends first, wherever pieces end
        found = [(at + len(s), at) for s in plan.stops if (at := waiting.find(s)) >= 0]
        if found:
            yield waiting[: min(found)[1]]
            return
        settled = max(len(waiting) - longest + 1, 0)
        yield waiting[:settled]
        waiting = waiting[settled:]
    yield waiting


def _n_tokens_of(text: str, token_ids: NDArray[np.uint32], behind: Behind) -> int:
    """The fewest tokens whose text reaches as far."""
    low, high = 0, len(token_ids)
    while low < high:
        middle = (low + high) // 2
        if len(behind.text(token_ids[:middle])) < len(text):
            low = middle + 1
        else:
            high = middle
    while low < len(token_ids) and not behind.text(token_ids[:low]).startswith(text):
        low += 1  # half a character is as long as a whole one
    return low
