"""Results are Python values: every public one compares, hashes, prints, pickles, shows itself."""

from __future__ import annotations

import pickle
import re
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from html.parser import HTMLParser
from inspect import unwrap
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import infgram
import infgram.draft
import infgram.refine
from infgram.draft import Drafter, greedy, simulate
from infgram.draft.profile import Cost
from infgram.draft.speed import Speed, Way
from infgram.errors import InvalidParameter, MissingExtra
from infgram.models.context import Context
from infgram.models.sampling import TokenTraces
from infgram.refine import certify, infill, lint, polish
from infgram.refine.vocabulary import Vocabulary
from infgram.results import Levels, Matches
from infgram.tracing.copying import Certificate
from infgram.values import markup
from infgram.values.table import Table, Tabular
from infgram.values.value import Value

NASTY = "<script>alert(\"1\")</script> & 'quoted' <b>\x00\x1b[31m\u202eabc\U0001f600 {$text}\n"
TEXT = "to be or not to be, that is the question: whether tis nobler in the mind to suffer\n"
SHORT = 2_000  # characters of a repr, at most
SMALL = 300_000  # characters of what a notebook shows, at most


class Detector:
    """In place of a Scorer: what it says of a text depends on the text alone."""

    vocabulary, window = Vocabulary("bytes", tuple(range(256))), 64
    metadata: typing.ClassVar = {"val_loss": {"0.15": 0.5}}

    def suspicion(self, texts: Any, index: Any = None) -> Any:
        return [np.isin(ids, list(b"aeiou")).astype(np.float32) for ids in texts]

    def pll(self, texts: Any, spans: Any, candidates: Any, halo: int = 0) -> Any:
        return [[np.array([-9.0 * sum(i != 116) for i in own])] for (own,) in candidates]

    masked_scores = pll

    def fill(self, texts: Any, holes: Any, **settings: Any) -> Any:
        return [np.where(hole, 116, ids) for ids, hole in zip(texts, holes, strict=True)]


@pytest.fixture(scope="module")
def index() -> infgram.Index:
    return infgram.build(
        [{"text": TEXT * 3, "by": {"name": ["W", 1]}}, {"text": NASTY}], two_sided=True
    )


