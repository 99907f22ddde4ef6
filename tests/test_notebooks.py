"""The notebooks in examples/ run, and each of their cells shows what it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_values import Page

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))
RUN = [
    pytest.param(notebook, marks=pytest.mark.torch if notebook.stem == "drafting" else ())
    for notebook in NOTEBOOKS
]


@pytest.fixture(autouse=True)
def what_it_needs(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("torch"):
        pytest.importorskip("transformers", reason="needs the extra `draft`")


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def check(notebook: Path, shown: list[str]) -> None:
    """What the cells that end with a result have shown, in order."""
    own = [html for html in shown if 'class="infgram"' in html]
    assert all(Page(html).text for html in own)
    if notebook.stem != "results":
        assert own or notebook.stem == "drafting"
        return
    kinds = {
        "bars": 'class="bar"',
        "matches": "<mark>to be</mark>",
        "levels": ">m</th>",
        "perplexity": ">Perplexity</th>",
        "trace": 'class="shade',
        "generation": "finish_reason",
    }
    assert len(own) == len(kinds)
    for html, (name, sign) in zip(own, kinds.items(), strict=True):
        assert sign in html, name


def test_there_are_notebooks_and_the_readme_of_the_examples_names_them() -> None:
    listed = (NOTEBOOKS[0].parent / "README.md").read_text("utf-8")
    assert len(NOTEBOOKS) >= 6
    assert all(f"]({notebook.name})" in listed for notebook in NOTEBOOKS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_holds_no_output(notebook: Path) -> None:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.parametrize("notebook", RUN, ids=lambda path: path.name)
def test_the_cells_of_a_notebook_run_and_show(notebook: Path) -> None:
    """Without Jupyter: what a cell ends with is asked for its markup."""
    scope: dict[str, Any] = {}
    shown = []
    for source in code_of(notebook):
        *before, last = source.strip().split("\n")
        exec(compile("\n".join(before), notebook.name, "exec"), scope)
        value = eval(compile(last, notebook.name, "eval"), scope)
        assert value is not None and repr(value)
        if hasattr(value, "_repr_html_"):
            shown.append(value._repr_html_() or "")
    check(notebook, shown)


@pytest.mark.pages
@pytest.mark.parametrize("notebook", RUN, ids=lambda path: path.name)
def test_jupyter_runs_a_notebook_and_shows_pictures_and_tables(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, of the extra `test`")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient, of the extra `test`")
    pytest.importorskip("ipykernel", reason="needs ipykernel, of the extra `test`")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    made = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(made, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    outputs = [out for cell in made.cells if cell.cell_type == "code" for out in cell.outputs]
    told = [out for out in outputs if out.output_type in ("error", "stream")]
    assert not [out for out in told if "tqdm" not in out.get("text", "")]  # it misses ipywidgets
    html = [out.data["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    check(notebook, html)
    assert outputs
