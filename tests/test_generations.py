"""One open, one build: an index that is open keeps its answers, and no death leaves half of one."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from command_line import ended, start
from conftest import examples, generation

import infgram
from infgram.errors import (
    CorruptIndex,
    EmptyCorpus,
    IndexExists,
    IndexReplaced,
    NotAnIndex,
    StorageError,
    UnsupportedFormat,
)
from infgram.store import storage

FIRST_FORMAT = Path(__file__).parent / "data" / "format-1.zip"
PLAYS = {
    "hamlet": ["to be or not to be", "the rest is silence", "more matter with less art"],
    "lear": ["nothing will come of nothing", "speak again", "as flies to wanton boys"],
}


def corpus(folder: Path, play: str, *, times: int = 1) -> Path:
    path = folder / f"{play}.jsonl"
    lines = [json.dumps({"text": text, "play": play}) for text in PLAYS[play] * times]
    path.write_text("\n".join(lines))
    return path


def build(folder: Path, play: str, **options) -> infgram.Index:
    options = {"overwrite": True, "calibrate": False, **options}
    return infgram.build(corpus(folder, play), folder / "play.infgram", **options)


def answers(index: infgram.Index) -> dict[str, object]:
    """What an index says, from every column it has."""
    model = infgram.Model(index)
    other = index.backwards if index.is_two_sided else None
    return {
        "counts": index.count_batch([t for texts in PLAYS.values() for t in texts]).tolist(),
        "found": [(m.document, m.source, m.line, m.metadata, m.after) for m in index.find("t")],
        "document": (index.document(1).text, index.document(1).metadata),
        "alphabet": index.alphabet.tolist(),
        "ids": model.token_ids.tolist(),
        "levels": index.levels("nothing will be"),
        "text": infgram.generate(index, "t", max_tokens=30, seed=1).text,
        "reversed": other and other.ntd("eb").counts.tolist(),
        "identity": index.identity,
    }


def left_in(folder: Path) -> list[str]:
    """What stands there beside the corpora, hidden folders among it."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".jsonl")


# Who has an index open ----------------------------------------------------------------------------


@pytest.mark.parametrize("two_sided", [False, True])
def test_an_open_index_keeps_its_answers_when_another_takes_its_place(
    tmp_path: Path, two_sided: bool
) -> None:
    old = build(tmp_path, "hamlet", two_sided=two_sided)
    opened = infgram.open(old.path)
    before = answers(infgram.open(old.path))
    untouched = infgram.open(old.path)  # asked for the first time when its files are gone
    cursor = opened.cursor("to b")
    new = build(tmp_path, "lear")
    for index in (old, opened, untouched):
        assert answers(index) == before
        index.verify()
    assert cursor.ntd().most_common(1) == [("e", 2)]
    assert answers(new) != before
    assert answers(infgram.open(new.path)) == answers(new)
    shutil.rmtree(new.path)
    assert answers(old) == before
    with pytest.raises(StorageError):
        pickle.loads(pickle.dumps(old))


def test_what_is_computed_from_an_old_build_never_goes_into_a_new_one(tmp_path: Path) -> None:
    old = build(tmp_path, "hamlet")
    new = build(tmp_path, "lear", calibrate=True)
    kept = (generation(new.path) / storage.CALIBRATION).read_bytes()
    with pytest.raises(IndexReplaced, match="open the index again"):
        infgram.calibrate(old)
    old.verify()
    infgram.calibrate(old, save=False)
    assert (generation(new.path) / storage.CALIBRATION).read_bytes() == kept
    assert infgram.stored_calibration(infgram.open(new.path)) is not None
    noted = json.loads((generation(new.path) / storage.VERIFIED).read_text())
    assert noted["identity"] == new.identity


