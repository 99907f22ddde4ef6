"""Questions that read as they go, asked side by side, so that they share round trips.

A question is a generator: it yields the parts of objects that it needs next, gets their bytes, and
returns its answer.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from ..store.objects import Objects, Part

T = TypeVar("T")
Question: TypeAlias = Generator[list[Part], list[bytes], T]


def answered(objects: Objects, questions: Sequence[Question[T]]) -> list[T]:
    """The answers. As many round trips as the longest question has; no part is read twice in one.

    >>> def question():
    ...     first, second = yield [Part("a", 0, 2), Part("b", 4, 5)]
    ...     return first + second
    >>> class Store:
    ...     def parts(self, wanted):
    ...         return [part.name.encode() * (part.end - part.begin) for part in wanted]
    >>> answered(Store(), [question(), question()])
    [b'aab', b'aab']
    """
    every = side_by_side(questions)
    try:
        wanted = next(every)
        while True:
            once = list(dict.fromkeys(wanted))
            known = dict(zip(once, objects.parts(once), strict=True))
            wanted = every.send([known[part] for part in wanted])
    except StopIteration as end:
        answers: list[T] = end.value
        return answers


def side_by_side(questions: Sequence[Question[T]]) -> Question[list[T]]:
    """Several questions as one, which reads at once what each of them reads next."""
    answers: dict[int, T] = {}
    asked: dict[int, list[Part]] = {}

    def go_on(i: int, read: list[bytes] | None) -> None:
        try:
            asked[i] = questions[i].send(read)  # type: ignore[arg-type]
        except StopIteration as end:
            answers[i] = end.value

    for i in range(len(questions)):
        go_on(i, None)
    while asked:
        waiting, asked = asked, {}
        read = iter((yield [part for parts in waiting.values() for part in parts]))
        for i, parts in waiting.items():
            go_on(i, [next(read) for _ in parts])
    return [answers[i] for i in range(len(questions))]
