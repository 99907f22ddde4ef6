"""What building.py runs in processes of their own: `python -m bench.jobs JOB ...` prints JSON.

A fresh process has only the memory that its job needs, and nothing imported but what it needs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


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
    """An index, from the file to the opened folder."""
    import infgram

    started = time.perf_counter()
    infgram.build(corpus, folder, calibrate=False)  # the index alone
    return {"seconds": time.perf_counter() - started}


def rival(name: str, corpus: str, folder: str) -> dict[str, float | str]:
    """A rival's index, imports included, as they come with its build."""
    from .rivals import RIVALS, Absent

    (found,) = [rival for rival in RIVALS if rival.name == name]
    started = time.perf_counter()
    try:
        found.build(Path(corpus), Path(folder))
    except Absent as absent:
        return {"absent": str(absent)}
    return {"seconds": time.perf_counter() - started}


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


_JOBS = {job.__name__: job for job in (sort, nothing, build, rival, use)}

if __name__ == "__main__":
    print(json.dumps(_JOBS[sys.argv[1]](*sys.argv[2:])))
