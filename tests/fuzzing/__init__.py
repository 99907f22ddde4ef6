"""Indexes from strangers: mutated, sealed with checksums that fit, and asked all that can be asked.

A case is a sound index of a few kilobytes, damaged by some mutations that the seed and the number
of the case decide. What comes of it is a right answer, a plausible one, or an InfgramError; never
a crash, a hang, another exception, or a probability that is none.

`python -m fuzzing` runs cases (with `tests` on the path); `make fuzz` runs 20,000.

    corpora     the sound indexes
    folders     an index on disk as it is mutated: columns, manifests, and their seals
    columns     mutations of arrays
    documents   mutations of JSON
    archives    mutations of calibration.npz
    entries     files that are no files, links, names that lead out of the folder
    cases       which mutations a case has
    questions   all that is asked, and whether an answer can be
    run         cases asked, and held against the sound index's answers
    children    forked processes and their limits
    report      what is told of all
"""
