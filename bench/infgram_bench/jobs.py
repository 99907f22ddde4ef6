"""What runs in processes of its own: `python -m infgram_bench.jobs JOB ...` prints JSON.

A fresh process has only the memory that its job needs, and nothing imported but what it needs.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .failures import Trial

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def sort(corpus: str) -> dict[str, float]:
    """The suffix sort alone, of the bytes as they are; reading them is not timed."""
    import numpy as np
    from pydivsufsort import divsufsort

    data = np.fromfile(corpus, np.uint8)
    started = time.perf_counter()
    divsufsort(data)
    return {"seconds": time.perf_counter() - started}


def nothing() -> dict[str, float]:
    """The interpreter with infgram imported: the memory that every other job has, too."""
    import infgram

    return {"names": len(infgram.__all__)}


def build(corpus: str, folder: str) -> dict[str, float]:
    """An index alone, from the file to the opened folder."""
    import infgram

    started = time.perf_counter()
    infgram.build(corpus, folder, format="bytes")
    return {"seconds": time.perf_counter() - started}


def build_compact(corpus: str, folder: str) -> dict[str, float]:
    """An index of the compact layout."""
    import infgram

    started = time.perf_counter()
    infgram.build(corpus, folder, format="bytes", layout="compact")
    return {"seconds": time.perf_counter() - started}


def build_calibrated(corpus: str, folder: str) -> dict[str, float]:
    """The same with the discounts of Kneser-Ney."""
    import infgram

    started = time.perf_counter()
    infgram.build(corpus, folder, format="bytes", calibrate=True)
    return {"seconds": time.perf_counter() - started}


def build_fitted(corpus: str, folder: str, *, adapt: bool = False) -> dict[str, float]:
    """The same with the mixture of `Mix`."""
    import infgram

    started = time.perf_counter()
    infgram.fit(infgram.build(corpus, folder, format="bytes", calibrate=True), adapt=adapt)
    return {"seconds": time.perf_counter() - started}


def build_fitted_adapting(corpus: str, folder: str) -> dict[str, float]:
    """With the mixture that learns from what it reads."""
    return build_fitted(corpus, folder, adapt=True)


def peer_build(name: str, corpus: str, folder: str) -> dict[str, float | str]:
    """A system's index, imports included, as they come with its build."""
    from .rivals import SYSTEMS, Absent

    (system,) = [system for system in SYSTEMS if system.name == name]
    started = time.perf_counter()
    try:
        system.build(Path(corpus), Path(folder))
    except Absent as absent:
        return {"absent": str(absent)}
    return {"seconds": time.perf_counter() - started}


def kenlm(lmplz: str, corpus: str, folder: str, held_out: str, order: str) -> dict[str, Any]:
    """KenLM's model in ARPA format, and its perplexity of a held-out text."""
    from .rivals import Absent, kenlm_log_probs, kenlm_train

    arpa = Path(folder) / "kenlm.arpa"
    started = time.perf_counter()
    try:
        kenlm_train(Path(lmplz) if lmplz else None, Path(corpus).read_bytes(), arpa, int(order))
    except Absent as absent:
        return {"absent": str(absent)}
    seconds = time.perf_counter() - started
    log_probs = kenlm_log_probs(arpa, Path(held_out).read_bytes())
    return {"seconds": seconds, "perplexity": math.exp(-math.fsum(log_probs) / len(log_probs))}


def peer_ask(corpus: str, folder: str, held_out: str, rounds: str, failed: str) -> dict[str, Any]:
    """The questions of peers.py to all systems that have an index in the folder."""
    from .peers import ask

    trial = _trial(failed)
    found = ask(Path(corpus), Path(folder), Path(held_out).read_bytes(), int(rounds), trial)
    return {**found, "failed": trial.to_json()}


def queries(corpus: str, folder: str, rounds: str, failed: str) -> dict[str, Any]:
    """The questions of queries.py, likewise."""
    from .queries import ask

    trial = _trial(failed)
    found = ask(Path(corpus), Path(folder), int(rounds), trial)
    return {"findings": found.to_json(), "failed": trial.to_json()}


def generation(
    folder: str, program: str, rounds: str, limit: str, n_draws: str, failed: str
) -> dict[str, Any]:
    """What generation.py measures."""
    from .generation import measure

    trial = _trial(failed)
    found = measure(Path(folder), program, int(rounds), float(limit), int(n_draws), trial)
    return {"findings": found.to_json(), "failed": trial.to_json()}


