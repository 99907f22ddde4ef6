"""A browser for tests of pages, what a page shows there, and what axe-core finds in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from waiting import TIMEOUT, wait_until

import infgram

NEEDED = [
    pytest.mark.browser,
    pytest.mark.skipif(
        find_spec("selenium") is None or find_spec("axe_playwright_python") is None,
        reason="needs selenium, which `make test-browser` installs",
    ),
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs chromium and chromedriver"),
]
SCHEMES = ["light", "dark"]
WIDTHS = {"phone": 390, "desktop": 1200}


@contextmanager
def browser(scheme: str, profile: Path) -> Iterator[Any]:
    """Chromium without a window, in a colour scheme; `profile`: an empty folder."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
        f"--user-data-dir={profile}",
        f"--blink-settings=preferredColorScheme={scheme == 'light':d}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def opened(driver: Any, address: str) -> None:
    """Waits until the page has looked and written."""
    driver.get(address)
    wait_until(lambda: data(driver, "written") is not None and data(driver, "looked") is not None)


def data(driver: Any, name: str) -> str | None:
    """What the page says of itself when it is done."""
    found = driver.execute_script(f"return document.body.dataset.{name} ?? null")
    return None if found is None else str(found)


def found(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def text_of(element: Any) -> str:
    return str(element.get_property("textContent"))


def typed(driver: Any, text: str) -> None:
    """Replaces the text, key by key."""
    (field,) = found(driver, "#text")
    field.clear()
    field.send_keys(text)
    wait_until(lambda: data(driver, "looked") == text)


def check_cards(driver: Any, index: infgram.Index, text: str) -> None:
    """The cards are the levels of the index, with the most frequent tokens of each."""
    read = text.encode()
    levels = [*index.levels(text), (0, index.ntd("").prompt_cnt)]
    shown = found(driver, "#levels li")
    numbers = [[int(card.get_dom_attribute(f"data-{name}")) for name in "nm"] for card in shown]
    assert [(n, m) for n, m in numbers] == levels
    for card, (n, m) in zip(shown, levels, strict=True):
        names = [text_of(each) for each in card.find_elements("css selector", "dt")]
        shares = [text_of(each) for each in card.find_elements("css selector", "dd")][1::2]
        expected = index.ntd(read[len(read) - n :]).most_common(8)
        assert names == [_visible(token) for token, _ in expected]
        for share, (_, count) in zip(shares, expected, strict=True):
            assert abs(float(share.rstrip("%")) - 100 * count / m) <= 0.5 + 1e-9


def _visible(token: str) -> str:
    return token.replace("\n", "↵").replace(" ", "␣") if token else "end"


def written(driver: Any) -> dict[str, str]:
    """By the name of each model, what it wrote."""
    return {
        column.get_dom_attribute("data-model"): text_of(column.find_element("css selector", "pre"))
        for column in found(driver, "#texts .column")
    }


def reached_by_tab(driver: Any) -> set[str]:
    """Names of what Tab leads to, up to the first text that was written."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    driver.execute_script("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        active = driver.switch_to.active_element
        name = active.get_dom_attribute("id") or active.get_dom_attribute("class")
        reached.add(name or active.tag_name)
        if active.tag_name == "pre":
            break
    return reached


def check_by_arrows(driver: Any) -> None:
    """In a text that was written, arrow keys lead from character to character, and tell of each."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(driver).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    chosen = driver.execute_script(
        "return [...document.activeElement.children].findIndex(each => each.className)"
    )
    assert chosen == 1
    wait_until(lambda: found(driver, "#trace")[0].text)


def check_accessible(driver: Any, width: str, name: str) -> None:
    """At a width, with a character explained: axe-core finds nothing, and nothing is cut off.

    The picture of it goes to INFGRAM_SCREENSHOTS, a folder, if that is set.
    """
    driver.set_window_size(max(WIDTHS[width], 500), 900)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTHS[width], "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.execute_script("arguments[0].click()", found(driver, "#texts pre span")[3])
    wait_until(lambda: found(driver, "#trace")[0].text)
    driver.execute_script(_axe_core())
    driver.set_script_timeout(TIMEOUT)
    results = driver.execute_async_script("axe.run().then(arguments[0])")
    assert [(each["id"], each["nodes"][0]["html"]) for each in results["violations"]] == []
    assert len(results["passes"]) > 20
    page = "document.documentElement"
    assert driver.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth")
    if folder := os.environ.get("INFGRAM_SCREENSHOTS"):
        dark = driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
        driver.save_screenshot(str(Path(folder, f"{name}{width}-{SCHEMES[dark]}.png")))


def _axe_core() -> str:
    """The script of axe-core, which a package for another driver brings."""
    spec = find_spec("axe_playwright_python")
    assert spec and spec.origin
    (script,) = Path(spec.origin).parent.rglob("axe.min.js")
    return script.read_text(encoding="utf-8")