@pytest.fixture(scope="module")
def made(index: infgram.Index) -> dict[type, Callable[[], Any]]:
    """How each kind of result is made, by its type. Each call makes it anew."""
    model = infgram.Model(index, infgram.KneserNey())

    def generated() -> infgram.Generation:
        return model.generate("to ", max_tokens=400, seed=0, trace=True)

    def refined() -> Any:
        return polish(index, "to te or not to ", seed=0)

    def judged() -> Any:
        return infgram.reliability(model, "to be or to see")

    def filled() -> Any:
        return infill("or {3} to", index, Detector(), n=1)[0]

    def draft() -> Any:
        return Drafter(index, max_tokens=5).propose_ids(list(b"to be or "))

    def statistics() -> Any:
        return infgram.level_statistics(index, "to be or")[0]

    def totals() -> Any:
        return Drafter(index).totals

    way = Way("plain", (1.0, 2.0), 10, 1.0)
    makers: list[Callable[[], Any]] = [
        lambda: index.levels("not to b"),
        lambda: index.levels("not to b")[0],
        lambda: index.ntd("t"),
        lambda: index.prob("t", "o"),
        lambda: index.find("to be"),
        lambda: index.find("to be")[0],
        lambda: index.document(0),
        generated,
        lambda: generated().trace,
        lambda: generated().trace[0],
        lambda: generated().trace[0].levels[0],
        lambda: infgram.SBIS().mixture(Context(index.cursor("to b")))[0],
        lambda: infgram.SBIS().rows(Context(index.cursor("to b")))[0],
        lambda: model.score("to be or not" * 50),
        lambda: infgram.calibrate(index)[1],
        lambda: infgram.fit(index),
        lambda: infgram.perplexity(model, "to be"),
        lambda: infgram.compare([model, infgram.Model(index, infgram.SBIS())], "to be", "or"),
        judged,
        lambda: judged().top,
        statistics,
        lambda: statistics().n,
        lambda: infgram.novelty(index, "to be or see"),
        lambda: infgram.attribute(index, "to be, or not", min_length=2, seed=0),
        lambda: infgram.attribute(index, "to be, or not", min_length=2, seed=0).spans,
        lambda: infgram.attribute(index, "to be, or not", min_length=2, seed=0).spans[0],
        lambda: infgram.attribute(index, "to be, or not", min_length=2, seed=0).passages[0],
        lambda: next(infgram.ngrams(index, 3, documents=True)),
        lambda: infgram.overlap(index, "to be or see", min_length=3, seed=0),
        lambda: infgram.overlap(index, "to be or see", min_length=3, seed=0).runs[0],
        lambda: next(infgram.repeats(index, 2)),
        lambda: infgram.dedup(index, tempfile.mktemp(suffix=".jsonl"), 9),
        lambda: certify(index, "to be, or not", max_copy=4),
        lambda: infgram.plan(1e9),
        lambda: infgram.plan(1e9).cost,
        refined,
        lambda: refined().trace,
        lambda: refined().edits[0],
        lambda: lint("to be" * 100, Detector()),
        lambda: lint("to be", Detector()).words[0],
        filled,
        lambda: filled().holes[0],
        lambda: infgram.refine.Proposer(index).propose(index.ids("not to ex"), [(7, 9)], seed=0),
        draft,
        totals,
        lambda: greedy(draft(), [0] * (len(draft()) + 1)),
        lambda: infgram.draft.Trace(tuple(b"to be "), tuple(b"or")),
        lambda: replace(
            simulate(Drafter(index), [infgram.draft.Trace(tuple(b"to be "), tuple(b"or"))]),
            draft_seconds=0.5,
        ),
        lambda: Cost((0.01, 0.02), 256, "a", "b", "2026-01-01"),
        lambda: way,
        lambda: Speed((way, way), 0),
    ]
    return {type(make()): make for make in makers}


def public() -> Iterator[tuple[str, Any]]:
    for package in (infgram, infgram.draft, infgram.refine):
        for name in package.__all__:
            if (package.__name__, name) not in NEED_TORCH:
                yield f"{package.__name__}.{name}", getattr(package, name)


NEED_TORCH = {("infgram.refine", "Scorer"), ("infgram.refine", "train")}


def answers(thing: Any) -> Iterator[Any]:
    """What a function gives, or the methods and properties of a class."""
    if isinstance(thing, type):
        for name, member in vars(thing).items():
            if not name.startswith("_"):
                yield from answers(member)
    elif isinstance(thing, (property, cached_property)):
        yield from answers(thing.fget if isinstance(thing, property) else thing.func)
    elif isinstance(thing, (classmethod, staticmethod)):
        yield from answers(thing.__func__)
    elif isinstance(thing, FunctionType):
        thing = unwrap(thing)
        given = thing.__annotations__.get("return", "None")
        scope = {"Scorer": Any, "pyarrow": Any, "pandas": Any} | thing.__globals__
        yield eval(given, scope) if isinstance(given, str) else given


def parts(hint: Any) -> Iterator[type]:
    """The classes of infgram that a type is put together of, and those of their fields."""
    for each in typing.get_args(hint):
        yield from parts(each)
    if isinstance(hint, type) and re.match(r"infgram(?!\.store)", hint.__module__):
        yield hint
        if issubclass(hint, Table):
            yield hint.row_type
            yield from parts_of_fields(hint.row_type)
        yield from parts_of_fields(hint)


def parts_of_fields(kind: type) -> Iterator[type]:
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        for hint in typing.get_type_hints(kind, None, {"Scorer": Any}).values():
            yield from parts(hint)


def kinds() -> set[type]:
    """The classes of all results of public functions, methods and properties."""
    found: set[type] = set()
    for _, thing in public():
        for hint in answers(thing):
            found |= set(parts(hint))
    return {kind for kind in found if is_result(kind)}