def test_a_calibration_is_that_of_the_index_that_was_opened(tmp_path: Path) -> None:
    old = build(tmp_path, "hamlet", calibrate=True)
    opened = infgram.open(old.path)
    build(tmp_path, "lear")
    found = infgram.stored_calibration(opened)
    assert found is not None
    assert found[0].nats == infgram.calibrate(old, save=False)[0].nats


BUILD_FOR_EVER = """
import sys, infgram
while True:
    for corpus in sys.argv[2:]:
        infgram.build(corpus, sys.argv[1], overwrite=True)
        print(flush=True)
"""


def test_whoever_opens_an_index_that_is_being_replaced_gets_one_build_or_the_other(
    tmp_path: Path,
) -> None:
    truths = {}
    for play in PLAYS:
        known = answers(build(tmp_path, play))
        del known["identity"]
        truths[play] = known
    script = [sys.executable, "-c", BUILD_FOR_EVER, tmp_path / "play.infgram"]
    builder = subprocess.Popen(
        [*script, *(tmp_path / f"{play}.jsonl" for play in PLAYS)], stdout=subprocess.PIPE
    )
    assert builder.stdout is not None
    try:
        builder.stdout.readline()
        seen = set()
        for _ in range(examples(100)):
            found = answers(infgram.open(tmp_path / "play.infgram"))
            seen.add(found.pop("identity"))
            assert found in truths.values()
        assert len(seen) > 1  # it was being replaced
        assert builder.poll() is None
    finally:
        builder.kill()
        builder.communicate()
    build(tmp_path, "lear")
    assert left_in(tmp_path) == ["play.infgram"]
    assert left_in(tmp_path / "play.infgram") == ["CURRENT", generation_name(tmp_path), "lock"]


def generation_name(folder: Path) -> str:
    return generation(folder / "play.infgram").name


# Builds against builds ----------------------------------------------------------------------------


@pytest.mark.parametrize("there_is_one", [False, True])
def test_builds_that_race_all_end_well_and_one_is_left(tmp_path: Path, there_is_one: bool) -> None:
    if there_is_one:
        build(tmp_path, "lear")
    paths = [corpus(tmp_path, play) for play in PLAYS] * 4
    target = tmp_path / "play.infgram"

    def run(path: Path) -> bool:
        made = infgram.build(path, target, overwrite=True)
        return made.document(0).metadata["play"] == path.stem  # its own, whatever stands there now

    with ThreadPoolExecutor(len(paths)) as pool:
        assert all(pool.map(run, paths))
    infgram.open(target, verify=True).verify()
    assert left_in(target) == ["CURRENT", generation_name(tmp_path), "lock"]
    assert left_in(tmp_path) == ["play.infgram"]


def test_of_builds_that_must_not_overwrite_one_wins(tmp_path: Path) -> None:
    paths = [corpus(tmp_path, play) for play in PLAYS] * 4
    target = tmp_path / "play.infgram"

    def run(path: Path) -> bool:
        try:
            infgram.build(path, target)
        except IndexExists:
            return False
        return True

    with ThreadPoolExecutor(len(paths)) as pool:
        assert sum(pool.map(run, paths)) == 1
    assert left_in(tmp_path) == ["play.infgram"]


def test_an_empty_folder_takes_an_index(tmp_path: Path) -> None:
    (tmp_path / "play.infgram").mkdir()
    index = infgram.build(corpus(tmp_path, "lear"), tmp_path / "play.infgram")
    assert infgram.open(index.path).count("nothing") == 2
    assert left_in(tmp_path) == ["play.infgram"]


# Whose folder it is -------------------------------------------------------------------------------

