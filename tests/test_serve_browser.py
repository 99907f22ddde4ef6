"""The page, in a browser: what it shows is what `Index` says, by mouse and by keyboard.

`make test-browser` installs what drives the browser; which browser it is, the system says.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from served import Server, server
from waiting import TIMEOUT, wait_until

import infgram

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        find_spec("selenium") is None or find_spec("axe_playwright_python") is None,
        reason="needs selenium, which `make test-browser` installs",
    ),
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs chromium and chromedriver"),
]

TEXT = "to be or not to be, that is the question:\nwhether 'tis nobler in the mind to suffer\n"
WIDTHS = {"phone": 390, "desktop": 1200}
Look = Callable[..., Any]


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


@pytest.fixture(scope="module", params=["light", "dark"])
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A browser without a window, in one of the colour schemes."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
        f"--user-data-dir={profile}",
        f"--blink-settings=preferredColorScheme={request.param == 'light':d}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()


@pytest.fixture
def page(driver: Any, running: Server) -> Any:
    """The page, as it is when it was opened and has written; at the end its log is empty."""
    driver.get("about:blank")
    opened(driver, f"{running.address}/#text=not+to+b&length=60&seed=4&temperature=0.7")
    yield driver
    assert driver.get_log("browser") == []


def opened(driver: Any, address: str) -> None:
    driver.get(address)
    wait_until(lambda: data(driver, "written") is not None and data(driver, "looked") is not None)


def data(driver: Any, name: str) -> str | None:
    """What the page says of itself when it is done."""
    found = driver.execute_script(f"return document.body.dataset.{name} ?? null")
    return None if found is None else str(found)


def found(driver: Any, selector: str) -> list[Any]:
    from selenium.webdriver.common.by import By

    return list(driver.find_elements(By.CSS_SELECTOR, selector))


def typed(driver: Any, text: str) -> None:
    """Replaces the text, key by key."""
    (field,) = found(driver, "#text")
    field.clear()
    field.send_keys(text)
    wait_until(lambda: data(driver, "looked") == text)


def visible(token: str) -> str:
    return token.replace("\n", "↵").replace(" ", "␣") if token else "end"


@pytest.mark.parametrize("text", ["not to b", "to see or not to be", "q", "zz"])
def test_the_cards_are_the_levels_of_the_index(page: Any, index: infgram.Index, text: str) -> None:
    typed(page, text)
    cards = found(page, "#levels li")
    levels = [*index.levels(text), (0, index.ntd("").prompt_cnt)]
    assert [
        (int(c.get_dom_attribute("data-n")), int(c.get_dom_attribute("data-m"))) for c in cards
    ] == levels
    for card, (n, m) in zip(cards, levels, strict=True):
        names = [
            each.get_property("textContent") for each in card.find_elements("css selector", "dt")
        ]
        shares = [
            each.get_property("textContent") for each in card.find_elements("css selector", "dd")
        ][1::2]
        expected = index.ntd(text.encode()[len(text) - n :]).most_common(8)
        assert names == [visible(token) for token, _ in expected]
        for share, (_, count) in zip(shares, expected, strict=True):
            assert abs(float(share.rstrip("%")) - 100 * count / m) <= 0.5


def test_spans_are_shaded_and_tell_where_they_stand(page: Any, index: infgram.Index) -> None:
    text = "xx to be or not to see xx"
    typed(page, text)
    spans = infgram.attribute(index, text, min_length=6).spans
    (passage,) = found(page, "#spans")
    assert passage.get_property("textContent") == text
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
        assert {each.get_property("textContent") for each in places} == {span.text}


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
    columns = found(page, "#texts .column")
    shown = {
        column.get_dom_attribute("data-model"): column.find_element(
            "css selector", "pre"
        ).get_property("textContent")
        for column in columns
    }
    settings = {"max_tokens": 60, "seed": 4, "temperature": 0.7}
    made = {
        name: model.generate("not to b", **settings).text
        for name, model in models_of(index).items()
    }
    assert shown == made
    assert all("a second" in column.text for column in columns)


def test_a_character_tells_which_levels_gave_it(page: Any, index: infgram.Index) -> None:
    (column,) = found(page, "[data-model='page@sbis-2']")
    characters = column.find_elements("css selector", "pre span")
    text = "".join(each.get_property("textContent") for each in characters)
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
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.execute_script("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        active = page.switch_to.active_element
        name = (
            active.get_dom_attribute("id") or active.get_dom_attribute("class") or active.tag_name
        )
        reached.add(name)
        if active.tag_name == "pre":
            break
    ids = {"text", "index", "copy", "levels", "length", "temperature", "seed", "write", "again"}
    assert ids <= reached and "pre" in reached
    ActionChains(page).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    chosen = page.execute_script(
        "return [...document.activeElement.children].findIndex(each => each.className)"
    )
    assert chosen == 1
    wait_until(lambda: found(page, "#trace")[0].text)


def test_the_link_keeps_text_settings_and_seed(page: Any, running: Server) -> None:
    typed(page, "to see")
    (again,) = found(page, "#again")
    before = data(page, "written")
    again.click()
    wait_until(lambda: data(page, "written") not in (None, before))
    address = page.current_url
    kept = parse_qs(urlsplit(address).fragment)
    assert kept["text"] == ["to see"] and kept["length"] == ["60"]
    texts = [each.get_property("textContent") for each in found(page, "#texts pre")]
    page.get("about:blank")
    opened(page, address)
    assert [each.get_property("textContent") for each in found(page, "#texts pre")] == texts
    assert found(page, "#text")[0].get_property("value") == "to see"


def test_markup_in_a_text_is_text(page: Any) -> None:
    typed(page, "<img src=x onerror=alert(1)> to be or not")
    assert found(page, "main img") == []
    assert "<img" in found(page, "#spans")[0].text


def axe_core() -> str:
    """The script of axe-core, which a package for another driver brings."""
    spec = find_spec("axe_playwright_python")
    assert spec and spec.origin
    (script,) = Path(spec.origin).parent.rglob("axe.min.js")
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_and_nothing_is_cut_off(page: Any, width: str) -> None:
    page.set_window_size(max(WIDTHS[width], 500), 900)
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTHS[width], "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    characters = found(page, "#texts pre span")
    page.execute_script("arguments[0].click()", characters[3])
    wait_until(lambda: found(page, "#trace")[0].text)
    page.execute_script(axe_core())
    page.set_script_timeout(TIMEOUT)
    results = page.execute_async_script("axe.run().then(arguments[0])")
    assert [(each["id"], each["nodes"][0]["html"]) for each in results["violations"]] == []
    assert len(results["passes"]) > 20
    wide = page.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    if folder := os.environ.get("INFGRAM_SCREENSHOTS"):
        scheme = page.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
        name = f"{width}-{'dark' if scheme else 'light'}.png"
        page.save_screenshot(str(Path(folder) / name))
