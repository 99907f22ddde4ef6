"""Drafts for vLLM: `Proposer` is what it loads as a custom proposer.

Nothing of vLLM is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InvalidParameter, TokenError
from ...index import open as open_index
from ..drafter import Drafter
from .follower import Follower, Tokens

_EXAMPLE = 'additional_config={"infgram": {"index": "corpus.infgram"}}'
_OF_THE_DRAFTER = ("weights", "max_tokens", "cost", "session_tokens", "request_tokens")


class Proposer:
    """vLLM's custom proposer: drafts for the requests of a batch, by its rows.

    ```
    speculative_config={"method": "custom_class", "model": "infgram.draft.engines.vllm.Proposer",
                        "num_speculative_tokens": 8},
    additional_config={"infgram": {"index": "corpus.infgram"}}
    ```

    In `additional_config["infgram"]`:

    - `index`: path of an index, or a list of them; an empty list drafts from what was written.
    - `max_tokens`: of a draft; never more than `num_speculative_tokens`, which is the default.
    - `weights`, `cost`, `session_tokens`, `request_tokens`: as `Drafter` takes them.

    Raises InvalidParameter, TokenizerUnavailable, StorageError; vLLM shows what they say.

    >>> import infgram
    >>> import numpy as np
    >>> from types import SimpleNamespace as Config
    >>> index = infgram.build(["to be or not to be"])
    >>> proposer = Proposer(Config(
    ...     additional_config={"infgram": {"index": index.path}},
    ...     speculative_config=Config(num_speculative_tokens=4),
    ...     model_config=Config(max_model_len=100, get_vocab_size=lambda: 256),
    ...     scheduler_config=Config(max_num_seqs=8),
    ... ))
    >>> row = np.frombuffer(b"to be or ", np.uint8).astype(np.int32)
    >>> bytes(proposer.propose([[row[-1]]], np.array([9]), row[None])[0])
    b'not '
    """

    def __init__(self, vllm_config: Any) -> None:
        options = _options(vllm_config.additional_config)
        self._num_speculative_tokens = vllm_config.speculative_config.num_speculative_tokens
        self._max_model_len = vllm_config.model_config.max_model_len
        self.drafter = Drafter(
            *map(open_index, _paths(options.pop("index"))),
            vocab_size=vllm_config.model_config.get_vocab_size(),
            tree=False,
            max_requests=vllm_config.scheduler_config.max_num_seqs,
            **{"max_tokens": self._num_speculative_tokens, **options},
        )
        self._rows: dict[int, Follower] = {}

    def propose(
        self,
        sampled_token_ids: Sequence[Sequence[int]],
        num_tokens_no_spec: Tokens,
        token_ids_cpu: Tokens,
        slot_mappings: object = None,
    ) -> list[list[int]]:
        """A draft for each row, possibly empty.

        - `sampled_token_ids`: what each row gained in this step; nothing while its prompt is read.
        - `num_tokens_no_spec`: tokens of each row, shape (n_rows or more,).
        - `token_ids_cpu`: the rows themselves, shape (n_rows or more, width).

        Rows that have read no prompt, or hold ids outside the vocabulary, get no draft.
        """
        texts = {
            row: token_ids_cpu[row, : int(num_tokens_no_spec[row])]
            for row, sampled in enumerate(sampled_token_ids)
            if len(sampled)
        }
        found = self._find(texts)
        self._rows = {}
        for row, text in texts.items():
            follower = self._read(found.get(row), text, len(sampled_token_ids[row]))
            if follower is not None:
                self._rows[row] = follower
        return [
            self._draft(row, len(texts[row])) if row in self._rows else []
            for row in range(len(sampled_token_ids))
        ]

    def _find(self, texts: Mapping[int, Tokens]) -> dict[int, Follower]:
        """Who follows each text. Rows are swapped and given to others; who is left ends."""
        found = {}
        left = dict(self._rows)
        for row, text in texts.items():
            if row in left and left[row].continues(text, len(text)):
                found[row] = left.pop(row)
        for row in [row for row in texts if row not in found]:
            for before, follower in left.items():
                if follower.continues(texts[row], len(texts[row])):
                    found[row] = left.pop(before)
                    break
        for follower in left.values():
            follower.stop()
        return found

    def _read(self, follower: Follower | None, text: Tokens, n_written: int) -> Follower | None:
        """None where ids are outside the vocabulary, of pictures, say: others' requests go on."""
        try:
            if follower is None:
                return Follower(self.drafter, text, len(text), n_written)
            follower.read(text, len(text))
        except TokenError:
            if follower is not None:
                follower.stop()
            return None
        return follower

    def _draft(self, row: int, n_tokens: int) -> list[int]:
        room = self._max_model_len - n_tokens - 1  # the model's own token comes behind the draft
        limit = min(self.drafter.max_tokens, self._num_speculative_tokens, room)
        path: list[int] = self._rows[row].propose(max(limit, 0), len(self._rows)).path().tolist()
        return path


def _options(additional_config: object) -> dict[str, Any]:
    """What was configured, its names checked."""
    given = additional_config.get("infgram") if isinstance(additional_config, Mapping) else None
    if not isinstance(given, Mapping) or "index" not in given:
        raise InvalidParameter(
            f"vLLM's additional_config names no index for infgram, it has {given!r}: expected "
            f"something like {_EXAMPLE}"
        )
    for name in given:
        if name not in ("index", *_OF_THE_DRAFTER):
            raise InvalidParameter(
                f'additional_config["infgram"] has {name!r}, expected only index, '
                f"{', '.join(_OF_THE_DRAFTER)}"
            )
    return dict(given)


def _paths(index: object) -> list[str | os.PathLike[str]]:
    paths = index if isinstance(index, (list, tuple)) else [index]
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            raise InvalidParameter(
                f'the index in additional_config["infgram"] is {index!r}, expected a path or a '
                "list of paths"
            )
    return list(paths)
