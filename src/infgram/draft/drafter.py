"""Drafts from an index, from what this process wrote before, and from the request itself."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import RLock
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import native
from ..checks import flag, flat_numbers, number, several, whole
from ..errors import (
    InvalidParameter,
    NotASession,
    NothingProposed,
    RequestExists,
    TokenizerUnavailable,
    UnknownRequest,
)
from ..index import Index, check_index
from ..models.calibration import calibration_of, textbook_discounts
from ..native import Draft as NativeDraft
from ..seeds import generator
from ..text import tokens
from ..values.value import Value, content
from . import session
from .cost import batch_cost, check_cost, length_that_pays, share_of_cost
from .turns import in_turn

Source: TypeAlias = Literal["live", "session", "static"]
_SOURCES: tuple[Source, ...] = ("live", "session", "static")
_CACHE_BYTES = 6 << 20
_MAX_DEPTH = 64
_MAX_TOKENS = 4096  # of a draft: far more than any model reads in a step at the price of one
MAX_VOCAB_SIZE = 1 << 26
_MAX_KEPT = 1 << 30  # tokens: 200 gigabytes


@dataclass(frozen=True, eq=False, repr=False)
class Draft(Value):
    """A tree of tokens that a model may write next; parents come before their children.

    - `token_ids`: int32, of shape (n,).
    - `parents`: int32, the index of each token's parent; -1 for what follows the context.
    - `probs`: float32, the calibrated probability that a token is accepted, its parents with it.
    - `expected_accept`: the sum of `probs`, tokens.
    - `q`: where tokens were drawn, the laws that the children of a token were drawn from:
      {parent: (token_ids, probs)}, siblings without those before them. Empty otherwise.
    - `match_lengths`: int32, of the longest match that speaks for each token.
    - `sources`: who says so: "live" (the request's own text), "session" (what was written before),
      "static" (the index).

    Fields named as Arctic's suffix decoding names them mean the same.
    """

    native: NativeDraft

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, Draft) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        return f"<infgram.draft.Draft of {len(self)} tokens, expected {self.expected_accept:.2f}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_draft, self._arrays()

    def _arrays(self) -> tuple[Any, ...]:
        """What it is made of."""
        of = self.native
        return (
            of.token_ids,
            of.parents,
            of.probs,
            of.match_lengths,
            of.origins,
            list(of.proposals),
        )

    def _content(self) -> Any:
        return content(self._arrays())

    def __len__(self) -> int:
        return len(self.native)

    @cached_property
    def token_ids(self) -> NDArray[np.int32]:
        return self.native.token_ids

    @cached_property
    def parents(self) -> NDArray[np.int32]:
        return self.native.parents

    @cached_property
    def probs(self) -> NDArray[np.float32]:
        return self.native.probs

    @property
    def expected_accept(self) -> float:
        return self.native.expected

    @cached_property
    def q(self) -> dict[int, tuple[NDArray[np.uint32], NDArray[np.float64]]]:
        return {parent: (ids, probs) for parent, ids, probs in self.native.proposals}

    @cached_property
    def match_lengths(self) -> NDArray[np.int32]:
        return self.native.match_lengths

    @property
    def match_len(self) -> int:
        """Of the first token; 0 for an empty draft."""
        return int(self.match_lengths[0]) if len(self) else 0

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        return tuple(_SOURCES[origin] for origin in self.native.origins.tolist())

    @cached_property
    def depths(self) -> NDArray[np.int32]:
        """Tokens from the context to each token, itself included: 1 for what follows at once."""
        depths = np.zeros(len(self) + 1, np.int32)  # the last one is the context's
        for i, parent in enumerate(self.parents.tolist()):
            depths[i] = depths[parent] + 1
        return depths[:-1]

    def path(self) -> NDArray[np.int32]:
        """The tokens of the likeliest path, for engines that verify no trees."""
        path = []
        at = -1
        for i, parent in enumerate(self.parents.tolist()):  # siblings come by falling probability
            if parent == at:
                path.append(i)
                at = i
        return self.token_ids[path]

    def accepted(self, token_ids: Sequence[int]) -> list[int]:
        """Places of the first of these tokens, as far as the draft has them below each other.

        Raises TokenError.
        """
        ids = tokens.check_ids(token_ids, tokens.ABSENT).astype(np.uint32, copy=False)
        return self.native.accepted(ids).tolist()

    def child(self, parent: int, token: int) -> int | None:
        """The place of the child that is this token, if there is one. Raises InvalidParameter."""
        whole(-1, 2**31 - 1, parent=parent)
        whole(0, tokens.ABSENT, token=token)
        place = self.native.child(parent, token)
        return place if place >= 0 else None

    def children(self, parent: int) -> list[int]:
        """Places of a token's children, in their order; -1: of those that follow the context."""
        return np.flatnonzero(self.parents == parent).tolist()

    def mask(self) -> NDArray[np.bool_]:
        """What each token attends to of the draft: itself and its parents. Shape (n, n)."""
        mask = np.eye(len(self), dtype=bool)
        for i, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                mask[i] |= mask[parent]
        return mask

    def positions(self, start: int) -> NDArray[np.int64]:
        """Of each token in the text, where `start` tokens are before the draft."""
        return start + self.depths.astype(np.int64) - 1

    def retrieve_indices(self) -> NDArray[np.int64]:
        """Every path from the context to a leaf, as places of tokens; padded by -1 at the end."""
        leaves = np.setdiff1d(np.arange(len(self)), self.parents)
        depth = int(self.depths.max(initial=0))
        paths = np.full((len(leaves), depth), -1, np.int64)
        for row, leaf in enumerate(leaves.tolist()):
            at = leaf
            while at >= 0:
                paths[row, self.depths[at] - 1] = at
                at = int(self.parents[at])
        return paths


def _restore_draft(*arrays: Any) -> Draft:
    return Draft(NativeDraft(*arrays))


@dataclass(frozen=True, eq=False, repr=False)
class Totals(Value):
    """What all drafts of a drafter came to, whose outcome is known. Counts are of tokens.

    - `steps`: of the model.
    - `drafted`, `accepted`: by the model.
    - `written`: accepted, and the model's own.
    - `expected`: that were expected to be accepted.
    """

    steps: int
    drafted: int
    accepted: int
    written: int
    expected: float

    @property
    def tokens_per_step(self) -> float:
        """Mean acceptance length, the model's own token included; nan before the first step."""
        return self.written / self.steps if self.steps else float("nan")


class Drafter:
    """Proposes what a model may write next.

    - `indexes`: one or several over the model's token ids, or none: then what was written before
      is all there is. A token must have the same id in all of them, and in the model.
    - `weights`: how far each index is believed, above 0 and at most 1; what it is not believed
      goes to shorter matches. None: fully.
    - `vocab_size`: of the model; None: of the first index.
    - `max_tokens`: of a draft, unless `propose` says otherwise; at most 4,096.
    - `tree`: whether a draft is a tree, or a single path.
    - `cost`: what a step of the model costs with 0, 1, 2, ... drafted tokens, in any unit
      (`infgram draft profile` measures it). A draft is then as large as pays, and empty where
      nothing does.
    - `session_tokens`: how much of finished requests' output is remembered; about 200 bytes each.
      The older half goes when it is full.
    - `request_tokens`: how much of a running request is remembered in the same way.
    - `max_requests`: running requests; the one that was used least recently is forgotten when
      there are more.

    Threads may share a drafter, and a generator to draw with; they take turns. Drafts depend on
    nothing but what was read.

    Raises InvalidParameter, TokenizerUnavailable.

    >>> import infgram
    >>> from infgram.draft import Drafter
    >>> drafter = Drafter(infgram.build(["to be or not to be"]), max_tokens=4, tree=False)
    >>> drafter.start("a", list(b"to be or "))
    >>> bytes(drafter.propose("a").path().tolist())
    b'not '
    >>> drafter.accept("a", list(b"not to"))  # what the model made of it
    >>> drafter.stop("a")
    """

    draws = True  # `propose` has `sample`

    def __init__(
        self,
        *indexes: Index,
        weights: Sequence[float] | None = None,
        vocab_size: int | None = None,
        max_tokens: int = 8,
        tree: bool = True,
        cost: ArrayLike | None = None,
        session_tokens: int = 200_000,
        request_tokens: int = 16_384,
        max_requests: int = 1024,
    ) -> None:
        self.indexes = indexes
        self.vocab_size = _vocab_size(indexes, vocab_size)
        whole(0, _MAX_KEPT, session_tokens=session_tokens)
        whole(1, _MAX_KEPT, request_tokens=request_tokens)
        whole(1, max_requests=max_requests)
        self.max_tokens = max_tokens
        self.tree = tree
        self.cost = check_cost(cost)
        self._limits = _limits(max_tokens, 0.0, tree, self.cost)
        self._turn = RLock()
        self._max_requests = max_requests
        self._requests: OrderedDict[Hashable, native.DraftRequest] = OrderedDict()
        believed = _weights(weights, len(indexes))
        fits = [calibration_of(index, adapt=True) for index in indexes]
        exponent, live = (fits[0].exponent, fits[0].live) if fits else textbook_discounts()
        assert live is not None
        self._engine = native.DraftEngine(
            vocab_size=self.vocab_size,
            exponent=exponent,
            live=live,
            corpora=[
                (index.native, fit.corpus, weight)
                for index, fit, weight in zip(indexes, fits, believed, strict=True)
            ],
            cache_bytes=_CACHE_BYTES,
            session_tokens=session_tokens,
            request_tokens=request_tokens,
        )

    @property
    def tokenizer(self) -> tokens.Tokenizer:
        """Of the indexes; where there are none, of bare token ids."""
        if self.indexes:
            return self.indexes[0].tokenizer
        return tokens.load("ids", vocab_size=self.vocab_size)

    def __len__(self) -> int:
        """Running requests."""
        return len(self._requests)

    def __contains__(self, request_id: Hashable) -> bool:
        """Whether a request is running."""
        return request_id in self._requests

    @in_turn
    def start(
        self,
        request_id: Hashable,
        prompt_ids: tokens.Ids,
        *,
        indexes: Sequence[Index] | None = None,
    ) -> None:
        """Begins a request whose context is the prompt.

        indexes: which of the drafter's indexes it is drafted from, none of them where that is
        empty; None: all. What was written before is drafted from in any case.

        Raises RequestExists, TokenOutOfRange, InvalidParameter.
        """
        if request_id in self._requests:
            raise RequestExists(
                f"request {request_id!r} is running: stop it, or give the new one another id"
            )
        request = self._engine.start(self._ids(prompt_ids), self._places(indexes))
        self._requests[request_id] = request
        while len(self._requests) > self._max_requests:
            self._requests.popitem(last=False)

    @in_turn
    def propose(
        self,
        request_id: Hashable,
        max_tokens: int | None = None,
        min_prob: float = 0.0,
        *,
        tree: bool | None = None,
        sample: bool = False,
        temperature: float = 1.0,
        rng: int | np.random.Generator | None = None,
        batch_size: int = 1,
    ) -> Draft:
        """What may come next. Takes time in proportion to `max_tokens`, at most 4,096.

        - `min_prob`: a token's probability to be accepted, its parents with it, must exceed it.
        - `tree`: whether the draft may branch; None: as the drafter says.
        - `sample`: tokens are drawn, at `temperature`, and the draft has their laws `q`: a model
          that samples accepts more of them than of the likeliest. `temperature` is above 0.
        - `batch_size`: texts that the step reads, this one among them. With a cost, drafts are
          the smaller the more there are: drafted tokens of all texts share what a processor can
          take at the price of one.

        Raises UnknownRequest, InvalidParameter.
        """
        request = self._running(request_id)
        limits = self._limits_of(max_tokens, min_prob, tree, batch_size)
        flag(sample=sample)
        if not sample:
            return Draft(self._engine.propose(request, limits))
        number(0, above=True, temperature=temperature)
        bits = generator(rng).bit_generator
        with bits.lock:
            return Draft(self._engine.draw(request, limits, temperature, bits))

    @in_turn
    def accept(
        self, request_id: Hashable, verified_ids: tokens.Ids, num_accepted: int | None = None
    ) -> None:
        """Tells what the model made of the last draft.

        - `verified_ids`: the tokens that the request has gained: those accepted of the draft, and
          the model's own behind them.
        - `num_accepted`: how many of them were accepted; checked if it is given.

        Raises UnknownRequest, NothingProposed, TokenOutOfRange, InvalidParameter; the request is
        then as it was.
        """
        request = self._running(request_id)
        if not request.has_draft:
            raise NothingProposed(
                f"request {request_id!r} has no draft to accept: propose one first, or give tokens "
                "that came without one to extend()"
            )
        ids = self._ids(verified_ids)
        check_accepted(num_accepted, len(ids))
        self._engine.accept(request, ids, num_accepted or 0)

    @in_turn
    def extend(self, request_id: Hashable, token_ids: tokens.Ids) -> None:
        """Adds tokens that came without a draft; the last draft is forgotten.

        Raises UnknownRequest, TokenOutOfRange.
        """
        request = self._running(request_id)
        self._engine.extend(request, self._ids(token_ids))

    @in_turn
    def stop(self, request_id: Hashable, *, keep: bool = True) -> None:
        """Ends a request. keep: what the model wrote becomes part of the session.

        Raises UnknownRequest.
        """
        request = self._running(request_id)
        del self._requests[request_id]
        if keep:
            self._engine.keep(request)

    @in_turn
    def propose_batch(
        self,
        request_ids: Sequence[Hashable],
        max_tokens: int | Sequence[int] | None = None,
        min_prob: float = 0.0,
        *,
        tree: bool | None = None,
        sample: bool = False,
        temperature: float = 1.0,
        rng: int | np.random.Generator | None = None,
    ) -> list[Draft]:
        """Drafts for several requests that one step reads, in their order; as `propose` for each.

        - `max_tokens`: of each, or one number for all.

        With a cost, and where tokens are not drawn, they are cut to the length that pays for all:
        a step reads as many tokens of each text as the longest draft has.

        Raises UnknownRequest, InvalidParameter.
        """
        several("ids of requests", request_ids=request_ids)
        running = [self._running(request_id) for request_id in request_ids]
        most = most_each(max_tokens, len(running))
        flag(sample=sample)
        random = generator(rng) if sample else None
        drafts = [
            self.propose(
                *(each, n, min_prob),
                tree=tree,
                sample=sample,
                temperature=temperature,
                rng=random,
                batch_size=len(running),
            )
            for each, n in zip(request_ids, most, strict=True)
        ]
        if self.cost is None or sample or len(running) < 2:
            return drafts
        n = length_that_pays([draft.probs for draft in drafts], batch_cost(self.cost, len(running)))
        return [
            Draft(self._engine.shorten(request, n)) if len(draft) > n else draft
            for request, draft in zip(running, drafts, strict=True)
        ]

    def propose_ids(
        self, context_ids: tokens.Ids, max_tokens: int | None = None, min_prob: float = 0.0
    ) -> Draft:
        """What may come after a context that is given as a whole and not remembered.

        Reads all of it, a few microseconds a token: `start` and `accept` read each token once.
        """
        request = self._engine.start(self._ids(context_ids), self._places(None))
        return Draft(self._engine.propose(request, self._limits_of(max_tokens, min_prob)))

    @property
    def totals(self) -> Totals:
        """Of all requests so far."""
        return Totals(*self._engine.totals())

    @in_turn
    def save_session(self, path: str | os.PathLike[str]) -> None:
        """Writes down what finished requests wrote, and how well drafts did.

        Raises StorageError.
        """
        chosen, drawn = self._engine.acceptance()
        session.save(session.Session(self.vocab_size, self._engine.session(), chosen, drawn), path)

    @in_turn
    def load_session(self, path: str | os.PathLike[str]) -> None:
        """Goes on with a saved session instead of the present one.

        Raises NotASession, TokenizerUnavailable, OSError; the drafter is then as it was.
        """
        found = session.load(path)
        if found.vocab_size != self.vocab_size:
            raise TokenizerUnavailable(
                f"{path} is of a vocabulary of {found.vocab_size:,} tokens, the drafter's has "
                f"{self.vocab_size:,}: they are not of the same model"
            )
        before = self._engine.acceptance()
        try:
            self._engine.set_acceptance(found.chosen, found.drawn)
            self._engine.set_session(found.token_ids)
        except ValueError as error:
            self._engine.set_acceptance(*before)
            raise NotASession(f"{path} is damaged: {error}; start without it") from error

    @in_turn
    def forget_session(self) -> None:
        """Forgets what finished requests wrote, not how well drafts did."""
        self._engine.set_session(np.zeros(0, np.uint32))

    def _places(self, indexes: Sequence[Index] | None) -> NDArray[np.uint32]:
        """Of some of the drafter's indexes among them."""
        if indexes is None:
            return np.arange(len(self.indexes), dtype=np.uint32)
        several("of the drafter's indexes", indexes=indexes)
        asked = {id(index) for index in indexes}
        places = [place for place, index in enumerate(self.indexes) if id(index) in asked]
        if len(places) != len(asked):
            raise InvalidParameter(
                f"indexes has {len(asked)}, of which the drafter has {len(places)}, expected some "
                f"of its {len(self.indexes)}: make the drafter with all that requests may use"
            )
        return np.array(places, np.uint32)

    def _running(self, request_id: Hashable) -> native.DraftRequest:
        try:
            request = self._requests[request_id]
        except KeyError:
            raise UnknownRequest(
                f"no request {request_id!r} is running: it was not started, was stopped, or was "
                f"forgotten since {self._max_requests:,} others were used later"
            ) from None
        self._requests.move_to_end(request_id)
        return request

    def _limits_of(
        self,
        max_tokens: int | None = None,
        min_prob: float = 0.0,
        tree: bool | None = None,
        batch_size: int = 1,
    ) -> native.DraftLimits:
        """Those of a draft; the drafter's own where there is no other wish."""
        if (max_tokens, min_prob, tree, batch_size) == (None, 0.0, None, 1):
            return self._limits
        whole(1, batch_size=batch_size)
        cost = None if self.cost is None else share_of_cost(self.cost, batch_size)
        most = self.max_tokens if max_tokens is None else max_tokens
        return _limits(most, min_prob, self.tree if tree is None else tree, cost)

    def _ids(self, ids: tokens.Ids) -> NDArray[np.uint32]:
        return tokens.check_ids(ids, self.vocab_size).astype(np.uint32, copy=False)


def draft_of(token_ids: Sequence[int], parents: Sequence[int]) -> Draft:
    """Tokens that somebody else proposed, as a draft of infgram's."""
    zeros = np.zeros(len(token_ids), np.int32)
    return Draft(
        native.Draft(
            np.array(token_ids, np.int32),
            np.array(parents, np.int32),
            zeros.astype(np.float32),
            zeros,
            zeros.astype(np.uint8),
        )
    )


def check_accepted(num_accepted: int | None, n_verified: int) -> None:
    """How many of some tokens were accepted, if that is told. Raises InvalidParameter."""
    if num_accepted is not None:
        whole(0, n_verified, num_accepted=num_accepted)


def most_each(max_tokens: int | Sequence[int] | None, n: int) -> Sequence[int | None]:
    """How many tokens each of n drafts may have. Raises InvalidParameter."""
    if not isinstance(max_tokens, Sequence):
        return [max_tokens] * n
    if len(max_tokens) != n:
        raise InvalidParameter(
            f"max_tokens has {len(max_tokens)} numbers, expected one, or one for each of {n} drafts"
        )
    return max_tokens


def _limits(
    max_tokens: int, min_prob: float, is_tree: bool, cost: NDArray[np.float64] | None
) -> native.DraftLimits:
    whole(0, _MAX_TOKENS, max_tokens=max_tokens)
    number(0, 1, min_prob=min_prob)
    flag(tree=is_tree)
    return native.DraftLimits(
        max_tokens=max_tokens, max_depth=_MAX_DEPTH, min_prob=min_prob, is_tree=is_tree, cost=cost
    )


def _weights(given: Sequence[float] | None, n: int) -> list[float]:
    weights = np.ones(n) if given is None else flat_numbers(given)
    if weights is None or len(weights) != n or not np.all((weights > 0.0) & (weights <= 1.0)):
        raise InvalidParameter(
            f"weights is {given!r}, expected {n} numbers above 0 and at most 1, one an index"
        )
    return weights.tolist()


def _vocab_size(indexes: Sequence[Index], given: int | None) -> int:
    for index in indexes:
        check_index(indexes=index)
    if given is not None:
        whole(1, MAX_VOCAB_SIZE, vocab_size=given)
    if not indexes and given is None:
        raise InvalidParameter("expected an index, or a vocab_size for a drafter without one")
    for other in indexes[1:]:
        if other.tokenizer.spec() != indexes[0].tokenizer.spec():
            raise TokenizerUnavailable(
                f"{other.path.name} has another tokenizer than {indexes[0].path.name}: only "
                "indexes with the same one can draft together"
            )
    size = indexes[0].tokenizer.vocab_size if given is None else given
    if size > MAX_VOCAB_SIZE:
        raise InvalidParameter(
            f"the vocabulary has {size:,} tokens, expected at most {MAX_VOCAB_SIZE:,}: a drafter "
            "has a place for each; give the model's vocab_size"
        )
    largest = max((int(index.alphabet[1:].max()) for index in indexes), default=0)
    if size <= largest:
        raise TokenizerUnavailable(
            f"the model's vocabulary has {size:,} tokens, but the index has token {largest:,}: it "
            "was built with another tokenizer; build it again with the model's"
        )
    return size
