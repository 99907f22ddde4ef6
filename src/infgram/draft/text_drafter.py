"""Drafts for any model from indexes of bytes: one index serves models with any tokenizer.

Bytes are drafted, and each path of the draft is read as the model's tokenizer reads it behind the
context's last tokens. What comes of that is a guess about tokens: a model may cut the same text
differently, and the last token of a path may go on where the draft ends. Verification makes it
exact, as ever; `probs` are scaled by how often such tokens turned out to be accepted.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import native
from ..checks import number, several, whole
from ..errors import (
    InvalidParameter,
    NothingProposed,
    TokenError,
    TokenizerUnavailable,
    TokenOutOfRange,
    UnknownRequest,
)
from ..index import Index, check_index
from ..text import tokens
from .cost import batch_cost, check_cost, length_that_pays, share_of_cost
from .drafter import MAX_VOCAB_SIZE, Draft, Drafter, Totals, check_accepted, most_each
from .turns import in_turn

_BYTES_A_TOKEN = 5  # drafted: a little more than tokens of prose and code have
_MOST_BYTES = 256  # of a draft
_TAIL = 4  # tokens of context that are encoded with a draft, since it may join on to them
_PRIOR = 10.0  # tokens expected, that a kind of token counts as accepted so often
_OF_ENGINES = (
    *("start", "propose", "accept", "stop"),
    *("vocab_size", "max_tokens", "tree", "draws"),
)
_CUT = "\N{REPLACEMENT CHARACTER}".encode()  # decoded from part of a character


@dataclass
class _Request:
    """Tokens, and how much of their text the byte drafter has."""

    ids: list[int]
    begin: int = 0  # of the last tokens whose text was read, and their end
    end: int = 0
    draft: Draft | None = None
    is_last: list[bool] = field(default_factory=list)  # of its path, for each token of the draft


class TextDrafter:
    """Proposes tokens of a model from indexes of bytes, whatever its tokenizer is.

    - `indexes`: built with the tokenizer "bytes", the default.
    - `tokenizer`: the model's: an object of transformers, `tokenizers` or tiktoken, or as
      `infgram build --tokenizer` takes it, the path of a `tokenizers` JSON file or of a model's
      folder, or "tiktoken:NAME".
    - `vocab_size`: of the model; None: of the tokenizer. Ids that the tokenizer has no text for,
      as those that pad a vocabulary, are read as no text.
    - `max_tokens`, `tree`, `cost` and other options: as those of `Drafter`; `session_tokens` and
      `request_tokens` count bytes.

    Has Drafter's `start`, `propose`, `accept`, `extend`, `stop` and `totals`; tokens are never
    drawn (`sample`). A draft costs a few calls of the tokenizer, some tenths of a millisecond.

    Raises InvalidParameter, TokenizerUnavailable, MissingExtra.

    >>> import infgram
    >>> from infgram.draft import TextDrafter
    >>> index = infgram.build(["to be or not to be"])
    >>> drafter = TextDrafter(index, tokenizer="chars", tree=False)
    >>> drafter.start("a", [ord(c) for c in "to be or "])
    >>> "".join(map(chr, drafter.propose("a", 4).path()))
    'not '
    """

    draws = False

    def __init__(
        self,
        *indexes: Index,
        tokenizer: Any,
        vocab_size: int | None = None,
        max_tokens: int = 8,
        tree: bool = True,
        cost: ArrayLike | None = None,
        session_tokens: int = 800_000,
        request_tokens: int = 65_536,
        max_requests: int = 1024,
    ) -> None:
        for index in indexes:
            check_index(indexes=index)
            if index.tokenizer.name != "bytes":
                raise TokenizerUnavailable(
                    f"{index.path.name} has the tokenizer {index.tokenizer.name!r}, expected "
                    "'bytes': Drafter serves models with the tokenizer of the index"
                )
        by_name = isinstance(tokenizer, str | os.PathLike)
        self.tokenizer = tokens.load(tokenizer) if by_name else tokens.of_object(tokenizer)
        if vocab_size is not None:
            whole(1, MAX_VOCAB_SIZE, vocab_size=vocab_size)
        self.vocab_size = self.tokenizer.vocab_size if vocab_size is None else vocab_size
        if self.vocab_size < self.tokenizer.vocab_size:
            raise TokenizerUnavailable(
                f"the model's vocabulary has {self.vocab_size:,} tokens, its tokenizer "
                f"{self.tokenizer.vocab_size:,}: it is another model's"
            )
        whole(0, max_tokens=max_tokens)
        self.max_tokens = max_tokens
        self.tree = tree
        self.cost = check_cost(cost)
        self._bytes = Drafter(
            *indexes,
            vocab_size=256,
            tree=tree,
            session_tokens=session_tokens,
            request_tokens=request_tokens,
            max_requests=max_requests,
        )
        self._turn = RLock()
        self._requests: dict[Hashable, _Request] = {}
        self._texts: dict[int, bytes | None] = {}  # of tokens alone
        self._n = np.zeros(4, np.int64)  # steps, drafted, accepted, written
        self._expected = 0.0
        # Of tokens inside a path, and of its last one: how many were expected, and accepted.
        self._outcomes = {False: [_PRIOR, _PRIOR], True: [_PRIOR, _PRIOR]}

    def __len__(self) -> int:
        """Running requests."""
        return len(self._bytes)

    def __contains__(self, request_id: Hashable) -> bool:
        """Whether a request is running."""
        return request_id in self._bytes

    @property
    def totals(self) -> Totals:
        """Of all requests so far, in the model's tokens."""
        steps, drafted, accepted, written = self._n.tolist()
        return Totals(steps, drafted, accepted, written, self._expected)

    @in_turn
    def start(
        self,
        request_id: Hashable,
        prompt_ids: tokens.Ids,
        *,
        indexes: Sequence[Index] | None = None,
    ) -> None:
        """As Drafter's. Raises RequestExists, TokenOutOfRange, InvalidParameter."""
        request = _Request(self._ids(prompt_ids))
        self._bytes.start(request_id, list(self._read(request)), indexes=indexes)
        self._requests[request_id] = request
        if len(self._requests) > len(self._bytes):  # it has forgotten one
            self._requests = {k: v for k, v in self._requests.items() if k in self._bytes}

    @in_turn
    def propose(
        self,
        request_id: Hashable,
        max_tokens: int | None = None,
        min_prob: float = 0.0,
        *,
        tree: bool | None = None,
        batch_size: int = 1,
    ) -> Draft:
        """As Drafter's, of likely tokens. Raises UnknownRequest, InvalidParameter."""
        request = self._running(request_id)
        most = self.max_tokens if max_tokens is None else max_tokens
        whole(0, max_tokens=most)
        whole(1, batch_size=batch_size)
        number(0, 1, min_prob=min_prob)
        n_bytes = min(most * _BYTES_A_TOKEN, _MOST_BYTES)
        drafted = self._bytes.propose(request_id, n_bytes, tree=tree)
        is_whole = request.end == len(request.ids)  # no character is cut behind the context
        found = self._retokenize(request, drafted) if is_whole else []
        request.draft, request.is_last = self._choose(found, most, min_prob, batch_size)
        return request.draft

    @in_turn
    def propose_batch(
        self,
        request_ids: Sequence[Hashable],
        max_tokens: int | Sequence[int] | None = None,
        min_prob: float = 0.0,
        *,
        tree: bool | None = None,
    ) -> list[Draft]:
        """As Drafter's, of likely tokens. Raises UnknownRequest, InvalidParameter."""
        several("ids of requests", request_ids=request_ids)
        running = [self._running(request_id) for request_id in request_ids]
        drafts = [
            self.propose(each, n, min_prob, tree=tree, batch_size=len(running))
            for each, n in zip(request_ids, most_each(max_tokens, len(running)), strict=True)
        ]
        if self.cost is None or len(running) < 2:
            return drafts
        n = length_that_pays([draft.probs for draft in drafts], batch_cost(self.cost, len(running)))
        shorter = [Draft(draft.native.shortened(n)) for draft in drafts]
        for request, draft in zip(running, shorter, strict=True):
            request.draft = draft
            del request.is_last[len(draft) :]
        return shorter

    @in_turn
    def accept(
        self, request_id: Hashable, verified_ids: tokens.Ids, num_accepted: int | None = None
    ) -> None:
        """As Drafter's.

        Raises UnknownRequest, NothingProposed, TokenOutOfRange, InvalidParameter.
        """
        request = self._running(request_id)
        if request.draft is None:
            raise NothingProposed(
                f"request {request_id!r} has no draft to accept: propose one first, or give tokens "
                "that came without one to extend()"
            )
        ids = self._ids(verified_ids)
        check_accepted(num_accepted, len(ids))
        path = request.draft.accepted(ids)
        if num_accepted is not None and num_accepted > len(path):
            raise InvalidParameter(
                f"num_accepted is {num_accepted}, but of the tokens given the draft has the first "
                f"{len(path)}"
            )
        for i, (prob, is_last) in enumerate(
            zip(request.draft.probs.tolist(), request.is_last, strict=True)
        ):
            outcome = self._outcomes[is_last]
            outcome[0] += prob / self._scale(is_last)
            outcome[1] += i in path
        self._n += [1, len(request.draft), len(path), len(ids)]
        self._expected += request.draft.expected_accept
        request.ids += ids
        self._bytes.accept(request_id, list(self._read(request)))
        request.draft = None

    @in_turn
    def extend(self, request_id: Hashable, token_ids: tokens.Ids) -> None:
        """As Drafter's. Raises UnknownRequest, TokenOutOfRange."""
        request = self._running(request_id)
        request.ids += self._ids(token_ids)
        self._bytes.extend(request_id, list(self._read(request)))
        request.draft = None

    @in_turn
    def stop(self, request_id: Hashable, *, keep: bool = True) -> None:
        """As Drafter's. Raises UnknownRequest."""
        self._bytes.stop(request_id, keep=keep)
        del self._requests[request_id]

    @in_turn
    def save_session(self, path: str | os.PathLike[str]) -> None:
        """As Drafter's: bytes, which serve models of other tokenizers too. Raises StorageError."""
        self._bytes.save_session(path)

    @in_turn
    def load_session(self, path: str | os.PathLike[str]) -> None:
        """As Drafter's. Raises NotASession, TokenizerUnavailable, OSError."""
        self._bytes.load_session(path)

    @in_turn
    def forget_session(self) -> None:
        """As Drafter's."""
        self._bytes.forget_session()

    def _running(self, request_id: Hashable) -> _Request:
        if request_id not in self._bytes:
            raise UnknownRequest(
                f"no request {request_id!r} is running: it was not started, was stopped, or was "
                "forgotten since many others were used later"
            )
        return self._requests[request_id]

    def _ids(self, ids: tokens.Ids) -> list[int]:
        checked: list[int] = tokens.check_ids(ids, self.vocab_size).tolist()
        return checked

    def _read(self, request: _Request) -> bytes:
        """The text of tokens that were not read. A character that is cut waits for its end."""
        ids = request.ids
        text = self._text(ids[request.begin :])
        if text.endswith(_CUT):
            return b""
        known = self._text(ids[request.begin : request.end])
        # A few tokens are decoded again: the first one alone may lack its space.
        request.begin, request.end = max(request.end, len(ids) - _TAIL), len(ids)
        return text[len(known) :]

    def _retokenize(
        self, request: _Request, drafted: Draft
    ) -> list[tuple[list[int], list[float], int, int]]:
        """Paths of tokens: ids, probabilities, the longest match and who says so."""
        tail = request.ids[-_TAIL:]
        before = self._text(tail)
        paths = []
        for places in drafted.retrieve_indices():
            path = places[places >= 0]
            text = drafted.token_ids[path].astype(np.uint8).tobytes()
            whole = before + text.decode("utf-8", "ignore").encode()
            ids = self._behind(tail, whole, len(before))
            if not ids:
                continue
            ends = self._ends(tail, ids, whole, len(before))
            probs = drafted.probs[path]
            paths.append(
                (
                    ids,
                    [float(probs[min(end, len(probs)) - 1]) for end in ends],
                    int(drafted.match_lengths[path[0]]),
                    int(drafted.native.origins[path[0]]),
                )
            )
        return paths

    def _behind(self, tail: list[int], whole: bytes, n_before: int) -> list[int]:
        """The tokens of a text that begins with the tail's, without the tail's."""
        try:
            ids: list[int] = self.tokenizer.encode(whole).tolist()
            if ids[: len(tail)] == tail:
                return ids[len(tail) :]
            # The tokenizer would cut the context elsewhere than the model did.
            alone: list[int] = self.tokenizer.encode(whole[n_before:]).tolist()
            return alone
        except TokenError:
            return []

    def _ends(self, tail: list[int], ids: list[int], whole: bytes, n_before: int) -> list[int]:
        """How many drafted bytes there are up to the end of each token; at least one each."""
        alone = [self._text_of(token) or b"" for token in ids]
        if b"".join(alone) == whole[n_before:]:
            return list(accumulate(map(len, alone)))
        ends: list[int] = []
        for n in range(1, len(ids) + 1):  # tokens that look different alone
            text = self._text(tail + ids[:n])
            ends.append(max(_n_common(text, whole) - n_before, 1, *ends[-1:]))
        return ends

    def _text(self, ids: list[int]) -> bytes:
        """The text of tokens, without those that have none."""
        try:
            return self.tokenizer.decode(ids)
        except TokenOutOfRange:
            return self.tokenizer.decode([i for i in ids if self._text_of(i) is not None])

    def _text_of(self, token: int) -> bytes | None:
        """Of a token alone; None where it stands for nothing."""
        if token not in self._texts:
            try:
                self._texts[token] = self.tokenizer.decode([token])
            except TokenOutOfRange:
                self._texts[token] = None
        return self._texts[token]

    def _scale(self, is_last: bool) -> float:
        expected, accepted = self._outcomes[is_last]
        return min(accepted / expected, 1.0)

    def _choose(
        self,
        paths: list[tuple[list[int], list[float], int, int]],
        most: int,
        min_prob: float,
        batch_size: int,
    ) -> tuple[Draft, list[bool]]:
        """The likeliest tokens of all paths, as a tree."""
        nodes: dict[tuple[int, ...], tuple[float, bool, int, int]] = {}
        for ids, probs, match_length, origin in paths:
            so_far = 1.0
            for n, prob in enumerate(probs, start=1):
                is_last = n == len(ids)
                so_far = min(so_far, prob * self._scale(is_last))
                key = tuple(ids[:n])
                if key not in nodes or nodes[key][0] < so_far:
                    nodes[key] = (so_far, is_last, match_length, origin)
        best = sorted(
            (item for item in nodes.items() if item[1][0] > min_prob),
            key=lambda item: (-item[1][0], len(item[0])),
        )
        places: dict[tuple[int, ...], int] = {(): -1}
        for key, _ in best[:most]:
            if key[:-1] in places:
                places[key] = len(places) - 1
        del places[()]
        chosen = list(places)
        if self.cost is not None:
            likely = np.array([nodes[key][0] for key in chosen])
            chosen = chosen[: native.n_that_pay(likely, share_of_cost(self.cost, batch_size))]
        draft = Draft(
            native.Draft(
                np.array([key[-1] for key in chosen], np.int32),
                np.array([places.get(key[:-1], -1) for key in chosen], np.int32),
                np.array([nodes[key][0] for key in chosen], np.float32),
                np.array([nodes[key][2] for key in chosen], np.int32),
                np.array([nodes[key][3] for key in chosen], np.uint8),
            )
        )
        return draft, [nodes[key][1] for key in chosen]


def check_drafter(*more: str, **named: object) -> None:
    """Each has what engines ask of a drafter, and `more` names, whoever made it.

    Raises InvalidParameter.
    """
    for name, value in named.items():
        if not all(hasattr(value, each) for each in (*_OF_ENGINES, *more)):
            raise InvalidParameter(
                f"{name} is {value!r}, expected a Drafter or a TextDrafter: Drafter(index) makes "
                "one"
            )


def _n_common(a: bytes, b: bytes) -> int:
    """Bytes at the beginning that are the same."""
    pairs = zip(a, b, strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