def is_result(kind: type) -> bool:
    settings = (infgram.SBIS, infgram.Longest, infgram.KneserNey, infgram.Mix)
    is_plain = is_dataclass(kind) or hasattr(kind, "_fields") or issubclass(kind, Tabular)
    return is_plain and kind not in settings


def test_every_public_result_is_looked_at(made: dict[type, Any]) -> None:
    assert len(kinds()) > 20
    assert kinds() - made.keys() == set()
    for kind in made:
        assert issubclass(kind, (Value, Tabular)) or hasattr(kind, "_fields"), kind


def test_results_made_twice_are_equal_and_have_one_hash(made: dict[type, Any]) -> None:
    for kind, make in made.items():
        one, other = make(), make()
        assert (one == other) is True and (one != other) is False, kind
        assert hash(one) == hash(other), kind
        assert one != "something else" and (one == None) is False, kind  # noqa: E711
        assert len({one, other}) == 1, kind


def test_a_difference_in_any_field_makes_two_results_different(made: dict[type, Any]) -> None:
    for kind, make in made.items():
        if not is_dataclass(kind) or kind is infgram.draft.Draft:
            continue
        one = make()
        for field in fields(kind):
            other = replace(one, **{field.name: changed(getattr(one, field.name))})
            assert (one == other) is False, (kind, field.name)


def changed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.append(value, value[-1:]) if len(value) else np.ones(1, value.dtype)
    if isinstance(value, (tuple, Mapping)):
        return (*value, 1)
    return "other" if value is None or isinstance(value, str) else (value, 1)


def test_drafts_differ_by_their_tokens_and_by_their_laws(index: infgram.Index) -> None:
    drafter = Drafter(index, max_tokens=5)
    drafter.start("a", list(b"to be or "))
    drawn = [drafter.propose("a", sample=True, rng=seed) for seed in (1, 1)]
    assert drawn[0] == drawn[1] and drawn[0].q and hash(drawn[0]) == hash(drawn[1])
    again = pickle.loads(pickle.dumps(drawn[0]))
    assert again == drawn[0]
    assert [law.tolist() for law in again.q[-1]] == [law.tolist() for law in drawn[0].q[-1]]
    assert again.accepted(drawn[0].path()) == drawn[0].accepted(drawn[0].path())
    assert again.expected_accept == pytest.approx(drawn[0].expected_accept, rel=1e-6)
    assert drafter.propose_ids(list(b"to be or ")) != drafter.propose_ids(list(b"the mind "))


def test_results_print_shortly(made: dict[type, Any]) -> None:
    for kind, make in made.items():
        assert len(repr(make())) <= SHORT, kind
        assert kind.__name__ in repr(make()) or isinstance(make(), Table), kind


@pytest.mark.parametrize("n", [0, 1, 7, 1_000_000])
def test_no_length_makes_a_long_repr(n: int) -> None:
    ids = np.arange(n, dtype=np.uint32)
    text = "x" * n
    document = infgram.results.IndexedDocument(0, "a", 1, {"k": text}, ids, text)
    traces = TokenTraces([infgram.TokenTrace(1, text, 0.5, 1, 1, (), (1,) * 9)] * min(n, 10_000))
    generation = infgram.Generation(text, ids, "length", traces)
    certificate = Certificate(1, 1, ((1, 2),) * n)
    for each in (document, generation, traces, certificate):
        assert len(repr(each)) <= SHORT
        assert len(each._repr_html_()) <= SMALL


def test_results_survive_pickling(made: dict[type, Any]) -> None:
    for kind, make in made.items():
        one = make()
        again = pickle.loads(pickle.dumps(one))
        assert type(again) is kind and again == one and hash(again) == hash(one)
        assert repr(again) == repr(one)
        if isinstance(one, Value) and kind is not infgram.draft.Draft:
            for field in fields(one):  # type: ignore[arg-type]
                value = getattr(again, field.name)
                assert not (isinstance(value, np.ndarray) and value.flags.writeable)