FOREIGN = {
    "a web page's manifest": {"manifest.json": '{"name": "my site", "icons": []}', "icon.png": "x"},
    "another program's manifest": {"manifest.json": '{"format": "other"}', "data": "x"},
    "no JSON": {"manifest.json": "infgram", "letter": "dear"},
    "a database": {"CURRENT": "MANIFEST-000001\n", "MANIFEST-000001": "x", "LOCK": ""},
    "a folder of that name": {"generation-0123456789abcdef/letter": "dear"},
    "a lock and a letter": {"lock": "", "letter": "dear"},
}


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_what_infgram_has_not_written_is_not_replaced(tmp_path: Path, files) -> None:
    home = tmp_path / "home"
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    with pytest.raises(NotAnIndex, match="not overwritten"):
        infgram.build(corpus(tmp_path, "lear"), home, overwrite=True)
    found = {str(p.relative_to(home)): p.read_text() for p in home.rglob("*") if p.is_file()}
    assert found == files
    assert left_in(tmp_path) == ["home"]


@pytest.mark.parametrize("damaged", ["CURRENT", "manifest.json"])
def test_a_torn_index_can_be_replaced(tmp_path: Path, damaged: str) -> None:
    index = build(tmp_path, "hamlet")
    folder = index.path if damaged == "CURRENT" else generation(index.path)
    for size in (17, 0):
        content = (folder / damaged).read_bytes()
        if damaged == "manifest.json":
            size = size and len(content) // 2
        (folder / damaged).write_bytes(content[:size])
        with pytest.raises((CorruptIndex, NotAnIndex)):
            infgram.open(index.path)
        assert build(tmp_path, "lear").count("nothing") == 2
        folder = index.path if damaged == "CURRENT" else generation(index.path)
    assert left_in(index.path) == ["CURRENT", generation_name(tmp_path), "lock"]


def test_a_file_put_into_an_indexs_folder_survives_its_replacement(tmp_path: Path) -> None:
    index = build(tmp_path, "hamlet")
    (index.path / "README.md").write_text("what this is")
    build(tmp_path, "lear")
    assert (index.path / "README.md").read_text() == "what this is"


# Deaths -------------------------------------------------------------------------------------------

DIE_AT_EVERY_STEP = """
import json, os, shutil, signal, sys
from pathlib import Path
import infgram, pydivsufsort

folder, doing, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
target = folder / "play.infgram"
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate"}


def changes(event, arguments):
    return event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))


def die_at(step):
    seen = [0]

    def hook(event, arguments):
        if changes(event, arguments):
            seen[0] += 1
            if seen[0] == step:
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise KeyboardInterrupt

    sys.addaudithook(hook)


def do(play):
    if doing == "build":
        infgram.build(folder / f"{play}.jsonl", target, overwrite=True)
    elif doing == "calibrate":
        infgram.calibrate(infgram.open(target))
    else:
        infgram.open(target, verify=True)


def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except KeyboardInterrupt:
            code = 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(step):
    index = infgram.open(target, verify=True)
    index.verify()
    play = index.document(0).metadata["play"]
    texts = {"hamlet": "to be or not to be", "lear": "nothing will come of nothing"}
    assert index.document(0).text == texts[play], step


step, outcomes = 0, []
while True:
    step += 1
    infgram.build(folder / "hamlet.jsonl", target, overwrite=True)
    outcomes.append(in_child(lambda: (die_at(step), do("lear"))))
    check(step)
    if doing == "build":
        # what is left goes with the next build
        infgram.build(folder / "hamlet.jsonl", target, overwrite=True)
    else:
        do("hamlet")  # or with the next time that the same is done
    left = [p.name for p in folder.iterdir() if p.suffix != ".jsonl"]
    assert left == ["play.infgram"], (step, left)
    inside = [p.name for p in target.iterdir()]
    assert len(inside) == 3, (step, inside)
    (generation,) = target.glob("generation-*")
    left = [p.name for p in generation.iterdir() if p.name.startswith(".")]
    assert not left, (step, left)
    if outcomes[-1] == 0:
        break
print(json.dumps(outcomes))
"""


