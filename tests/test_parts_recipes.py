"""The recipes of examples/parts do here what they do on a cluster, but for its engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pasting import shell

import infgram

RECIPES = Path(__file__).parents[1] / "examples" / "parts"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the recipes are for POSIX shells")


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    for i, text in enumerate(["to be", "or not", "to be"]):
        Path("texts", f"{i}.txt").write_text(text)


def test_the_tasks_of_a_slurm_array_build_parts_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    run = shell(tmp_path)
    for i in (2, 1):
        run(f"SLURM_ARRAY_TASK_ID={i} bash {RECIPES}/slurm.sh")
    again = "SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_ID=2 PARTS=2"
    run(f"{again} bash {RECIPES}/slurm.sh")
    (join,) = [
        line.partition("--wrap '")[2].rstrip("'")
        for line in (RECIPES / "slurm.sh").read_text().splitlines()
        if "--wrap" in line
    ]
    run(join)
    assert infgram.open("corpus.infgram").count("to be") == 2


def test_the_pods_of_a_kubernetes_job_build_parts_that_fit(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    jobs = list(yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text()))
    build, join = (job["spec"]["template"]["spec"]["containers"][0] for job in jobs)
    n = jobs[0]["spec"]["completions"]
    assert f"n={n}" in build["args"][0]
    script = build["args"][0].replace(f"n={n}", "n=3")
    run = shell(tmp_path)
    Path("build.sh").write_text(script)
    Path("join.sh").write_text(join["args"][0])
    for i in (1, 0, 2):
        run(f"JOB_COMPLETION_INDEX={i} {' '.join(build['command'])} '. ./build.sh'")
    run(f"{' '.join(join['command'])} '. ./join.sh'")
    assert infgram.open("corpus.infgram").count("to be") == 2


def test_the_workers_of_dask_build_parts_that_fit() -> None:
    pytest.importorskip("distributed")
    subprocess.run(
        [sys.executable, RECIPES / "dask_parts.py", "texts", "corpus.infgram", "3"],
        check=True,
        env=os.environ,
    )
    assert infgram.open("corpus.infgram").count("to be") == 2