def use(folder: str, ngrams: str) -> dict[str, float]:
    """Opens an index and counts n-grams (hex, comma-separated); seconds, and memory in bytes."""
    import infgram

    queries = [bytes.fromhex(ngram) for ngram in ngrams.split(",")]
    before = _resident()
    started = time.perf_counter()
    index = infgram.open(folder)
    result = {"seconds": time.perf_counter() - started}
    for stage, n_queries in [("opened", 0), ("counted_one", 1), ("counted_all", len(queries))]:
        for query in queries[:n_queries]:
            index.count(query)
        for kind, n_bytes in _resident().items():
            result[f"{stage}_{kind}"] = n_bytes - before[kind]
    return result


def _resident() -> dict[str, int]:
    """Resident memory of this process in bytes: its own, and its mapped pages of files."""
    fields = {"RssAnon": "own", "RssFile": "mapped"}
    found = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        field, _, value = line.partition(":")
        if field in fields:
            found[fields[field]] = int(value.split()[0]) * 1024
    if len(found) != len(fields):
        raise SystemExit("/proc/self/status does not tell memory by kind: this needs Linux")
    return found


def growth(folder: str) -> dict[str, Any]:
    """The costs of growth.py of the indexes in the folder."""
    from .growth import costs

    return costs(Path(folder))


def neural_infgram_loss(name: str, index: str, held_out: str) -> dict[str, float]:
    """Nats a byte."""
    from .neural import infgram_loss

    return {"loss": infgram_loss(name, Path(index), Path(held_out))}


def neural_nanogpt_loss(recipe: str, text: str) -> dict[str, float]:
    """Nats a character."""
    from .neural import nanogpt_loss

    return {"loss": nanogpt_loss(recipe, Path(text))}


def neural_train(recipe: str, text: str, limit: str) -> dict[str, Any]:
    """Trains, and says how far it is, a line at a time."""
    from .neural import train

    return train(recipe, Path(text), float(limit), _say)


def neural_write(
    text: str,
    n: str,
    rounds: str,
    nanogpt: str,
    threads: str,
    index: str,
    estimators: str,
    failed: str,
) -> dict[str, Any]:
    """Seconds a character by way of writing."""
    from .neural import write

    trial = _trial(failed)
    checkout, index_path = (Path(path) if path else None for path in (nanogpt, index))
    names = estimators.split(",") if estimators else ()
    seconds = write(Path(text), int(n), int(rounds), checkout, threads, index_path, names, trial)
    return {"seconds": seconds, "failed": trial.to_json()}


def judge(text: str, index: str, failed: str) -> dict[str, Any]:
    """Rows of judge.py."""
    from . import judge as question

    trial = _trial(failed)
    return {**question.judge(Path(text), Path(index), trial), "failed": trial.to_json()}


def race(text: str, index: str) -> dict[str, Any]:
    """The texts of race.py."""
    from .race import texts

    return texts(Path(text), Path(index))


def drafting_write(text: str, folder: str) -> dict[str, Any]:
    """Traces of what a GPT writes; their names."""
    from .drafting_traces import Material, add_written

    material = Material(Path(folder))
    add_written(Path(text), material)
    return {"traces": [trace.name for trace in material.traces]}


def drafting_code(folder: str) -> dict[str, Any]:
    """A corpus and a trace of code."""
    from .drafting_traces import Material, add_code

    return add_code(Material(Path(folder)))


def drafting_chats(folder: str, history: str) -> dict[str, int]:
    """A trace of chats, beside that of code."""
    from .drafting_traces import Material, add_chats

    return add_chats(Path(history), Material(Path(folder)))


def drafting_build(folder: str) -> dict[str, float]:
    """infgram's index of a corpus to draft from, with its discounts."""
    from .drafting_traces import Material

    started = time.perf_counter()
    Material(Path(folder)).build()
    return {"seconds": time.perf_counter() - started}


def drafting_hindsight(folder: str) -> dict[str, Any]:
    """What could have been drafted, by trace and budget."""
    import infgram

    from .drafting_hindsight import hindsight
    from .drafting_replay import BUDGETS
    from .drafting_traces import Material

    material = Material(Path(folder))
    index = infgram.open(material.index)
    found: dict[str, Any] = {}
    for trace in material.traces:
        found[trace.name] = {}
        for max_tokens in BUDGETS:
            steps, tokens, nodes = hindsight(index, trace.held_out, max_tokens)
            replay = {"steps": steps, "tokens": tokens, "nodes": nodes}
            found[trace.name][str(max_tokens)] = replay
    return found