@pytest.mark.parametrize("how", ["kill", "interrupt"])
@pytest.mark.parametrize(("doing", "least"), [("build", 25), ("calibrate", 2), ("verify", 2)])
def test_whatever_is_ended_at_any_step_the_index_is_the_old_or_the_new_one(
    memory_folder: Path, doing: str, least: int, how: str
) -> None:
    folder = memory_folder / f"{doing}-{how}"
    folder.mkdir()
    for play in PLAYS:
        corpus(folder, play)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIE_AT_EVERY_STEP, folder, doing, how],
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # OpenMP's threads do not survive a fork
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    *deaths, last = json.loads(run.stdout)
    assert last == 0
    assert len(deaths) >= least, len(deaths)
    if how == "kill":
        assert set(deaths) == {-signal.SIGKILL}


KILLED = {
    "build": ["build", "lear.jsonl", "-o", "play.infgram", "--overwrite"],
    "build --jobs 2": [
        *("build", "lear.jsonl", "-o", "play.infgram", "--overwrite", "--jobs", "2"),
        *("--shard-tokens", "20000"),
    ],
    "calibrate": ["calibrate", "play.infgram"],
    "verify": ["verify", "play.infgram"],
}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
@pytest.mark.parametrize("doing", KILLED)
def test_whatever_is_ended_at_any_moment_the_index_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: str, how: signal.Signals
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(how)
    corpus(tmp_path, "lear", times=700)
    old = infgram.build(
        corpus(tmp_path, "hamlet", times=700), tmp_path / "play.infgram", shard_tokens=20_000
    )
    truth = {"hamlet": 1400, "lear": 0}
    for _ in range(examples(1)):
        process = start(*KILLED[doing])
        time.sleep(rng.uniform(0.1, 2.0))
        process.send_signal(how)
        ended(process)
        index = infgram.open(tmp_path / "play.infgram", verify=True)
        index.verify()
        play = index.document(0).metadata["play"]
        assert index.count("to be") == truth[play]
        assert old.count("to be") == 1400
        paths = [tmp_path / "hamlet.jsonl", index.path]
        infgram.build(*paths, shard_tokens=20_000, overwrite=True)
        assert left_in(index.path) == ["CURRENT", generation_name(tmp_path), "lock"]
        assert left_in(tmp_path) == ["play.infgram"]
        assert not [p for p in generation(index.path).iterdir() if p.name.startswith(".")]


SORT_IN_PROCESSES = """
import sys, infgram
infgram.build(sys.argv[1], sys.argv[2], documents="line", jobs=2, shard_tokens=9_000_000,)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_processes_that_sort_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """It is killed while they sort for seconds."""
    text = tmp_path / "lines.txt"
    rng = np.random.default_rng(0)
    text.write_bytes(rng.integers(97, 101, 18_000_000, np.uint8).tobytes().replace(b"abcda", b"\n"))
    target = tmp_path / "lines.infgram"
    parent = subprocess.Popen([sys.executable, "-c", SORT_IN_PROCESSES, text, target])
    try:
        workers = wait_for(lambda: children(parent.pid), 1)
        wait_for(lambda: list(tmp_path.glob(".lines*/*/shard-*/codes")), 1)  # they are at it
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: [pid for pid in workers if not is_alive(pid)], len(workers))
    assert not target.exists()
    infgram.build(corpus(tmp_path, "lear"), target)
    assert left_in(tmp_path) == ["lines.infgram", "lines.txt"]


def wait_for(found, n: int) -> list:
    """What there is once there are so many; gives up after a minute, which no machine needs."""
    deadline = time.monotonic() + 60
    while len(there := found()) < n:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return there


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


TOO_LITTLE_MEMORY = """
import resource, sys
import numpy as np, pydivsufsort, infgram
from pathlib import Path
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    infgram.build(sys.argv[1], sys.argv[2])
except infgram.InfgramError as error:
    print(type(error).__name__, isinstance(error, MemoryError), error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="takes terabytes")
