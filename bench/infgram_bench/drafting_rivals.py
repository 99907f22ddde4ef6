"""The drafters: what each needs to draft from a corpus and a running text, behind the same names.

All get the same corpus, where they can have one, and the same text as it is written; whoever can
remember finished texts does. One that is not installed raises Absent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Protocol

import numpy as np

import infgram
from infgram.draft import Drafter

from .drafting_traces import Ids, Material
from .rivals import imported

Options = Mapping[str, Any]

_TUNED_PATH: tuple[Options, ...] = tuple(
    {"max_spec_factor": factor, "min_token_prob": probability}
    for factor, probability in product((1.0, 4.0, 16.0), (0.1, 0.05, 0.01, 0.0))
)
_TUNED_LOOKUP: tuple[Options, ...] = tuple(
    {"max_matching_ngram_size": n, "share": share} for n, share in product((1, 2, 3, 4), (0.5, 1.0))
)
_TUNED_SGLANG: tuple[Options, ...] = tuple(
    {"match_type": order, "share": share}
    for order, share in product(("BFS", "PROB"), (0.25, 0.5, 0.75, 1.0))
)

# For prompt lookup, as what ends a text: before 5.13, transformers cannot do without such a token.
NO_TOKEN = 1 << 30


class Proposal(Protocol):
    """A tree of tokens, parents before their children, -1 for those that follow the text.

    `probs`: that a token is accepted, its parents with it; empty where the drafter does not tell.
    """

    @property
    def token_ids(self) -> Iterable[int]: ...
    @property
    def parents(self) -> Iterable[int]: ...
    @property
    def probs(self) -> Iterable[float]: ...


class Session(ABC):
    """A drafter at work on one text after another."""

    @abstractmethod
    def start(self, prompt: Ids) -> None:
        """Begins a text."""

    @abstractmethod
    def propose(self) -> Proposal:
        """What may come next."""

    @abstractmethod
    def accept(self, ids: Ids) -> None:
        """What did come next."""

    @abstractmethod
    def stop(self) -> None:
        """Ends the text, and remembers it."""

    def close(self) -> None:  # noqa: B027  for most there is nothing to do
        """Forgets the texts of this session."""


@dataclass(frozen=True)
class Way:
    """A way to use a drafter. Of several `trials`, the best on the tuning documents is taken."""

    name: str
    trials: tuple[Options, ...]


class DraftingSystem(ABC):
    """A drafter with a corpus, infgram's or a rival's."""

    name: ClassVar[str]
    ways: ClassVar[tuple[Way, ...]]
    keeps_corpus: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, material: Material) -> None:
        """Makes it ready to draft from the corpus. Raises Absent."""

    @abstractmethod
    def session(self, max_tokens: int, options: Options) -> Session:
        """A new one, of drafts of so many tokens at most, that knows nothing but the corpus."""


# infgram ------------------------------------------------------------------------------------------


class InfgramDrafting(DraftingSystem):
    """infgram's index and Drafter, with nothing to tune."""

    name = "infgram"
    ways = (Way("infgram, tree", ({"tree": True},)), Way("infgram, path", ({"tree": False},)))

    def __init__(self, material: Material) -> None:
        self.index = infgram.open(material.index)
        Drafter(self.index)  # reads the discounts

    def session(self, max_tokens: int, options: Options) -> Session:
        """A drafter of its own."""
        return _InfgramSession(Drafter(self.index, max_tokens=max_tokens, **options))


class _InfgramSession(Session):
    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter

    def start(self, prompt: Ids) -> None:
        self._drafter.start(0, prompt)

    def propose(self) -> Proposal:
        return self._drafter.propose(0)

    def accept(self, ids: Ids) -> None:
        self._drafter.accept(0, ids)

    def stop(self) -> None:
        self._drafter.stop(0)


# Prompt lookup ------------------------------------------------------------------------------------


class PromptLookup(DraftingSystem):
    """transformers' own generator of candidates: what followed the last tokens in this text."""

    name = "prompt lookup"
    ways = (
        Way("prompt lookup, defaults", ({"num_output_tokens": 10, "max_matching_ngram_size": 2},)),
        Way("prompt lookup, tuned", _TUNED_LOOKUP),
    )
    keeps_corpus = False

    def __init__(self, material: Material) -> None:
        self._torch = imported("torch")
        module = imported("transformers.generation.candidate_generator")
        self._generator = module.PromptLookupCandidateGenerator

    def session(self, max_tokens: int, options: Options) -> Session:
        """Of `share`, how much of what it may propose it does."""
        n = options.get("num_output_tokens") or int(max_tokens * options["share"])
        generator = self._generator(
            num_output_tokens=min(n, max_tokens),
            max_matching_ngram_size=options["max_matching_ngram_size"],
            max_length=1 << 30,
            eos_token_id=self._torch.tensor([NO_TOKEN]),
        )
        return _LookupSession(generator, self._torch)


@dataclass(frozen=True)
class _Tree:
    token_ids: Sequence[int]
    parents: Sequence[int]
    probs: Sequence[float] = ()


class _LookupSession(Session):
    def __init__(self, generator: Any, torch: Any) -> None:
        self._generator = generator
        self._torch = torch
        self._ids: Any = None

    def start(self, prompt: Ids) -> None:
        self._ids = self._torch.from_numpy(prompt.astype(np.int64))[None]

    def propose(self) -> Proposal:
        found, _ = self._generator.get_candidates(self._ids)
        token_ids = found[0, self._ids.shape[1] :].tolist()
        return _Tree(token_ids, range(-1, len(token_ids) - 1))

    def accept(self, ids: Ids) -> None:
        more = self._torch.from_numpy(ids.astype(np.int64))[None]
        self._ids = self._torch.cat((self._ids, more), dim=1)

    def stop(self) -> None:
        self._ids = None


