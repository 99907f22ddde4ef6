"""Results as Python values: equal where their contents are, hashable, and short when printed."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import markup


class Value:
    """What a dataclass of results derives from, with eq=False and repr=False.

    - Two are equal if they are of one class and their fields are; arrays are if they have the same
      type, shape and numbers, NaN being equal to NaN. Equal ones have equal hashes.
    - Arrays cannot be written to.
    - `repr` shows the beginnings of what is long; a notebook, a small table.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, eq=False, repr=False)
    ... class Found(Value):
    ...     ids: NDArray[np.uint32]
    >>> Found(np.arange(3)) == Found(np.arange(3)), Found(np.arange(1000))
    (True, Found(ids=array([0, 1, 2, 3, 4, 5, ... 994 more], int64)))
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:  # `fields` takes longer than all else here
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, read_only(value))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(content(self) == content(other))

    def __hash__(self) -> int:
        return hash(content(self))

    def __repr__(self) -> str:
        shown = (f"{f.name}={short(getattr(self, f.name))}" for f in fields(self) if f.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """By the constructor, which keeps arrays from being written to."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def _repr_html_(self) -> str:
        values = ((f.name, getattr(self, f.name)) for f in fields(self) if f.repr)
        rows = (
            (name, value if isinstance(value, int | float | str) else short(value))
            for name, value in values
        )
        return markup.output(markup.table(["", type(self).__name__], rows))


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array as one that cannot be written to; whoever holds the array itself still can."""
    view = array.view()
    view.flags.writeable = False
    return view


def content(value: Any) -> Any:
    """What a value is compared by, and hashed: hashable, whatever is in it."""
    if isinstance(value, Value):
        own = (content(getattr(value, f.name)) for f in fields(value) if f.compare)
        return type(value), *own
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            value = np.where(np.isnan(value), np.nan, value + 0)  # one NaN, and one zero
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return "mapping", frozenset((name, content(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return isinstance(value, list), *map(content, value)
    if isinstance(value, float) and value != value:
        return "nan"
    return value


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = self.maxdict = 4
        self.maxstring = 80
        self.maxother = 300

    def repr_ndarray(self, array: NDArray[Any], _: int) -> str:
        if array.ndim != 1:
            return f"<array of {array.dtype}, shape {array.shape}>"
        more = f", ... {len(array) - 6:,} more" if len(array) > 6 else ""
        shown = ", ".join(f"{number:.4g}" for number in array[:6].tolist())
        return f"array([{shown}{more}], {array.dtype})"


_SHORT = _Short()


def short(value: object) -> str:
    """`repr` of a value, without the middle of what is long."""
    return _SHORT.repr(value)
