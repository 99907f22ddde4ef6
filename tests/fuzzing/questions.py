"""All that is asked of an index, and whether an answer can be: counts are counts, shares add up.

Each question is a function of an index and of what is known of the sound one. It returns an answer
that can be compared, or raises `Impossible` where no index could answer so.
"""

from __future__ import annotations

import copy
import io
import math
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np

import infgram
from infgram import SBIS, Index, KneserNey, Longest, Model
from infgram.draft import Drafter, TextDrafter, Trace, greedy, sample, simulate
from infgram.refine import Proposer, certify, polish_many
from infgram.refine import words as of_words
from infgram.text.tokens import Query, load

from .corpora import Base


class Impossible(Exception):
    """An answer that no index can give."""


@dataclass(frozen=True)
class Asked:
    """Texts, or ids, that are asked about."""

    queries: list[Query]
    passage: Query
    """Some 150 tokens that occur, and some that do not."""
    prompt: Query
    ids: list[int]
    """A few tokens that occur."""


def material(base: Base) -> Asked:
    """What is asked of all indexes that are made from a sound one."""
    rng = random.Random(base.name)
    whole: Any = max(base.documents, key=len)
    strange: Any = "~~ \0" if base.is_text else np.array([base_unknown(base)], np.uint32)
    filled = [document for document in base.documents if len(document)]
    cuts = [_cut(rng, rng.choice(filled), n) for n in (1, 1, 2, 3, 5, 9, 30)]
    both: Any = _joined(cuts[5], strange, cuts[4])
    return Asked(
        queries=[*cuts, both, strange, whole[:40], whole[-40:]],
        passage=_joined(whole[:60], strange, _cut(rng, whole, 80)),
        prompt=_cut(rng, whole, 12),
        ids=[int(i) for i in infgram.open(base.path).ids(whole[:6])],
    )


def base_unknown(base: Base) -> int:
    """An id of the vocabulary that does not occur."""
    known = np.unique(np.concatenate(base.documents))
    return int(np.setdiff1d(np.arange(1000), known)[0])


def _cut(rng: random.Random, text: Any, n: int) -> Any:
    begin = rng.randrange(max(len(text) - n, 0) + 1)
    return text[begin : begin + n]


def _joined(*parts: Any) -> Any:
    return "".join(parts) if isinstance(parts[0], str) else np.concatenate(parts)


# What can be --------------------------------------------------------------------------------------


def _expect(condition: object, what: str, *found: object) -> None:
    if not condition:
        raise Impossible(f"{what}: {', '.join(f'{each!r:.200}' for each in found)}")


def _check_ntd(index: Index, ntd: infgram.NextTokens) -> tuple[Any, ...]:
    counts, ids = ntd.counts, ntd.token_ids
    _expect(len(counts) == len(ids) == len(ntd), "arrays of different lengths", ntd)
    _expect((counts > 0).all() and int(counts.sum()) == ntd.prompt_cnt, "counts", counts, ntd)
    _expect(np.isin(ids, index.alphabet).all(), "tokens outside the alphabet", ids)
    _expect(len(np.unique(ids)) == len(ids), "a token twice", ids)
    _expect(not len(ids) or math.isclose(ntd.prob.sum(), 1), "a sum of", ntd.prob.sum())
    return ids, counts, ntd.prompt_cnt, ntd.suffix_len


