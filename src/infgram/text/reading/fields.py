"""Where the text of a record is: a field, or a path to it; and what of a record JSON can hold."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .document import BadRecord, Content

_PART = re.compile(r"([^.\[\]]+)((?:\[\])*)")
_JOINT = "\n"
_HINT = "; name the field with the text (--text-field)"


class Number(str):
    """A number that no JSON can hold again, such as NaN, as it was written. It is no text."""

    __slots__ = ()


class Field:
    """The place of the text in a record: a name, or a path such as `messages[].content`.

    `a.b` is field b of the object a, and `a[]` every item of the list a. A field that has the whole
    path as its name comes first.

    >>> record = {"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}
    >>> Field("messages[].content").take(record), record
    (b'a\\nb', {'messages': [{'role': 'user'}, {}]})
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts = [
            (key, len(lists) // 2)
            for part in name.split(".")
            for match in [_PART.fullmatch(part)]
            if match
            for key, lists in [match.groups()]
        ]
        if len(self._parts) != name.count(".") + 1:
            self._parts = [(name, 0)]

    @property
    def is_path(self) -> bool:
        """Whether it leads into a field."""
        return self._parts != [(self.name, 0)]

    @property
    def root(self) -> str:
        """The field of the record that holds it, if none has its whole name."""
        return self._parts[0][0]

    def take(self, record: MutableMapping[str, Any]) -> Content:
        """Takes the text, or token ids, out of a record. Texts of a list are joined by newlines.

        Items that lack the field, or have null there, are passed over. Raises BadRecord.
        """
        if self.name in record or not self.is_path:
            if self.name not in record:
                only = ", ".join(map(repr, record)) or "none"
                raise BadRecord(f"no field {self.name!r}, only {only}{_HINT}")
            return content_of(record.pop(self.name), self.name)
        if self.root not in record:
            only = ", ".join(map(repr, record)) or "none"
            raise BadRecord(f"no field {self.root!r}, only {only}{_HINT}")
        found = list(self._leaves(record, 0))
        if not found:
            raise BadRecord(f"no text at {self.name!r}")
        if len(found) == 1:
            return content_of(found[0], self.name)
        if not all(_is_text(each) for each in found):
            kinds = ", ".join(sorted({in_words(each) for each in found}))
            raise BadRecord(f"field {self.name!r} must be strings, found {kinds}")
        return content_of(_JOINT.join(found), self.name)

    def _leaves(self, value: object, part: int) -> Iterator[Any]:
        if value is None:
            return
        key, depth = self._parts[part]
        is_last = part + 1 == len(self._parts)
        if not isinstance(value, MutableMapping):
            raise BadRecord(
                f"expected an object with {key!r} on the way to {self.name!r}, "
                f"found {in_words(value)}"
            )
        items = [value.pop(key, None) if is_last else value.get(key)]
        for _ in range(depth):
            for item in items:
                if item is not None and not isinstance(item, list | tuple):
                    raise BadRecord(
                        f"expected a list at {key!r} on the way to {self.name!r}, "
                        f"found {in_words(item)}"
                    )
            items = [inner for item in items if item is not None for inner in item]
        for item in items:
            if is_last:
                if item is not None:
                    yield item
            else:
                yield from self._leaves(item, part + 1)


def content_of(value: object, name: str) -> Content:
    """A string as UTF-8, bytes as they are, a list of integers as token ids. Raises BadRecord.

    Integers may stand in any flat sequence: a tuple, an array of any library.
    """
    if _is_text(value):
        try:
            return str(value).encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadRecord(
                f"field {name!r} holds a lone surrogate at character {error.start}"
            ) from error
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    ids = _ids(value)
    if ids is not None:
        return ids
    hint = ""
    if isinstance(value, list | tuple) and value and all(map(_is_text, value)):
        hint = f" of strings; --text-field {name + '[]'!r} joins them by newlines"
    elif isinstance(value, list | tuple) and any(type(each) is int for each in value):
        hint = " of integers and others, or of numbers beyond 64 bits"
    raise BadRecord(
        f"field {name!r} must be a string or a list of integers, found {in_words(value)}{hint}"
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _ids(value: object) -> NDArray[np.integer[Any]] | None:
    """Token ids of any kind of flat sequence; None for what is none."""
    if not hasattr(value, "__len__"):
        return None
    if isinstance(value, list | tuple) and not set(map(type, value)) <= {int}:
        if not all(isinstance(each, int | np.integer) and type(each) is not bool for each in value):
            return None
        value = [int(each) for each in value]
    if np.ma.is_masked(value):
        return None
    try:
        ids = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError):
        return None
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        return None
    return ids if ids.size else ids.astype(np.int64)


def in_words(value: object) -> str:
    """What a value is, in the words of JSON where it has one.

    >>> in_words(None), in_words(1.5), in_words(["a"]), in_words({})
    ('null', 'a number', 'a list', 'an object')
    """
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float | Number):
        return "a number"
    kinds: dict[type, str] = {str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), type(value).__name__)


def unique(names: Sequence[str]) -> list[str]:
    """Names of columns, where one that occurs again has a number.

    >>> unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    found: list[str] = []
    for name in names:
        number, other = 2, name
        while other in found:
            other = f"{name} ({number})"
            number += 1
        found.append(other)
    return found


def json_able(value: object) -> object:
    """A value as JSON has it: what JSON lacks (dates, decimals, NaN) as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(key): json_able(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_able(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return json_able(value.tolist())
    return str(value)
