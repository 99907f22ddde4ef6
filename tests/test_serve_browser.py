"""The page, in a browser: what it shows is what `Index` says, by mouse and by keyboard.

`make test-browser` installs what drives the browser; which browser it is, the system says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import browsing
import pytest
from browsing import data, found, opened, text_of, typed
from served import Server, server
from waiting import wait_until

import infgram

pytestmark = browsing.NEEDED

TEXT = "to be or not to be, that is the question:\nwhether 'tis nobler in the mind to suffer\n"


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    """Of which the mixture was fitted, too."""
    built = infgram.build(
        [TEXT * 20, "to see or not to see"], memory_folder / "page.infgram", overwrite=True
    )
    infgram.fit(built)
    return built


@pytest.fixture(scope="module")
def running(index: infgram.Index) -> Iterator[Server]:
    with server(str(index.path)) as found:
        yield found


@pytest.fixture
def page(driver: Any, running: Server) -> Any:
    """The page, as it is when it was opened and has written; at the end its log is empty."""
    driver.get("about:blank")
    opened(driver, f"{running.address}/#text=not+to+b&length=60&seed=4&temperature=0.7")
    yield driver
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("text", ["not to b", "to see or not to be", "q", "zz"])
def test_the_cards_are_the_levels_of_the_index(page: Any, index: infgram.Index, text: str) -> None:
    typed(page, text)
    browsing.check_cards(page, index, text)


def test_spans_are_shaded_and_tell_where_they_stand(page: Any, index: infgram.Index) -> None:
    text = "xx to be or not to see xx"
    typed(page, text)
    spans = infgram.attribute(index, text, min_length=6).spans
    (passage,) = found(page, "#spans")
    assert text_of(passage) == text
    buttons = found(page, "#spans button")
    shown = {int(button.get_dom_attribute("data-span")) for button in buttons}
    assert shown <= set(range(len(spans))) and len(shown) > 1
    for button in buttons:
        button.click()
        assert button.get_dom_attribute("aria-pressed") == "true"
        span = spans[int(button.get_dom_attribute("data-span"))]
        (sources,) = found(page, "#sources")
        assert int(sources.get_dom_attribute("data-count")) == span.count
        places = found(page, "#sources .source b")
        assert {text_of(each) for each in places} == {span.text}


def models_of(index: infgram.Index) -> dict[str, infgram.Model]:
    estimators = {
        "sbis-1": infgram.SBIS(k=1),
        "sbis-2": infgram.SBIS(k=2),
        "sbis-3": infgram.SBIS(k=3),
        "kneser-ney": infgram.KneserNey(),
        "mix": infgram.Mix(),
    }
    return {f"page@{name}": infgram.Model(index, each) for name, each in estimators.items()}


def test_models_write_side_by_side_what_the_library_writes(page: Any, index: infgram.Index) -> None:
    settings = {"max_tokens": 60, "seed": 4, "temperature": 0.7}
    made = {
        name: model.generate("not to b", **settings).text
        for name, model in models_of(index).items()
    }
    assert browsing.written(page) == made
    assert all("a second" in column.text for column in found(page, "#texts .column"))


def test_a_character_tells_which_levels_gave_it(page: Any, index: infgram.Index) -> None:
    (column,) = found(page, "[data-model='page@sbis-2']")
    characters = column.find_elements("css selector", "pre span")
    text = "".join(text_of(each) for each in characters)
    at = 5
    characters[at].click()
    (trace,) = found(page, "#trace")
    wait_until(lambda: trace.get_dom_attribute("data-prob"))
    model = infgram.Model(index, infgram.SBIS(k=2))
    (traced,) = model.trace(text[at], context="not to b" + text[:at])
    assert float(trace.get_dom_attribute("data-prob")) == pytest.approx(traced.prob)
    assert len(trace.find_elements("css selector", "dt")) == sum(
        level.weight * level.prob > 0 for level in traced.levels
    )


def test_everything_can_be_done_by_keyboard(page: Any) -> None:
    ids = {"text", "index", "copy", "levels", "length", "temperature", "seed", "write", "again"}
    assert ids | {"pre"} <= browsing.reached_by_tab(page)
    browsing.check_by_arrows(page)


def test_the_link_keeps_text_settings_and_seed(page: Any, running: Server) -> None:
    typed(page, "to see")
    (again,) = found(page, "#again")
    before = data(page, "written")
    again.click()
    wait_until(lambda: data(page, "written") not in (None, before))
    address = page.current_url
    kept = parse_qs(urlsplit(address).fragment)
    assert kept["text"] == ["to see"] and kept["length"] == ["60"]
    texts = [text_of(each) for each in found(page, "#texts pre")]
    page.get("about:blank")
    opened(page, address)
    assert [text_of(each) for each in found(page, "#texts pre")] == texts
    assert found(page, "#text")[0].get_property("value") == "to see"


def test_markup_in_a_text_is_text(page: Any) -> None:
    typed(page, "<img src=x onerror=alert(1)> to be or not")
    assert found(page, "main img") == []
    assert "<img" in found(page, "#spans")[0].text


@pytest.mark.parametrize("width", browsing.WIDTHS)
def test_axe_finds_nothing_and_nothing_is_cut_off(page: Any, width: str) -> None:
    browsing.check_accessible(page, width, "")