def test_arrays_of_results_cannot_be_written_to(index: infgram.Index) -> None:
    ntd = index.ntd("t")
    scores = infgram.Model(index).score("to be")
    for array in (ntd.counts, ntd.token_ids, scores.log_prob, index.document(0).token_ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_whoever_gave_an_array_can_still_write_to_it() -> None:
    mine = np.arange(3, dtype=np.uint32)
    trace = infgram.refine.Trace(mine, ())
    mine[0] = 5
    assert trace.token_ids.tolist() == [5, 1, 2]


def test_results_that_are_texts_print_as_the_text(index: infgram.Index) -> None:
    generation = infgram.Model(index).generate("to ", max_tokens=20, seed=0, trace=True)
    assert str(generation) == generation.text == str(generation.trace)
    assert "".join(map(str, generation.trace or ())) == generation.text
    match = index.find("be", context=3)[0]
    assert str(match) == "to be or" and match.match == "be"
    assert str(index.document(0)) == TEXT * 3
    refined = polish(index, "to te or not to ", seed=0)
    assert str(refined) == refined.text == str(refined.trace) != "to te or not to "
    assert str(lint("to be", Detector())) == "to be"
    assert str(infill("or {3} to", index, Detector(), n=1)[0]) == "or ttt to"


@dataclass(frozen=True, eq=False, repr=False)
class Numbers(Value):
    array: NDArray[Any]
    other: Any = None


NUMBERS = st.one_of(
    st.lists(st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")]), max_size=4).map(
        lambda each: np.array(each, np.float64)
    ),
    st.lists(st.integers(0, 3), max_size=4).map(lambda each: np.array(each, np.int64)),
)
OTHERS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=examples(300))
@given(array=NUMBERS, another=NUMBERS, other=OTHERS, more=OTHERS)
def test_equality_is_that_of_the_contents_and_hashes_agree(
    array: NDArray[Any], another: NDArray[Any], other: Any, more: Any
) -> None:
    one, two = Numbers(array, other), Numbers(another, more)
    assert one == Numbers(array.copy(), pickle.loads(pickle.dumps(other)))
    is_same = array.dtype == another.dtype and np.array_equal(
        array, another, equal_nan=array.dtype.kind == another.dtype.kind == "f"
    )
    assert (Numbers(array) == Numbers(another)) == is_same
    if is_same:
        assert hash(Numbers(array)) == hash(Numbers(another))
    if one == two:
        assert hash(one) == hash(two) and is_same
    if other == more and is_same:
        assert one == two


# Mappings and tables ------------------------------------------------------------------------------


def test_an_ntd_is_a_mapping_of_ids_to_counts(index: infgram.Index) -> None:
    ntd = index.ntd("t")
    assert isinstance(ntd, Mapping)
    pairs = list(zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True))
    assert list(ntd.items()) == pairs and dict(ntd) == dict(pairs) == ntd
    assert list(ntd) == list(ntd.keys()) == [token for token, _ in pairs]
    assert list(ntd.values()) == [count for _, count in pairs] and len(ntd) == len(pairs)
    assert sum(ntd.values()) == ntd.prompt_cnt
    assert ntd[ord("o")] == index.count("to") and ord("o") in ntd and np.uint32(ord("o")) in ntd
    assert ord("~") not in ntd and ntd.get(ord("~"), 0) == 0
    with pytest.raises(KeyError):
        ntd[ord("~")]
    assert max(ntd, key=ntd.__getitem__) == index.ids(ntd.most_common(1)[0][0])[0]


def test_an_ntd_equals_any_mapping_of_the_same_counts(index: infgram.Index) -> None:
    assert index.ntd("to b") == {ord("e"): index.count("to be")} == index.ntd("to b")
    assert index.ntd("to b") != index.ntd("to ") and index.ntd("to b") != {}
    assert index.ntd("never ~") == {}
    assert len({index.ntd("to b"), index.ntd("to b"), index.ntd("to ")}) == 2


