"""An index that grows while processes die, disks lose what was not synced, and others read it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from conftest import examples

import infgram

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="syncs and kills as POSIX does")

Tree = dict[str, bytes | None]
"""Files by their paths in a folder; None for folders."""


class Disk:
    """Records what is on a disk below a folder whenever something is synced or renamed there.

    `states`: what other processes see at that moment; and what there would be after a power cut: of
    a file what was synced of it last, of a folder the names that it had when it was synced last.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.states: list[Tree] = []
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}
        self._held: list[int] = []  # open, so that no number of a file is used twice
        for folder, _, files in os.walk(root):
            self._note(Path(folder))
            for file in files:
                self._note(Path(folder, file))

    def _note(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self._synced(descriptor)
        finally:
            os.close(descriptor)

    def _synced(self, descriptor: int) -> None:
        self._held.append(os.dup(descriptor))
        number = os.fstat(descriptor).st_ino
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._names[number] = {
                each.name: (each.stat().st_ino, each.is_dir()) for each in path.iterdir()
            }
        else:
            self._contents[number] = path.read_bytes()

    def _keep(self) -> None:
        self.states.append(
            {
                str(path.relative_to(self.root)): None if path.is_dir() else path.read_bytes()
                for path in sorted(self.root.rglob("*"))
            }
        )
        after_a_power_cut: Tree = {}

        def walk(number: int, folder: Path) -> None:
            for name, (inside, is_folder) in self._names.get(number, {}).items():
                path = folder / name
                after_a_power_cut[str(path)] = (
                    None if is_folder else self._contents.get(inside, b"")
                )
                if is_folder:
                    walk(inside, path)

        walk(self.root.stat().st_ino, Path())
        self.states.append(after_a_power_cut)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        sync, replace = os.fsync, os.replace

        def fsync(file: int) -> None:
            self._keep()
            sync(file)
            self._synced(file)

        def recorded_replace(*arguments: object, **named: object) -> None:
            self._keep()
            replace(*arguments, **named)  # type: ignore[arg-type]
            self._keep()

        with patch("os.fsync", fsync), patch("os.replace", recorded_replace):
            yield
        self._keep()
        for descriptor in self._held:
            os.close(descriptor)


def write(tree: Tree, folder: Path) -> None:
    """Makes a folder of what is recorded."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in tree.items():
        path = folder / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)


def said(index: infgram.Index) -> tuple[object, ...]:
    texts = [index.document(i).text for i in range(index.n_documents)]
    return texts, dict(index.ntd("x ")), index.levels("a x "), index.count("x")


def changed(path: Path, change: str, rng: random.Random) -> infgram.Index:
    """Makes one change to an index; one of a single document is added to instead of emptied."""
    n_documents = infgram.open(path).n_documents
    if change in ("merge", "purge"):
        return infgram.merge(path, purge=change == "purge")
    if change == "remove" and n_documents > 1:
        n = rng.randint(1, min(n_documents - 1, 3))
        return infgram.remove(path, documents=rng.sample(range(n_documents), n))
    return infgram.add(path, [f"{rng.choice('abc')} x {rng.randrange(9)}" for _ in range(2)])


CHANGES = ["add", "remove", "merge", "purge"]


@pytest.mark.parametrize("number", range(examples(12)))
def test_an_index_is_as_before_or_as_after_wherever_a_change_is_cut_off(
    memory_folder: Path, number: int
) -> None:
    rng = random.Random(number)
    folder = memory_folder / f"cut-off-{number}"
    folder.mkdir()
    path = folder / "corpus.infgram"
    infgram.build(["a x 1", "b x 2", "c x 3"], path)
    for _ in range(number // len(CHANGES) % 7):
        changed(path, rng.choice(CHANGES[:3]), rng)
    opened = infgram.open(path)
    before = said(opened)
    disk = Disk(path)
    with disk.recorded():
        now = changed(path, CHANGES[number % len(CHANGES)], rng)
    after = said(now)
    seen = set()
    for i, state in enumerate(disk.states):
        target = folder / "cut" / path.name
        write(state, target)
        found = said(infgram.open(target, verify=True))
        assert found in (before, after)
        seen.add(found == after)
        if i % 5 == 0 or i >= len(disk.states) - 12:
            grown = infgram.add(target, ["later"])
            assert grown.n_documents == len(found[0]) + 1  # type: ignore[arg-type]
            names = {each.folder.name for each in grown.segments.all_stored()}
            assert {each.name for each in target.iterdir()} == {
                *names,
                *("CURRENT", "lock", str(grown.segments.name)),
            }
    assert len(disk.states) > 30 if now.identity != opened.identity else len(disk.states) == 2
    assert seen == ({False, True} if before != after else {True})
    shutil.rmtree(folder)


WRITE_FOR_EVER = """
import sys, infgram
path, i = sys.argv[1], int(sys.argv[2])
while True:
    step = i % 7
    if step in (2, 5):
        infgram.remove(path, documents=[0])
    elif step in (4, 6):
        infgram.merge(path, purge=step == 6)
    else:
        infgram.add(path, [f"{i} x"])
    i += 1
    print(i, flush=True)
"""


def texts_after(n: int) -> list[str]:
    """What is there after n steps of the script."""
    texts = ["first x", "second x"]
    for i in range(n):
        if i % 7 in (2, 5):
            del texts[0]
        elif i % 7 not in (4, 6):
            texts.append(f"{i} x")
    return texts


def test_no_kill_loses_what_was_done_or_leaves_half_of_what_was_not(tmp_path: Path) -> None:
    path = tmp_path / "corpus.infgram"
    infgram.build(texts_after(0), path)
    rng = random.Random(0)
    done = 0
    for _ in range(examples(5)):
        script = [sys.executable, "-c", WRITE_FOR_EVER, str(path), str(done)]
        writer = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        for _ in range(rng.randrange(1, 4)):
            done = int(writer.stdout.readline())
        time.sleep(rng.random() * 0.1)
        writer.send_signal(signal.SIGKILL)
        done = max([done, *map(int, writer.communicate()[0].split())])
        index = infgram.open(path, verify=True)
        texts = [index.document(i).text for i in range(index.n_documents)]
        assert texts in (texts_after(done), texts_after(done + 1))
        assert index.count("x") == len(texts)
        if texts != texts_after(done):
            done += 1
    infgram.add(path, ["last"])
    assert not [name for name in os.listdir(path) if name.endswith(".building")]


def test_every_answer_is_of_one_state_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "corpus.infgram"
    infgram.build(["x first", "x second"], path)
    ended = threading.Event()
    n_states = []

    def read() -> None:
        index = infgram.open(path)
        states = {index.identity}
        while not ended.is_set():
            now = index.refresh() if len(states) % 2 else infgram.open(path)
            for it in (index, now):
                assert it.count("x") == it.n_documents == it.ntd("x").prompt_cnt
                documents = [match.document for match in it.find("x", limit=10**6)]
                assert documents == list(range(it.n_documents))
                assert it.levels("x")[0].m == it.n_documents
            index = now
            states.add(index.identity)
        n_states.append(len(states))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for i in range(examples(30)):
                if i % 3 == 2:
                    infgram.remove(path, documents=[0])
                elif i % 5 == 4:
                    infgram.merge(path, purge=i % 2 == 0)
                else:
                    infgram.add(path, [f"x {i}"])
        finally:
            ended.set()
        for reader in readers:
            reader.result()
    assert min(n_states) > 1


def test_writers_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "corpus.infgram"
    infgram.build(["start x"], path)

    def write_some(name: str) -> None:
        for i in range(4):
            infgram.add(path, [f"{name} {i} x"])
            if i == 2:
                infgram.merge(path, purge=name == "b")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write_some, "abc"))
    index = infgram.open(path)
    texts = {index.document(i).text for i in range(index.n_documents)}
    assert texts == {"start x", *(f"{name} {i} x" for name in "abc" for i in range(4))}
    assert index.count("x") == index.n_documents == 13