# Arctic -------------------------------------------------------------------------------------------


class Arctic(DraftingSystem):
    """Suffix decoding of arctic-inference; it has the corpus as responses that it gave before."""

    name = "Arctic"
    ways = (
        Way("Arctic path, defaults", ({},)),
        Way("Arctic path, tuned", _TUNED_PATH),
        Way("Arctic tree, defaults", ({"use_tree_spec": True},)),
        Way("Arctic tree, tuned", tuple({**each, "use_tree_spec": True} for each in _TUNED_PATH)),
    )
    _RESPONSE = 1 << 14  # tokens; while it grows, a response is held twice

    def __init__(self, material: Material) -> None:
        self._cache = imported("arctic_inference.suffix_decoding").SuffixDecodingCache()
        for i, document in enumerate(material.corpus):
            for start in range(0, len(document), self._RESPONSE):
                response = document[start : start + self._RESPONSE].astype(np.int32)
                self._cache.start_request((i, start), np.zeros(0, np.int32))
                self._cache.add_active_response((i, start), response)
                self._cache.stop_request((i, start))

    def session(self, max_tokens: int, options: Options) -> Session:
        """On the one cache, which forgets the session when it is closed."""
        return _ArcticSession(self._cache, max_tokens, options)


class _ArcticSession(Session):
    def __init__(self, cache: Any, max_tokens: int, options: Options) -> None:
        self._cache = cache
        self._max_tokens = max_tokens
        self._options = options
        self._n_texts = 0
        self._context = np.zeros(0, np.int32)

    def start(self, prompt: Ids) -> None:
        self._context = prompt.astype(np.int32)
        self._cache.start_request(self._n_texts, self._context)

    def propose(self) -> Proposal:
        proposal: Proposal = self._cache.speculate(
            self._n_texts, self._context, self._max_tokens, **self._options
        )
        return proposal

    def accept(self, ids: Ids) -> None:
        more = ids.astype(np.int32)
        self._cache.add_active_response(self._n_texts, more)
        # it looks no further back than its tree is deep
        self._context = np.append(self._context, more)[-self._cache.max_tree_depth :]

    def stop(self) -> None:
        self._cache.stop_request(self._n_texts)
        self._n_texts += 1

    def close(self) -> None:
        for text in range(self._n_texts):
            self._cache.evict_cached_response(text)


# SGLang -------------------------------------------------------------------------------------------


class SGLang(DraftingSystem):
    """The n-gram corpus of SGLang: a suffix automaton of the corpus beside a trie of texts."""

    name = "SGLang"
    ways = (Way("SGLang tree, tuned", _TUNED_SGLANG),)

    def __init__(self, material: Material) -> None:
        package = "sglang.srt.speculative.cpp_ngram"
        self._kind = imported(f"{package}.ngram_corpus").NgramCorpus
        separator = np.array([imported(f"{package}.external_corpus").SEPARATOR_TOKEN], np.int64)
        self._corpus = [
            part for document in material.corpus for part in (separator, document.astype(np.int64))
        ][1:]
        self._n_tokens = sum(map(len, self._corpus))
        self.session(4, _TUNED_SGLANG[0]).close()  # compiles, where that was not done

    def session(self, max_tokens: int, options: Options) -> Session:
        """With a corpus of its own. Of `share`, how much of a draft the automaton may give."""
        corpus = self._kind(
            draft_token_num=max_tokens + 1,  # the last token of the text is the first of them
            match_type=options["match_type"],
            external_sam_budget=max(1, int(max_tokens * options["share"])),
            external_corpus_max_tokens=self._n_tokens,
        )
        corpus.load_external_corpus_named("corpus", self._corpus)
        return _SGLangSession(corpus)


class _SGLangSession(Session):
    """As SGLang's worker does it; but it gives the trie the prompt's end alone, not all of it."""

    _DEPTH = 18  # of the trie, by default

    def __init__(self, corpus: Any) -> None:
        self._corpus = corpus
        self._tail: list[int] = []
        self._n_tokens = 0

    def start(self, prompt: Ids) -> None:
        self._n_tokens = 0
        self._tail = []
        self._add(prompt.tolist())

    def propose(self) -> Proposal:
        self._corpus.synchronize()
        token_ids, mask = self._corpus.batch_get(["text"], [self._tail], [self._n_tokens])
        ancestors = np.tril(mask.reshape(len(token_ids), -1), -1)
        parents = np.array([np.flatnonzero(row).max(initial=0) for row in ancestors])
        padding = np.flatnonzero((token_ids != 0) | (parents != 0)).max(initial=0) + 1
        return _Tree(token_ids[1:padding].tolist(), (parents[1:padding] - 1).tolist())

    def accept(self, ids: Ids) -> None:
        self._add(ids.tolist())

    def stop(self) -> None:
        self._corpus.erase_match_state(["text"])

    def _add(self, ids: list[int]) -> None:
        self._corpus.batch_put([self._tail + ids])
        self._tail = (self._tail + ids)[-self._DEPTH :]
        self._n_tokens += len(ids)


SYSTEMS: tuple[type[DraftingSystem], ...] = (InfgramDrafting, PromptLookup, Arctic, SGLang)
NOT_DRIVEN = {
    "REST": "not measured: its retriever is no package (draftretriever is another project's)",
    "suffix-gpu": "not measured: it is made for GPUs; a draft takes it 0.2 s on a CPU",
}