@pytest.mark.parametrize("ask", ["e", b"e"])
def test_text_is_no_key_of_an_ntd_and_never_silently_absent(
    index: infgram.Index, ask: str | bytes
) -> None:
    ntd: Any = index.ntd("to b")
    for question in (lambda: ntd[ask], lambda: ntd.get(ask, 0), lambda: ask in ntd):
        with pytest.raises(InvalidParameter, match="expected a token id"):
            question()


def test_tables_are_tuples_that_equal_lists(index: infgram.Index) -> None:
    levels = index.levels("not to b")
    assert isinstance(levels, Levels) and levels == list(levels) and list(levels) == levels
    assert levels == tuple(levels) and levels != [] and levels != list(levels)[:1]
    assert isinstance(levels[:1], Levels) and levels[0] == levels[:1][0]
    found = index.find("to", limit=100)
    assert isinstance(found, Matches) and isinstance(found[1:], Matches)
    assert len(repr(Matches(found * 100))) <= SHORT


def tables(index: infgram.Index) -> list[Any]:
    model = infgram.Model(index)
    return [
        index.ntd("t"),
        index.ntd("never ~"),
        index.find("to be"),
        index.find("never ~"),
        index.levels("not to b"),
        index.levels("~"),
        model.score("to be"),
        model.score(""),
        model.trace("to be"),
        model.trace(""),
        infgram.attribute(index, "to be", min_length=2).spans,
        infgram.attribute(index, "", min_length=2).spans,
    ]


def test_tables_go_to_arrow_and_to_pandas(index: infgram.Index) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    for table in tables(index):
        arrow, frame, columns = table.to_arrow(), table.to_pandas(), table.columns()
        assert arrow.column_names == list(frame.columns) == list(columns)
        assert arrow.num_rows == len(frame) == len(next(iter(columns.values())))
        for name, values in columns.items():
            assert arrow[name].to_pylist() == list(values), name
            assert frame[name].tolist() == list(values), name


def test_the_types_of_columns_do_not_depend_on_what_is_in_them(index: infgram.Index) -> None:
    pytest.importorskip("pyarrow")
    found = tables(index)
    for full, empty in zip(found[::2], found[1::2], strict=True):
        assert full.to_arrow().num_rows and not empty.to_arrow().num_rows
        assert full.to_arrow().schema == empty.to_arrow().schema
    assert {str(field.type) for field in index.find("to").to_arrow().schema} == {"int64", "string"}


def test_metadata_is_json_in_a_table(index: infgram.Index) -> None:
    pytest.importorskip("pyarrow")
    assert index.find("to", limit=1).to_arrow()["metadata"].to_pylist() == [
        '{"by": {"name": ["W", 1]}}'
    ]


def test_a_name_that_is_no_text_goes_into_a_table() -> None:
    pytest.importorskip("pyarrow")
    match = infgram.Match(0, 0, "caf\udce9.txt", 1, 1, {}, "", "a", "")
    assert Matches([match]).to_arrow()["source"].to_pylist() == ["caf\ufffd.txt"]