def _check_levels(levels: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    n, m = [level[0] for level in levels], [level[1] for level in levels]
    falls = all(a > b for a, b in pairwise(n))
    rises = all(a < b for a, b in pairwise(m))
    _expect(falls and rises and all(m) and all(n), "levels", levels)
    return levels


def _check_distribution(prob: Any) -> Any:
    _expect(np.isfinite(prob).all(), "not finite", prob)
    _expect((prob >= 0).all() and (prob <= 1 + 1e-9).all(), "no probability", prob)
    sums = prob.sum(axis=-1)
    _expect(np.allclose(sums, 1, atol=1e-6), "a sum of", sums)
    return prob


def _check_log_prob(log_prob: Any) -> Any:
    _expect(not np.isnan(log_prob).any() and (log_prob <= 1e-9).all(), "log probability", log_prob)
    return log_prob


def _check_share(*shares: float) -> None:
    _expect(all(0 <= share <= 1 + 1e-9 for share in shares), "no share", *shares)


def _check_tokens(model: Model, made: infgram.Generation) -> infgram.Generation:
    _expect(np.isin(made.token_ids, model.token_ids[1:]).all(), "unknown tokens", made.token_ids)
    for token in made.trace or ():
        _check_share(token.prob, *(level.weight for level in token.levels))
        _check_share(*(level.prob for level in token.levels))
    return made


# Counts -------------------------------------------------------------------------------------------


def counts(index: Index, asked: Asked) -> Any:
    found = [index.count(query) for query in asked.queries]
    _expect(all(0 <= n <= index.n_rows for n in found), "counts", found, index.n_rows)
    batch = index.count_batch(asked.queries).tolist()
    _expect(batch == found, "count_batch and count differ", batch, found)
    empty: Any = "" if isinstance(asked.prompt, str) else []
    _expect(index.count(empty) >= 0, "a count", index.count(empty))
    flat = np.concatenate([index.ids(query) for query in asked.queries])
    ends = np.cumsum([0, *(len(index.ids(query)) for query in asked.queries)])
    return found, index.count_batch(flat, ends)


def next_tokens(index: Index, asked: Asked) -> Any:
    empty: Any = "" if isinstance(asked.prompt, str) else []
    found = [index.ntd(query) for query in [*asked.queries, empty]]
    backing = [index.infgram_ntd(query) for query in asked.queries]
    batch = index.ntd_batch(asked.queries)
    _expect(batch == found[:-1], "ntd_batch and ntd differ", batch, found)
    followed = [(q, ntd) for q, ntd in zip(asked.queries, batch, strict=True) if ntd]
    asked_for = [min(ntd) for _, ntd in followed]
    probs = index.prob_batch([query for query, _ in followed], asked_for)
    for ntd in found[:3]:
        repr(ntd)
        ntd.most_common(2)
    # what ranks say and what rows say may differ where one of them was changed
    return [_check_ntd(index, ntd) for ntd in [*found, *backing]], probs


def probabilities(index: Index, asked: Asked) -> Any:
    found = []
    for query in asked.queries[:5]:
        for token in (asked.ids[0], index.end_of_text):
            found.append(index.infgram_prob(query, token))
            if index.ntd(query).prompt_cnt:
                found.append(index.prob(query, token))
    _check_share(*(each.prob for each in found))
    return found


def levels(index: Index, asked: Asked) -> Any:
    found = [_check_levels(index.levels(query)) for query in asked.queries]
    lengths = index.match_lengths(asked.passage)
    narrow = index.match_lengths(asked.passage, window=5)
    _expect((narrow <= 5).all() and (narrow <= lengths).all(), "lengths", lengths, narrow)
    _expect((lengths <= np.arange(1, len(lengths) + 1)).all(), "longer than the text", lengths)
    return found, lengths, narrow


def spans(index: Index, asked: Asked) -> Any:
    """Spans lie in their text, and have as many documents as were asked for, or all."""
    found = [
        infgram.attribute(index, asked.passage, min_length=2, seed=1, context=7),
        infgram.attribute(index, asked.passage, whole_words=True, density=0.1, seed=1),
        infgram.attribute([index, index], asked.passage, min_length=3, max_documents=1, seed=1),
    ]
    for each in found:
        bounds = [(span.start, span.end) for span in each.spans]
        _expect(bounds == sorted(bounds), "spans are out of order", bounds)
        for span in each.spans:
            _expect(0 <= span.start < span.end <= len(each.text), "outside the text", bounds)
            _expect(span.text == each.text[span.start : span.end], "another text", span)
            _expect(span.count >= 1 and span.log_prob <= 0, "no count", span)
            _expect(1 <= len(span.documents) <= min(3, span.count), "documents", span)
    return found


def cursors(index: Index, asked: Asked) -> Any:
    """Cursors walk, are copied and pickled, and go on past what is unknown."""
    cursor = index.start_of_document()
    narrow = index.cursor(asked.prompt, window=3)
    ids = index.ids(asked.passage).tolist()
    unknown = ids[60 % len(ids)]
    found: list[Any] = []
    for i, token in enumerate([*ids[:25], index.end_of_text, *ids[:5], unknown, *ids[:9]]):
        cursor.advance(token)
        narrow.advance(token)
        if i % 6 == 0:
            found += [_check_levels(cursor.levels()), _check_levels(narrow.levels())]
            for level in {0, len(cursor.levels()) // 2, len(cursor.levels())}:
                found.append(_check_ntd(index, cursor.ntd(level)))
    branch = copy.copy(cursor).advance(asked.prompt)
    found.append(_check_ntd(index, branch.ntd()))
    again = pickle.loads(pickle.dumps(cursor))
    _expect(again.levels() == cursor.levels(), "another cursor", again.levels(), cursor.levels())
    return found, again.levels()


# Documents ----------------------------------------------------------------------------------------


def matches(index: Index, asked: Asked) -> Any:
    found = []
    for i, query in enumerate(asked.queries):
        found.append(index.find(query, limit=5, seed=i, context=[0, 20, 10**6][i % 3]))
        for match in found[-1]:
            _expect(0 <= match.document < index.n_documents, "a document", match)
            _expect(match.offset >= 0 and match.line >= 0, "a place", match)
            f"{match}"
    return found


def documents(index: Index, asked: Asked) -> Any:
    known = {0, 1, index.n_documents // 2, index.n_documents - 1}
    found = [index.document(i) for i in sorted(known) if 0 <= i < index.n_documents]
    for each in found:
        _expect(index.decode(each.token_ids) == each.text, "another text", each)
    return found


def places(index: Index, asked: Asked) -> Any:
    last = index.n_tokens - 1
    wanted = {0, 1, last // 3, last // 2, last - 1, last}
    found = [index.locate(i) for i in sorted(wanted) if 0 <= i <= last]
    for document, offset in found:
        _expect(0 <= document < index.n_documents and offset >= 0, "a place", document, offset)
    return found


def shape(index: Index, asked: Asked) -> Any:
    """What an index says of itself."""
    repr(index)
    _expect(index.n_tokens >= 0 and index.n_documents >= 0 and index.n_bytes > 0, "sizes", index)
    alphabet = index.alphabet
    _expect(len(np.unique(alphabet)) == len(alphabet), "a token twice", alphabet)
    again = pickle.loads(pickle.dumps(index))
    _expect(again.identity == index.identity, "another index", again)
    return index.n_tokens, index.n_documents, index.n_shards, index.shard_rows, alphabet


def verified(index: Index, asked: Asked) -> Any:
    """What `verify` proves: then rows, documents and counts tell of one text."""
    index.verify()
    known = [index.document(i).token_ids for i in range(index.n_documents)]
    _expect(index.n_tokens == sum(map(len, known)), "tokens", index.n_tokens, known)
    for query in asked.queries[:6]:
        ids = index.ids(query).astype(np.uint32)
        own = sum(_n_times(ids, document.astype(np.uint32)) for document in known)
        _expect(index.count(query) == own, "a count", query, index.count(query), own)
        if index.is_two_sided:
            _expect(index.backwards.count(ids[::-1]) == own, "a count backwards", query)
    return len(known)


def _n_times(ngram: Any, text: Any) -> int:
    if not len(ngram) or len(text) < len(ngram):
        return 0
    windows = np.lib.stride_tricks.sliding_window_view(text, len(ngram))
    return int((windows == ngram).all(axis=1).sum())


# Models -------------------------------------------------------------------------------------------


def _of(estimator: Any, *, adapt: bool) -> Callable[[Index, Asked], Any]:
    """All that a model does."""

    def ask(index: Index, asked: Asked) -> Any:
        model = Model(index, estimator, adapt=adapt)
        repr(model)
        found: list[Any] = [
            _check_distribution(model.distribution(query)) for query in asked.queries[3:9]
        ]
        scores = model.score(asked.passage, context=asked.prompt)
        _check_log_prob(scores.log_prob)
        found.append(scores)
        for _, each in model.distributions(asked.passage[:40], context=asked.prompt):
            found.append(_check_distribution(each))
        ways: list[dict[str, Any]] = [
            {"max_tokens": 60},
            {"max_tokens": 40, "temperature": 0.0},
            {"max_tokens": 40, "top_k": 3, "temperature": 1.3},
            {"max_tokens": 30, "top_p": 0.7, "min_p": 0.05},
            {"max_tokens": 40, "max_copy": 3},
        ]
        for seed, way in enumerate(ways):
            prompt: Any = asked.prompt if seed != 1 else asked.prompt[:0]
            found.append(_check_tokens(model, model.generate(prompt, seed=seed, **way)))
        if isinstance(asked.prompt, str) and index.tokenizer.reads_text | index._reads_bytes:
            stopped = model.generate(asked.prompt, seed=7, max_tokens=40, stop=["e ", "or"])
            found.append(_check_tokens(model, stopped))
            found.append("".join(model.stream(asked.prompt, seed=8, max_tokens=20)))
        return found

    return ask


def traces(index: Index, asked: Asked) -> Any:
    """The readable definitions, token by token."""
    found: list[Any] = []
    for estimator in (SBIS(k=-1, floor=1e-6), KneserNey(max_order=6)):
        for adapt in (False, True):
            model = Model(index, estimator, adapt=adapt)
            traced = model.generate(asked.prompt, seed=3, max_tokens=5, trace=True)
            found.append(_check_tokens(model, traced))
            for token in model.trace(asked.passage[57:63], context=asked.prompt):
                _check_share(token.prob, *(level.prob for level in token.levels))
                found.append(token)
            found.append(_check_distribution(model.defined_distribution(asked.prompt)))
    return found


def samples(index: Index, asked: Asked) -> Any:
    model = Model(index, KneserNey(), adapt=True)
    made = model.samples(3, asked.prompt, threads=2, seed=5, max_tokens=30)
    return [_check_tokens(model, each) for each in made]


def mixed(index: Index, asked: Asked) -> Any:
    """Several indexes in one model."""
    model = Model([index, index], SBIS(k=2), weights=[1, 3])
    found: list[Any] = [_check_distribution(model.distribution(asked.prompt))]
    found.append(_check_log_prob(model.score(asked.passage[:30]).log_prob))
    made = model.generate(asked.prompt, seed=1, max_tokens=5, max_copy=3)
    found.append(_check_tokens(model, made))
    return found


def calibrations(index: Index, asked: Asked) -> Any:
    """Discounts, kept and fitted; those that are fitted are kept from now on."""
    found: list[Any] = []
    kept, fitted = infgram.stored_calibration(index), infgram.calibrate(index)
    again = infgram.stored_calibration(infgram.open(index.path, verify=False))
    _expect(again is not None, "nothing was kept", fitted)
    for fits in (kept or (), fitted, again or ()):
        for fit in fits:
            repr(fit)
            _expect(np.isfinite(fit.corpus).all() and 0 <= fit.exponent <= 1, "a fit", fit)
            shape = {"n": 3, "n_shorter": 2, "n_types": 4, "n_types_shorter": 5, "m": 9}
            others = {"live": False, "n_corpus": 4, "n_live": 0, "single": False}
            discounts = fit.discount(**shape, **others)
            _expect(all(0 <= d <= 1 for d in discounts[:1]), "a discount", discounts)
            found.append((fit.exponent, fit.corpus, fit.live, fit.n_tokens, fit.nats, discounts))
    return found


# Judging ------------------------------------------------------------------------------------------


def judged(index: Index, asked: Asked) -> Any:
    model = Model(index, KneserNey())
    plain = infgram.perplexity(model, asked.passage, context=asked.prompt)
    published = infgram.published_perplexity(index, asked.passage, k=2)
    for each in (plain, published):
        _expect(each.nats_per_token >= 0 and not math.isnan(each.perplexity), "perplexity", each)
    kept = infgram.reliability(model, asked.passage[:50], n_bins=5)
    _check_share(kept.ece, kept.accuracy, kept.confidence)
    _expect(not math.isnan(kept.expected_nats + kept.actual_nats), "nats", kept)
    ended = infgram.compare([model, model], asked.passage[:50], bos=True, eos=True)
    _expect(ended.total[0].n_unknown <= ended.total[0].n_tokens, "unknown", ended)
    listed = io.BytesIO()
    infgram.export_arpa(Model(index, KneserNey(max_order=3)), listed)
    _expect(b"nan" not in listed.getvalue(), "a back-off file", listed.getvalue()[:99])
    statistics = infgram.level_statistics(index, asked.passage, k=-1)
    _expect(not any(math.isnan(each.m.mean) for each in statistics), "statistics", statistics)
    return plain, published, kept, statistics


def novelty(index: Index, asked: Asked) -> Any:
    found = infgram.novelty(index, asked.passage, asked.prompt, gram=5)
    _check_share(found.copied, found.found_grams, *found.distinct)
    if found.known_words is not None:
        _check_share(found.known_words)
    share = infgram.copied_share(index, asked.passage, run=10)
    _check_share(share)
    return found, share, certify(index, asked.passage, max_copy=6)


def listed(index: Index, asked: Asked) -> Any:
    """n-grams, repeats, overlap, formulas and spellings."""
    often = list(infgram.ngrams(index, 3, limit=5, documents=True))
    every = list(islice(infgram.ngrams(index, 2, min_count=2, documents=True), 100))
    for each in (*often, *every):
        _expect(1 <= (each.documents or 0) <= each.count, "documents of an n-gram", each)
    repeated = list(islice(infgram.repeats(index, 9), 20))
    found = infgram.overlap(index, asked.passage, min_length=8)
    _check_share(found.share)
    near = infgram.count_cnf(index, [[asked.ids[:2]], [asked.ids[1:2]]])
    spelt = {}
    if index.tokenizer.name in ("bytes", "chars"):
        spelt = infgram.variants(index, "to", ignore_case=True, whole_words=True)
    return often, every, repeated, found, near, spelt


# Drafts -------------------------------------------------------------------------------------------


def _check_draft(draft: Any, vocab_size: int) -> tuple[Any, ...]:
    probs, parents = draft.probs, draft.parents
    _expect(np.isfinite(probs).all() and (probs >= 0).all() and (probs <= 1).all(), "probs", probs)
    _expect((parents < np.arange(len(parents))).all() and (parents >= -1).all(), "parents", parents)
    _expect((draft.token_ids >= 0).all() and (draft.token_ids < vocab_size).all(), "ids", draft)
    for _, law in draft.q.values():
        _expect(np.isfinite(law).all() and (law >= 0).all(), "a law", law)
    draft.retrieve_indices(), draft.mask(), draft.sources
    return draft.token_ids, parents, probs, draft.match_lengths, draft.path()


def drafts(index: Index, asked: Asked) -> Any:
    found: list[Any] = []
    ids = index.ids(asked.passage)
    drafter = Drafter(index, max_tokens=8)
    size = drafter.vocab_size
    drafter.start("a", index.ids(asked.prompt))
    for step in range(4):
        draft = drafter.propose("a", sample=step % 2 == 1, rng=step)
        found.append(_check_draft(draft, size))
        if size < 1000:
            laws = np.full((len(draft) + 1, size), 1 / size)
            verified = sample(draft, laws, rng=0) if step % 2 else greedy(draft, [0] * len(laws))
            found.append(verified.token_ids)
        drafter.accept("a", ids[10 * step : 10 * step + 3])
    drafter.extend("a", ids[:20])
    drafter.stop("a")
    path = Drafter(index, max_tokens=5, tree=False, cost=[1.0, 1.1, 1.3, 1.8, 2.0, 3.0])
    found.append(_check_draft(path.propose_ids(ids[:30]), size))
    told = simulate(path, [Trace(ids[:20], ids[20:60])]) if len(ids) > 20 else None
    return found, drafter.totals, told and (told.steps, told.accepted)


def text_drafts(index: Index, asked: Asked) -> Any:
    if index.tokenizer.name != "bytes":
        return None
    drafter = TextDrafter(index, tokenizer=load("chars"))
    ids = load("chars").encode(str(asked.prompt)).tolist()
    drafter.start("a", ids)
    draft = drafter.propose("a", 6)
    drafter.accept("a", ids[:2])
    drafter.stop("a")
    return _check_draft(draft, drafter.vocab_size)


def sessions(index: Index, asked: Asked) -> Any:
    """A session that is saved and gone on with."""
    path = index.path.parent / "session.npz"
    drafter = Drafter(index)
    drafter.start("a", asked.ids)
    drafter.propose("a")
    drafter.accept("a", asked.ids[:2])
    drafter.stop("a")
    drafter.save_session(path)
    other = Drafter(index)
    other.load_session(path)
    path.unlink()
    return _check_draft(other.propose_ids(asked.ids[:2]), other.vocab_size)


# Refining -----------------------------------------------------------------------------------------


def polished(index: Index, asked: Asked) -> Any:
    texts = [asked.passage, asked.queries[6]]
    found = polish_many(index, texts, seed=1, margin=0.5, max_copy=8, protect="ba")
    for each in found:
        gains = [edit.gain for edit in each.edits]
        _expect(not any(map(math.isnan, gains)), "a gain", gains)
        _expect(len(each.token_ids) == len(index.ids(texts[0])), "a length", each)
        texts = texts[1:]
    return [(each.token_ids, each.edits, each.text) for each in found]


def proposed(index: Index, asked: Asked) -> Any:
    ids = index.ids(asked.passage)
    spans = of_words.spans(index, ids)[:12]
    found = Proposer(index).propose(ids, spans, n_sbis=3, n_lexicon=3, seed=2)
    _expect(np.isin(found.token_ids, index.alphabet[1:]).all(), "tokens", found.token_ids)
    for offset in found.source_offset.tolist():
        if offset >= 0:
            index.locate(offset)
    return [getattr(found, field.name) for field in fields(found)]


# All ----------------------------------------------------------------------------------------------

_ESTIMATORS: dict[str, Any] = {
    "longest": Longest(),
    "sbis": SBIS(),
    "sbis of distributions": SBIS(k=3, decay=0.7, weighting="distributions", window=9),
    "sbis with a floor": SBIS(k=-1, decay=1.0, floor=1e-4),
    "kneser_ney": KneserNey(),
    "kneser_ney of order 4": KneserNey(max_order=4),
}

Question = Callable[[Index, Asked], Any]

QUESTIONS: dict[str, Question] = {
    "shape": shape,
    "counts": counts,
    "next_tokens": next_tokens,
    "probabilities": probabilities,
    "levels": levels,
    "spans": spans,
    "cursors": cursors,
    "matches": matches,
    "documents": documents,
    "places": places,
    **{
        f"{name}{', adapting' if adapt else ''}": _of(estimator, adapt=adapt)
        for name, estimator in _ESTIMATORS.items()
        for adapt in (False, True)
    },
    "traces": traces,
    "samples": samples,
    "mixed": mixed,
    "judged": judged,
    "novelty": novelty,
    "listed": listed,
    "drafts": drafts,
    "text_drafts": text_drafts,
    "sessions": sessions,
    "proposed": proposed,
    "polished": polished,
    "verified": verified,
    "calibrations": calibrations,
}
"""By name. Those of the other side are asked of `Index.backwards` too: `BACKWARDS`."""

BACKWARDS = ["counts", "next_tokens", "levels", "cursors", "matches", "documents", "kneser_ney"]


def comparable(answer: Any) -> Any:
    """An answer as plain values, which are equal if their texts are."""
    if isinstance(answer, np.ndarray):
        return answer.dtype.str, answer.shape, answer.tobytes()
    if is_dataclass(answer) and not isinstance(answer, type):
        return [comparable(getattr(answer, field.name)) for field in fields(answer)]
    if isinstance(answer, (list, tuple)):
        return [comparable(each) for each in answer]
    return answer


def asked_of(index: Index) -> Iterator[tuple[str, Callable[[Asked], Any]]]:
    """Every question of an index, those of its other side behind them."""
    for name, question in QUESTIONS.items():
        yield name, partial(question, index)
    for name in BACKWARDS if index.is_two_sided else ():
        yield f"backwards: {name}", partial(_of_other_side, name, index)


def _of_other_side(name: str, index: Index, asked: Asked) -> Any:
    return QUESTIONS[name](index.backwards, asked)