def drafting_replay(name: str, folder: str) -> dict[str, Any]:
    """What a drafter gives, in all of its ways, and its memory."""
    from .drafting_replay import measure
    from .drafting_traces import Material

    return measure(name, Material(Path(folder)), _resident)


def drafting_speed(text: str, folder: str, failed: str) -> dict[str, Any]:
    """Seconds a character with drafts and without."""
    from .drafting_speed import measure

    trial = _trial(failed)
    return {**measure(Path(text), Path(folder), trial), "failed": trial.to_json()}


def refining_train(judge: str, folder: str) -> dict[str, float]:
    """Trains a judge of refining.py, and says how far it is; its held-out loss in nats."""
    from .refining_measure import train_judge

    return train_judge(judge, Path(folder), _say)


def refining_refiner(folder: str) -> dict[str, float]:
    """Trains the refiner of refining.py, if it was not; what it came to."""
    from .refining_measure import train_refiner

    return train_refiner(Path(folder), _say)


def refining_measure(folder: str) -> dict[str, Any]:
    """Rows of refining.py."""
    from .refining_measure import measure

    return measure(Path(folder), _say)


def refining_throughput(folder: str) -> dict[str, float]:
    """Bytes that the editor refines a second in a round, many drafts at once."""
    from .refining_measure import throughput

    return throughput(Path(folder))


def gpu_device() -> dict[str, Any]:
    """What torch computes on."""
    from .gpu_measure import device

    return device()


def gpu_nanogpt(folder: str, how: str) -> dict[str, Any]:
    """Trains nanoGPT and lets it write."""
    from .gpu_measure import nanogpt

    return nanogpt(Path(folder), how, _say)


def gpu_refiner(folder: str, size: str, how: str) -> dict[str, Any]:
    """Trains a refiner of a size."""
    from .gpu_measure import refiner

    return refiner(Path(folder), size, how, _say)


def gpu_edits(folder: str, how: str) -> dict[str, Any]:
    """Drafts edited by the refiners of gpu_refiner."""
    from .gpu_measure import edits

    return edits(Path(folder), how, _say)


def plan_build(corpus: str, folder: str, layout: Any, bits: str) -> dict[str, int]:
    """A part, for the constants of a plan."""
    from .planning import build

    return build(corpus, folder, layout, bits)


def plan_ask(folder: str) -> dict[str, float]:
    """What questions to that part cost."""
    from .planning import ask

    return ask(folder)


def _trial(failed: str) -> Trial:
    """Of rivals that are measured here: the process that started this one hears who is at work."""
    from .failures import Trial

    return Trial.from_json(failed, _say)


def _say(line: Mapping[str, Any]) -> None:
    print(f"\n{json.dumps(line)}", flush=True)  # what a rival printed may not end in a new line


_JOBS: dict[str, Callable[..., Any]] = {
    job.__name__: job
    for job in (
        *(sort, nothing, build, build_compact, build_calibrated, build_fitted),
        *(build_fitted_adapting, use, peer_build, kenlm, peer_ask, growth),
        *(queries, generation),
        *(neural_infgram_loss, neural_nanogpt_loss, neural_train, neural_write, judge, race),
        *(drafting_write, drafting_code, drafting_chats, drafting_build),
        *(drafting_hindsight, drafting_replay, drafting_speed),
        *(refining_train, refining_refiner, refining_measure, refining_throughput),
        *(plan_build, plan_ask),
        *(gpu_device, gpu_nanogpt, gpu_refiner, gpu_edits),
    )
}


def main(arguments: list[str]) -> None:
    """Runs a job; its result is the last line, whatever the job printed before."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever `nohup` and `&` set
    threading.Thread(target=_follow_parent, args=[os.getppid()], daemon=True).start()
    result = _JOBS[arguments[0]](*arguments[1:])
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    record = {
        "result": result,
        "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in used),
        "peak_bytes": max(_peak_bytes(), used[1].ru_maxrss * _RSS_UNIT),
    }
    print(f"\n{json.dumps(record)}")


def _follow_parent(parent: int) -> None:
    """Ends this process when the one that started it is gone, as if interrupted."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


def _peak_bytes() -> int:
    """Of this process. What getrusage tells on Linux counts the parent's memory at the fork."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