@pytest.mark.parametrize("name", ["pyarrow", "pandas"])
def test_what_is_not_installed_is_said_with_how_to_get_it(
    index: infgram.Index, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    ask = index.ntd("t").to_arrow if name == "pyarrow" else index.ntd("t").to_pandas
    with pytest.raises(MissingExtra, match=f"{name} is not installed.*pip install"):
        ask()


# What notebooks show ------------------------------------------------------------------------------


class Page(HTMLParser):
    """Markup that was read: refuses tags that are not closed in order, or are not ours."""

    TAGS: typing.ClassVar = {
        *("div", "style", "p", "pre", "span", "code", "mark"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.TAGS, tag
        assert {name for name, _ in attrs} <= {"class", "title", "style"}
        self.open.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def test_every_result_shows_itself_in_a_notebook(made: dict[type, Any]) -> None:
    for kind, make in made.items():
        if not issubclass(kind, (Value, Tabular)):
            continue  # named tuples print well
        html = make()._repr_html_()
        assert len(html) <= SMALL and Page(html).text, kind
        html.encode()  # no half of a pair


@pytest.mark.parametrize("context", [0, 200])
def test_text_of_a_corpus_is_never_markup(index: infgram.Index, context: int) -> None:
    shown = [
        index.find("alert", context=context),
        index.find("alert", context=context)[0],
        index.document(1),
        index.ntd("<"),
        infgram.Model(index, infgram.Longest()).trace(NASTY),
        infgram.Model(index, infgram.Longest()).generate("<", max_tokens=60, seed=0),
        lint(NASTY, Detector()),
        polish(index, NASTY, seed=0),
        infgram.attribute(index, NASTY, min_length=3, context=context),
        infgram.attribute(index, NASTY, min_length=3, context=context).spans,
    ]
    for each in shown:
        page = Page(each._repr_html_())
        assert "script" not in page.TAGS and not set(page.text) & set("\x00\x1b\u202e")
    assert "<script>alert(" in Page(index.document(1)._repr_html_()).text
    assert "{$text}" in Page(index.document(1)._repr_html_()).text


def test_an_ntd_shows_bars_with_its_counts(index: infgram.Index) -> None:
    ntd = index.ntd("t")
    page = Page(ntd._repr_html_())
    for text, count in ntd.most_common(5):
        assert f"{text!r}{count}{count / ntd.prompt_cnt:.1%}" in page.text
    widths = [value for name, value in page.attributes if name == "style"]
    assert widths[0] == f"width:{100 * max(ntd.values()) / ntd.prompt_cnt:.4g}%"
    assert f"{ntd.prompt_cnt} matches, 1 tokens of context" in page.text


def test_a_match_shows_its_place_and_its_context(index: infgram.Index) -> None:
    match = index.find("nobler", limit=1)[0]
    html = match._repr_html_()
    assert "<mark>nobler</mark>" in html and f"memory:{match.line}" in html
    assert match.before + match.match + match.after in Page(html).text


def test_a_traced_text_is_shaded_by_what_is_verbatim(index: infgram.Index) -> None:
    model = infgram.Model(index, infgram.Longest())
    traces = model.trace("that is the question: zzz")
    page = Page(traces._repr_html_())
    assert page.text.startswith("that is the question: zzz")
    shades = [value for name, value in page.attributes if name == "class" and value]
    shades = [value for value in shades if value.startswith("shade")][: len(traces)]
    runs = [0, *np.searchsorted([8, 16, 32, 64], [len(t.match) for t in traces], side="right")]
    assert shades == [f"shade{run}" for run in runs[1:]] and "shade2" in shades
    titles = [value for name, value in page.attributes if name == "title"]
    assert titles[5] == f"{traces[5].prob:.1%}, a run of 6; n = 5, m = {traces[5].m}"


def test_a_generation_without_a_trace_shows_its_text(index: infgram.Index) -> None:
    generation = infgram.generate(index, "to ", max_tokens=12, seed=0)
    page = Page(generation._repr_html_())
    assert page.text.startswith(generation.text) and "12 tokens" in page.text
    assert "shade0" not in str(page.attributes)


def test_a_perplexity_is_a_small_table(index: infgram.Index) -> None:
    found = infgram.perplexity(infgram.Model(index), "to be or")
    text = Page(found._repr_html_()).text
    for field in fields(found):
        value = getattr(found, field.name)
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        assert f"{field.name}{shown}" in text


def test_what_a_notebook_leaves_out_is_counted(index: infgram.Index) -> None:
    match = index.find("to", limit=1)[0]
    assert f"{100 - markup.MOST_ROWS} more matches" in Matches([match] * 100)._repr_html_()
    scores = infgram.Model(index).score("to be " * 20)
    assert f"{120 - markup.MOST_ROWS} more rows" in scores._repr_html_()
    token = infgram.TokenTrace(1, "x", 0.5, 1, 1, (), (1,))
    assert "500 more tokens" in TokenTraces([token] * (markup.MOST_RUNS + 500))._repr_html_()
    everything = infgram.build([bytes(range(256)).decode("latin-1")], tokenizer="chars").ntd(())
    assert f"{len(everything) - markup.MOST_ROWS} more tokens" in everything._repr_html_()