@pytest.mark.parametrize("megabytes", [4, 40, 80])
def test_too_little_memory_is_said_and_leaves_nothing(tmp_path: Path, megabytes: int) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes(b"to be or not to be, that is the question\n" * 250_000)
    more = str(megabytes * 10**6)
    run = subprocess.run(
        [sys.executable, "-c", TOO_LITTLE_MEMORY, text, tmp_path / "a.infgram", more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.startswith("OutOfMemory True")
    assert "smaller shards" in run.stdout
    assert left_in(tmp_path) == ["a.txt"]


# Formats ------------------------------------------------------------------------------------------


@pytest.fixture
def first_format(tmp_path: Path) -> Path:
    """An index that infgram 0.1 has written."""
    with zipfile.ZipFile(FIRST_FORMAT) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "format-1.infgram").rename(tmp_path / "play.infgram")
    return tmp_path / "play.infgram"


def test_an_index_of_format_1_still_opens(first_format: Path) -> None:
    for _ in range(2):  # checked, and noted as checked
        index = infgram.open(first_format)
        assert (index.count("to be"), index.n_documents, index.n_shards) == (32, 32, 2)
        assert index.backwards.ntd("eb").prompt_cnt == 39
        assert index.find("question", limit=1, seed=0)[0].metadata["id"] % 4 == 1
        assert infgram.stored_calibration(index) is not None
    index.verify()
    infgram.calibrate(index)
    assert infgram.stored_calibration(infgram.open(first_format)) is not None
    assert pickle.loads(pickle.dumps(index)).count("to be") == 32


def test_an_index_of_format_1_is_replaced_by_one_of_format_2(first_format: Path) -> None:
    old = infgram.open(first_format)
    (first_format / "notes.txt").write_text("mine")
    (first_format / "verified.jsonab12cd_9").write_text("{}")  # what a killed `verify` left in 0.1
    new = build(first_format.parent, "lear")
    assert new.count("nothing") == 2
    assert old.count("to be") == 32
    assert old.backwards.ntd("eb").prompt_cnt == 39
    assert left_in(first_format) == ["CURRENT", generation(first_format).name, "lock", "notes.txt"]
    with pytest.raises(IndexReplaced):
        infgram.calibrate(old)


def test_an_index_that_a_killed_0_1_had_moved_aside_comes_back(first_format: Path) -> None:
    aside = first_format.with_name(".play.infgram.0123abcd.replaced")
    first_format.rename(aside)
    (first_format.parent / "empty.jsonl").write_text("")
    with pytest.raises(EmptyCorpus):  # even a build that fails brings it back
        infgram.build(first_format.parent / "empty.jsonl", first_format, overwrite=True)
    assert infgram.open(first_format).count("to be") == 32
    shutil.copytree(first_format, aside)
    (aside / "letter").write_text("dear")
    build(first_format.parent, "lear")
    assert left_in(aside) == ["letter"]  # of what was replaced nothing is left but what is not ours


def test_what_another_index_of_format_1_left_is_not_mistaken_for_this_ones(
    first_format: Path, tmp_path: Path
) -> None:
    """Format 1 was replaced by renaming folders: an old handle's folder can hold another build."""
    old = infgram.open(first_format)
    manifest = json.loads((first_format / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["created"] = "later"
    manifest["checksum"] = storage.checksum(manifest)
    (first_format / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexReplaced):
        infgram.calibrate(old)
    assert infgram.stored_calibration(infgram.open(first_format)) is None  # it is of the other


def add_file(path: Path, name: str, *, optional: bool) -> None:
    """Adds a column that this version of infgram does not know."""
    folder = generation(path)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"]
    writer = storage.IndexWriter(folder)
    writer.files = manifest.pop("files")
    writer.optional = manifest.pop("optional")
    writer.write(name, np.arange(10, dtype=np.uint16))
    writer.optional += [name] * optional
    writer.finish(manifest)


@pytest.mark.parametrize("name", ["later", "shard-00000/later"])
def test_a_later_formats_column_is_ignored_only_where_it_may_be(tmp_path: Path, name: str) -> None:
    index = build(tmp_path, "hamlet")
    truth = answers(index)
    add_file(index.path, name, optional=True)
    again = answers(infgram.open(index.path))
    assert {**again, "identity": 0} == {**truth, "identity": 0}
    infgram.open(index.path).verify()
    index = build(tmp_path, "hamlet")
    add_file(index.path, name, optional=False)
    with pytest.raises(UnsupportedFormat, match="later"):
        infgram.open(index.path)


def test_documents_without_metadata_have_no_column_for_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be")
    index = infgram.build(tmp_path / "a.txt", tmp_path / "a.infgram")
    assert not [name for name in index.manifest["files"] if "metadata" in name]
    assert index.document(0).metadata == {}
    index = build(tmp_path, "hamlet")
    assert index.manifest["optional"] == ["shard-00000/metadata", "shard-00000/metadata_offsets"]


# Files from strangers -----------------------------------------------------------------------------


def plant(kind: str, path: Path, precious: Path) -> None:
    """Puts something else into the place of a file."""
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path.name)  # to itself


KINDS = ["link", "pipe", "folder", "device", "loop"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["CURRENT", "manifest.json", "token_ids", "shard-00000/sa", "shard-00000/metadata"]
)
def test_only_files_of_its_own_are_read(tmp_path: Path, name: str, kind: str) -> None:
    index = build(tmp_path, "hamlet")
    file = (index.path if name == "CURRENT" else generation(index.path)) / name
    precious = tmp_path / "precious"
    shutil.copy(file, precious)
    plant(kind, file, precious)
    with pytest.raises((CorruptIndex, NotAnIndex), match=name.rpartition("/")[2]):
        infgram.open(index.path)
    assert precious.is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibration_that_is_no_file_hangs_nobody(tmp_path: Path, kind: str) -> None:
    index = build(tmp_path, "hamlet", calibrate=True)
    file = generation(index.path) / storage.CALIBRATION
    precious = tmp_path / "precious"
    shutil.copy(file, precious)
    plant(kind, file, precious)
    index = infgram.open(index.path)
    assert index.count("to be") == 2
    with pytest.raises(CorruptIndex, match=storage.CALIBRATION):
        infgram.stored_calibration(index)
    file = generation(index.path) / storage.VERIFIED
    plant(kind, file, precious)
    assert infgram.open(index.path).count("to be") == 2
    assert precious.is_file()


def test_folders_that_lead_out_of_the_index_are_refused(tmp_path: Path) -> None:
    index = build(tmp_path, "hamlet", two_sided=True)
    for name in ("shard-00000", "backwards"):
        folder = generation(index.path) / name
        folder.rename(tmp_path / name)
        folder.symlink_to(tmp_path / name)
        with pytest.raises(CorruptIndex, match=name):
            infgram.open(index.path).backwards
        folder.unlink()
        (tmp_path / name).rename(folder)
    assert infgram.open(index.path).backwards.count("eb") == 2
    folder = generation(index.path)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptIndex, match=folder.name):
        infgram.open(index.path)


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/passwd", "shard-00000/../x", "", ".", "a\0b", "..\\x", "A" * 300],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    index = build(tmp_path, "hamlet")
    file = generation(index.path) / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["checksum"]
    manifest["files"][name] = manifest["files"]["token_ids"]
    manifest["optional"].append(name)
    manifest["checksum"] = storage.checksum(manifest)
    file.write_text(json.dumps(manifest))
    with pytest.raises(CorruptIndex, match="not written by infgram"):
        infgram.open(index.path)


@pytest.mark.parametrize("line", ["../play", "/tmp", "generation-0123", "", "x" * 5000, "\0"])
def test_a_current_build_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    index = build(tmp_path, "hamlet")
    for before in ("infgram 2 ", "infgram 3 ", ""):
        (index.path / "CURRENT").write_text(f"{before}{line}\n")
        with pytest.raises((CorruptIndex, NotAnIndex), match="CURRENT"):
            infgram.open(index.path)
    (index.path / "CURRENT").write_text("infgram 2 generation-0123456789abcdef\n")
    with pytest.raises(CorruptIndex, match="missing"):
        infgram.open(index.path)


def test_a_calibration_that_inflates_without_end_is_refused(tmp_path: Path) -> None:
    index = build(tmp_path, "hamlet", calibrate=True)
    file = generation(index.path) / storage.CALIBRATION
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(file, "w", method) as archive, archive.open("x.npy", "w") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (3 << 20,)}
            )
            member.write(bytes(3 << 20))
        assert file.stat().st_size < 10_000
        with pytest.raises(CorruptIndex, match=storage.CALIBRATION):
            infgram.stored_calibration(infgram.open(index.path))
    file.write_bytes(bytes(2 << 20))
    with pytest.raises(CorruptIndex, match="at most"):
        infgram.stored_calibration(infgram.open(index.path))


