"""Drafts for SGLang: a plug-in that drafts for its `NGRAM` algorithm, and corpora for its own.

SGLang is imported only where it loads the plug-in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks import whole
from ...errors import InvalidParameter, TokenError, TokenizerUnavailable
from ...index import Index, check_index
from ...index import open as open_index
from ...store.directory import replacing
from ..drafter import Draft, Drafter
from .follower import Follower

INDEX = "INFGRAM_SGLANG_INDEX"
"""The environment variable that names an index, or several as `PATH` does."""

_WORKER = "sglang.srt.speculative.ngram_worker.NGRAMWorker"
_PROMPT_TOKENS = 1024  # are read at most; SGLang copies as many, twice for a request and step
_MAX_REQUESTS = 1 << 20  # none is forgotten before SGLang says so


class _Trees:
    """All of a corpus but `batch_get`, of which SGLang's versions expect different results."""

    def __init__(
        self,
        *indexes: Index,
        draft_token_num: int,
        vocab_size: int | None = None,
        session_tokens: int = 200_000,
    ) -> None:
        whole(1, draft_token_num=draft_token_num)
        self._indexes = indexes
        self._options: dict[str, Any] = {
            "vocab_size": vocab_size,
            "max_tokens": draft_token_num - 1,
            "session_tokens": session_tokens,
            "max_requests": _MAX_REQUESTS,
        }
        self._n = draft_token_num
        self.reset()

    def _get(
        self,
        req_ids: Sequence[str],
        batch_tokens: Sequence[Sequence[int]],
        total_lens: Sequence[int],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Token ids, what each attends to, and the length of the match behind each tree."""
        ids = np.zeros((len(req_ids), self._n), np.int64)
        match_lens = np.zeros(len(req_ids), np.int64)
        mask = np.zeros((len(req_ids), self._n, self._n), np.int64)
        mask[:, :, 0] = 1
        mask[:, range(self._n), range(self._n)] = 1
        for row, (request, tail, n_tokens) in enumerate(
            zip(req_ids, batch_tokens, total_lens, strict=True)
        ):
            ids[row, 0] = tail[-1]
            draft = self._draft(request, np.asarray(tail, np.int64), n_tokens)
            if draft is None:
                continue
            drafted = slice(1, 1 + len(draft))
            ids[row, drafted] = draft.token_ids
            mask[row, drafted, drafted] = draft.mask()
            match_lens[row] = draft.match_len
        return ids.reshape(-1), mask.reshape(-1), match_lens

    def batch_put(self, batch_tokens: Sequence[Sequence[int]]) -> None:
        """Nothing: `batch_get` has read what was written."""

    def synchronize(self) -> None:
        """Nothing: reading is done when `batch_get` returns."""

    def erase_match_state(self, req_ids: Sequence[str]) -> None:
        """Ends requests; what the model wrote becomes part of the session."""
        for request in req_ids:
            if request in self._followers:
                self._followers.pop(request).stop()

    def reset(self) -> None:
        """Forgets all requests, and what was written."""
        self._drafter = Drafter(*self._indexes, **self._options)
        self._followers: dict[str, Follower] = {}

    def _draft(self, request: str, tail: NDArray[np.int64], n_tokens: int) -> Draft | None:
        """None where ids are outside the vocabulary: others' requests go on."""
        follower = self._followers.get(request)
        try:
            if follower is not None and follower.continues(tail, n_tokens):
                follower.read(tail, n_tokens)
            else:
                self.erase_match_state([request])
                follower = Follower(self._drafter, tail, n_tokens, n_written=1)
                self._followers[request] = follower
        except TokenError:
            return None
        return follower.propose(self._n - 1)


class Corpus(_Trees):
    """What SGLang's `NGRAM` worker asks for drafts: it has the methods of its `NgramCorpus`.

    - `indexes`, `vocab_size`, `session_tokens`: as `Drafter` takes them.
    - `draft_token_num`: of the trees that are verified, their root, the last token, among them.

    Raises InvalidParameter, TokenizerUnavailable.

    >>> import infgram
    >>> corpus = Corpus(infgram.build(["to be or not to be"]), draft_token_num=2)
    >>> text = list(b"to be or ")
    >>> ids, mask = corpus.batch_get(["a"], [text], [len(text)])
    >>> bytes(ids.tolist()), mask.tolist()
    (b' n', [1, 0, 1, 1])
    """

    def batch_get(
        self,
        req_ids: Sequence[str],
        batch_tokens: Sequence[Sequence[int]],
        total_lens: Sequence[int],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A tree for each request, of n = `draft_token_num` tokens.

        - `batch_tokens`: the last tokens of each request.
        - `total_lens`: how many tokens each has.

        Gives token ids of shape (n_requests * n,), filled up with zeros, and what each token
        attends to, 0 or 1, of shape (n_requests * n * n,), row by row.
        """
        ids, mask, _ = self._get(req_ids, batch_tokens, total_lens)
        return ids, mask


class CorpusWithLengths(_Trees):
    """The same for an SGLang after 0.5.23, whose worker is told how long a match is, too.

    >>> import infgram
    >>> corpus = CorpusWithLengths(infgram.build(["to be or not to be"]), draft_token_num=2)
    >>> text = list(b"to be or ")
    >>> ids, mask, match_lens = corpus.batch_get(["a"], [text], [len(text)])
    >>> match_lens.tolist()
    [9]
    """

    def batch_get(
        self,
        req_ids: Sequence[str],
        batch_tokens: Sequence[Sequence[int]],
        total_lens: Sequence[int],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """As Corpus's, and the length of the match behind each tree, of shape (n_requests,)."""
        return self._get(req_ids, batch_tokens, total_lens)


_CORPORA = {2: Corpus, 3: CorpusWithLengths}  # by the arrays that `batch_get` gives


def plugin() -> None:
    """The entry point of SGLang's plug-ins: its `NGRAM` algorithm asks infgram for drafts.

    Does nothing unless the environment variable `INFGRAM_SGLANG_INDEX` names an index.
    """
    if os.environ.get(INDEX):
        from sglang.srt.plugins.hook_registry import (
            HookRegistry,
            HookType,
        )

        HookRegistry.register(f"{_WORKER}.__init__", _give_corpus, HookType.AFTER)


def _give_corpus(_: None, worker: Any, *args: object, **kwargs: object) -> None:
    """What happens after a worker was made."""
    if worker.list_external_corpora():
        raise InvalidParameter(
            f"--speculative-ngram-external-corpus-path is set, and so is {INDEX}, which takes its "
            "place: unset one of them, or put the corpus into an index (infgram build)"
        )
    n_arrays = len(worker.ngram_corpus.batch_get([], [], []))
    if n_arrays not in _CORPORA:
        raise InvalidParameter(
            f"SGLang's NGRAM worker takes {n_arrays} arrays of its corpus, expected 2 or 3: use a "
            f"version of SGLang that infgram knows, 0.5.23, or unset {INDEX}"
        )
    worker.ngram_corpus = _CORPORA[n_arrays](
        *map(open_index, os.environ[INDEX].split(os.pathsep)),
        draft_token_num=worker.draft_token_num,
        vocab_size=worker.model_runner.model_config.vocab_size,
    )
    worker.max_trie_depth = _PROMPT_TOKENS


def export_external_corpus(
    index: Index, path: str | os.PathLike[str], *, max_tokens: int = 10_000_000
) -> int:
    """Writes documents as `--speculative-ngram-external-corpus-path` takes them; their number.

    A JSON string a line: SGLang makes tokens of them itself, with the model's tokenizer.

    - `max_tokens`: SGLang refuses a corpus of more, and 10,000,000 is its default. Documents are
      written from the first on while they fit, each with a token that separates it. Counted in
      tokens of the index, so leave room where SGLang's are others.

    The file appears whole or not at all.

    Raises TokenizerUnavailable for bare token ids, InvalidParameter, StorageError.

    >>> import infgram
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "corpus.jsonl"
    >>> export_external_corpus(infgram.build(["to be or not to be"]), path)
    1
    >>> path.read_text()
    '"to be or not to be"\\n'
    """
    check_index(index=index)
    whole(1, max_tokens=max_tokens)
    if index.tokenizer.name == "ids":
        raise TokenizerUnavailable(
            f"{index.path.name} has bare token ids, and SGLang takes text: build it again with the "
            "file of the tokenizer"
        )
    n_tokens = n_documents = 0
    with replacing(path) as file:
        for i in range(index.n_documents):
            document = index.document(i)
            n_tokens += len(document.token_ids) + 1
            if n_tokens > max_tokens:
                break
            file.write(json.dumps(document.text).encode() + b"\n")
            n_documents += 1
        if not n_documents:
            raise InvalidParameter(
                f"max_tokens is {max_tokens:,}, and the first document alone has "
                f"{n_tokens - 1:,}: give more, or cut documents into smaller ones"
            )
    return n_documents
