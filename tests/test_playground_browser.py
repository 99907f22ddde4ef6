"""The playground, in a browser: a text that is typed, pasted or opened answers as `Index` does.

The server is a plain one, and its policy lets nothing in from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import browsing
import played
import pytest
from browsing import data, found, opened, text_of, typed
from waiting import wait_until

import infgram

pytestmark = browsing.NEEDED

TEXT = "to be or not to be, that is the question:\nwhether 'tis nobler in the mind to suffer\n" * 3
SETTINGS = {"max_tokens": 60, "seed": 4, "temperature": 0.7}


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played.made(tmp_path_factory.mktemp("playground"))


@pytest.fixture(scope="module")
def address(playground: Path) -> Iterator[str]:
    with played.served(playground) as found:
        yield found


@pytest.fixture
def page(driver: Any, address: str) -> Any:
    """The playground with its sample, written; at the end the log is empty, and all was its own."""
    driver.get("about:blank")
    opened(driver, f"{address}#length=60&seed=4&temperature=0.7")
    yield driver
    assert driver.get_log("browser") == []
    asked = driver.execute_script(
        "return performance.getEntriesByType('resource').map(each => each.name)"
    )
    assert asked and {urlsplit(each).netloc for each in asked} == {urlsplit(address).netloc}


def index_of(text: str, folder: Path) -> infgram.Index:
    return infgram.build([text], folder / "played.infgram", overwrite=True)


def taken(driver: Any, n_bytes: int) -> None:
    """Waits until a text of so many bytes is looked at, and all have written."""
    wait_until(lambda: data(driver, "taken") == str(n_bytes))
    wait_until(lambda: data(driver, "written") is not None and data(driver, "looked") is not None)
    wait_until(
        lambda: all(column.get_dom_attribute("data-done") for column in found(driver, ".column"))
    )


def pasted(driver: Any, text: str) -> None:
    """Replaces the corpus as a paste over all of it does."""
    driver.execute_script(
        """
        const field = document.getElementById("corpus");
        field.focus();
        field.select();
        const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", arguments[0]);
        const pasted = new ClipboardEvent("paste", { clipboardData, cancelable: true });
        if (field.dispatchEvent(pasted)) document.execCommand("insertText", false, arguments[0]);
        """,
        text,
    )
    taken(driver, len(text.encode()))


def test_the_sample_is_there_at_once(page: Any, playground: Path, memory_folder: Path) -> None:
    sample = (playground / "sample.txt").read_text(encoding="utf-8")
    (field,) = found(page, "#corpus")
    assert field.get_property("value") == sample
    index = index_of(sample, memory_folder)
    browsing.check_cards(page, index, found(page, "#text")[0].get_property("value"))
    typed(page, "a level of the index")
    browsing.check_cards(page, index, "a level of the index")


def test_what_is_pasted_is_the_corpus(page: Any, memory_folder: Path) -> None:
    pasted(page, TEXT)
    index = index_of(TEXT, memory_folder)
    for text in ("not to b", "q", "the mind to be"):
        typed(page, text)
        browsing.check_cards(page, index, text)


def test_what_is_typed_is_the_corpus(page: Any, memory_folder: Path) -> None:
    (button,) = found(page, "#empty")
    button.click()
    (field,) = found(page, "#corpus")
    field.send_keys("to see or not to be")
    taken(page, 19)
    typed(page, "to be")
    browsing.check_cards(page, index_of("to see or not to be", memory_folder), "to be")
    button.click()
    field.send_keys("a", "\b")
    wait_until(lambda: "The text is empty" in found(page, "#taken")[0].text)


def test_models_write_what_the_library_writes(page: Any, memory_folder: Path) -> None:
    pasted(page, TEXT)
    typed(page, "not to b")
    found(page, "#write")[0].click()
    wait_until(lambda: text_of(found(page, "#texts pre")[-1])[:1] and data(page, "written"))
    taken(page, len(TEXT))
    index = index_of(TEXT, memory_folder)
    estimators = {"kneser-ney": infgram.KneserNey()} | {
        f"sbis-{k}": infgram.SBIS(k=k) for k in (1, 2, 3)
    }
    assert browsing.written(page) == {
        f"text@{name}": infgram.Model(index, estimator).generate("not to b", **SETTINGS).text
        for name, estimator in estimators.items()
    }


def test_a_file_is_the_corpus_and_a_long_one_is_shown_in_part(
    page: Any, memory_folder: Path, tmp_path: Path
) -> None:
    text = "".join(f"{i} is the number before {i + 1}, été\n" for i in range(8000))
    (tmp_path / "numbers.txt").write_text(text, encoding="utf-8")
    (field,) = found(page, "#file")
    field.send_keys(str(tmp_path / "numbers.txt"))
    taken(page, len(text.encode()))
    assert "numbers.txt" in found(page, "#taken")[0].text
    (note,) = found(page, "#shown")
    assert note.is_displayed()
    assert text.startswith(found(page, "#corpus")[0].get_property("value"))
    typed(page, "7999 is the number")
    browsing.check_cards(page, index_of(text, memory_folder), "7999 is the number")
    (tmp_path / "binary.bin").write_bytes(b"\xff\xfe\x00")
    field.send_keys(str(tmp_path / "binary.bin"))
    wait_until(lambda: "binary.bin cannot be read" in found(page, "#taken")[0].text)
    assert "UTF-8" in found(page, "#taken")[0].text


def test_a_file_that_is_dropped_is_the_corpus(page: Any, memory_folder: Path) -> None:
    page.execute_script(
        """
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([arguments[0]], "dropped.txt"));
        for (const name of ["dragover", "drop"]) {
          const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
          if (document.getElementById("corpus").dispatchEvent(event)) throw new Error(name);
        }
        """,
        TEXT,
    )
    taken(page, len(TEXT))
    assert "dropped.txt" in found(page, "#taken")[0].text
    typed(page, "not to b")
    browsing.check_cards(page, index_of(TEXT, memory_folder), "not to b")


def test_a_long_text_that_is_pasted_is_taken_whole(page: Any, memory_folder: Path) -> None:
    text = "".join(f"{i} and {i + 1}\n" for i in range(20_000))
    pasted(page, text)
    assert found(page, "#shown")[0].is_displayed()
    typed(page, "19999 and ")
    browsing.check_cards(page, index_of(text, memory_folder), "19999 and ")
    pasted(page, TEXT)
    assert not found(page, "#shown")[0].is_displayed()


def test_parts_of_a_text_tell_where_they_stand(page: Any, memory_folder: Path) -> None:
    pasted(page, TEXT)
    text = "xx to be or not to suffer xx"
    typed(page, text)
    spans = infgram.attribute(index_of(TEXT, memory_folder), text, min_length=6).spans
    buttons = found(page, "#spans button")
    assert len(buttons) == len(spans) > 1
    for button, span in zip(buttons, spans, strict=True):
        button.click()
        (sources,) = found(page, "#sources")
        assert int(sources.get_dom_attribute("data-count")) == span.count
        places = {text_of(each) for each in found(page, "#sources .source b")}
        assert places == {span.text}


def test_markup_in_a_text_is_text(page: Any) -> None:
    markup = "<img src=x onerror=alert(1)> to be or not"
    pasted(page, markup)
    typed(page, markup)
    assert found(page, "main img") == []
    assert "<img" in found(page, "#spans")[0].text


def test_everything_can_be_done_by_keyboard(page: Any) -> None:
    ids = {"corpus", "file", "empty", "text", "copy", "levels"}
    ids |= {"length", "temperature", "seed", "write", "again", "pre"}
    assert ids <= browsing.reached_by_tab(page)
    browsing.check_by_arrows(page)


@pytest.mark.parametrize("width", browsing.WIDTHS)
def test_axe_finds_nothing_and_nothing_is_cut_off(page: Any, width: str) -> None:
    browsing.check_accessible(page, width, "playground-")