# Threads ------------------------------------------------------------------------------------------


def test_a_cursor_that_threads_share_is_always_in_a_state_that_it_had(tmp_path: Path) -> None:
    index = build(tmp_path, "hamlet")
    text = "to be or not to be"
    cursor = index.cursor()
    states = {state(cursor)}
    for token in [index.end_of_text, *text.encode()]:
        states.add(state(cursor.advance(token)))
    shared = index.cursor()
    done = []

    def walk() -> None:
        for _ in range(examples(60)):
            shared.advance(index.end_of_text).advance(text)
        done.append(1)

    def look() -> set:
        found = set()
        while not done:
            found.add(state(shared))
        return found

    with ThreadPoolExecutor(8) as pool:
        looks = [pool.submit(look) for _ in range(7)]
        pool.submit(walk).result()
        assert set().union(*(each.result() for each in looks)) <= states


def state(cursor: infgram.Cursor) -> tuple:
    ntd = cursor.ntd()
    return ntd.suffix_len, ntd.prompt_cnt, ntd.token_ids.tobytes(), ntd.counts.tobytes()


def test_a_model_that_threads_share_gives_what_one_thread_gets(tmp_path: Path) -> None:
    index = build(tmp_path, "hamlet", calibrate=True)
    texts = [text[:n] for texts in PLAYS.values() for text in texts for n in (5, 9)][:8]
    for estimator, adapt in (
        (infgram.SBIS(k=-1), False),
        (infgram.KneserNey(), False),
        (infgram.KneserNey(), True),
    ):
        shared = infgram.Model(index, estimator, adapt=adapt)

        def ask(text: str, model: infgram.Model) -> tuple:
            return (
                model.distribution(text).tobytes(),
                model.score("to be or not", context=text).log_prob.tobytes(),
                model.generate(text, max_tokens=40, seed=len(text)).text,
                infgram.perplexity(model, text).perplexity,
            )

        def several(text: str, model: infgram.Model = shared) -> list[tuple]:
            return [ask(text, model) for _ in range(examples(4))]

        alone = [[ask(text, infgram.Model(index, estimator, adapt=adapt))] for text in texts]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(several, texts))
        assert [set(each) for each in found] == [set(each) for each in alone]


def test_the_state_of_a_cursor_is_checked(tmp_path: Path) -> None:
    index = build(tmp_path, "hamlet")
    native = index.cursor("to be or not to b").native
    state = native.state()
    assert len(state) >= 8
    for change in (
        lambda s: s[::-1],
        lambda s: np.concatenate([s[4:], s[:4]]),
        lambda s: np.concatenate([s, s[-4:]]),
        lambda s: s[:-1],
    ):
        with pytest.raises(ValueError, match="state of a cursor"):
            index.native.restore_cursor(np.ascontiguousarray(change(state)), native.window)
