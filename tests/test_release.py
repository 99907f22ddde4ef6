"""tools/release.py: one version, no name before it is ours, and what a wheel may hold."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from command_line import run

import infgram
from infgram import extras

ROOT = Path(__file__).parents[1]
INSTALLS_BY_NAME = re.compile(r"""pip install (?:-\S+ )*["']?infgram""")


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["release"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(release: ModuleType, tmp_path: Path) -> Path:
    """A copy of every file that a release changes."""
    for name in {*release.PLACES, *release.DOCUMENTS, "CHANGELOG.md", "src/infgram/extras.py"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    measured(tmp_path, "1.2.3.dev0")
    return tmp_path


def measured(repository: Path, version: str) -> None:
    """Stores figures that are of a version."""
    path = repository / "bench/results/results.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"answers": [{"machine": {"infgram": version}}]}))


def texts() -> Iterator[Path]:
    """Every file in which somebody may read how to install."""
    for folder in ("src", "cli", "bench", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".txt") and path.name != "extras.py":
                yield path
    yield ROOT / "README.md"


def test_nobody_is_told_to_install_a_name_that_is_not_ours_yet() -> None:
    by_name = [str(path) for path in texts() if INSTALLS_BY_NAME.search(path.read_text())]
    assert extras.PUBLISHED or by_name == []


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("distribution", ["infgram", "infgram-bench"])
def test_a_hint_names_a_way_that_works(
    monkeypatch: pytest.MonkeyPatch, published: bool, distribution: str
) -> None:
    monkeypatch.setattr(extras, "PUBLISHED", published)
    hint = extras.how_to_install("zstd", distribution=distribution)
    assert bool(INSTALLS_BY_NAME.search(hint)) == published
    if not published:
        *_, folder = re.findall(r"[ ']([./a-z]+)(?=\[)", hint)
        assert f'name = "{distribution}"' in (ROOT / folder / "pyproject.toml").read_text()
        assert hint.startswith(("pip install '.", "pip install . "))  # never infgram by its name


def test_every_place_has_the_one_version(release: ModuleType) -> None:
    assert infgram.__version__ == version("infgram")
    assert version("infgram") in run("--version").stdout
    named = release.versions()
    assert set.union(*named.values()) == {infgram.__version__} and all(named.values())


def test_what_prepare_writes_is_a_release(release: ModuleType, repository: Path) -> None:
    if not extras.PUBLISHED:
        before = dict(release.check_text(repository))
        assert "prepare" in before["a version to release"]
        assert before["documents name the distribution"] and before["hints name the distribution"]
    release.prepare("1.2.3", repository, date(2027, 1, 31))
    assert [each for each in release.check_text(repository, "v1.2.3") if each[1]] == []
    assert "## [1.2.3] - 2027-01-31" in (repository / "CHANGELOG.md").read_text()
    for name in release.DOCUMENTS:
        said = (repository / name).read_text()
        assert INSTALLS_BY_NAME.search(said), name
        assert not re.search(r"pip install '?\.", said), name
    once = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    release.prepare("1.2.3", repository, date(2027, 2, 1))  # again: nothing more to do
    assert {path: path.read_bytes() for path in once} == once
    assert "it is v1.2.4" in dict(release.check_text(repository, "v1.2.4")).values()
    measured(repository, "1.2.2")
    assert "1.2.2" in dict(release.check_text(repository))["its figures were measured"]


def test_a_version_under_way_publishes_nothing(release: ModuleType, repository: Path) -> None:
    hints = (repository / "src/infgram/extras.py").read_text()
    release.prepare("1.3.0.dev0", repository)
    assert set.union(*release.versions(repository).values()) == {"1.3.0.dev0"}
    assert (repository / "src/infgram/extras.py").read_text() == hints
    with pytest.raises(SystemExit, match="no version"):
        release.prepare("next", repository)


PACKAGES = {"infgram/store/system.py", "infgram/pages/film.js", "infgram_cli/main.py"}


@pytest.mark.parametrize(
    ("name", "is_wanted"),
    [
        ("infgram-0.2.0.data/data/share/man/man1/infgram.1", True),
        ("infgram-0.2.0.data/data/share/doc/notes.txt", False),
        ("infgram/_core.cpython-311-x86_64-linux-gnu.so", True),
        ("infgram-0.2.0.dist-info/licenses/LICENSE", True),
        ("infgram_bench/race.py", False),
        ("tests/test_exact.py", False),
        ("infgram/store/building.o", False),
        ("infgram/notes.md", False),
    ],
)
def test_a_wheel_holds_the_packages_and_what_a_build_makes(
    release: ModuleType, tmp_path: Path, name: str, is_wanted: bool
) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for each in (*PACKAGES, name):
            wheel.writestr(each, "")
    found = dict(release.check_contents(tmp_path / "a.whl", PACKAGES))
    assert list(found.values()) == ["", "" if is_wanted else name]


@pytest.mark.parametrize("left_out", sorted(PACKAGES))
def test_a_wheel_leaves_out_nothing(release: ModuleType, tmp_path: Path, left_out: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for each in PACKAGES - {left_out}:
            wheel.writestr(each, "")
    found = dict(release.check_contents(tmp_path / "a.whl", PACKAGES))
    assert list(found.values()) == [left_out, ""]
