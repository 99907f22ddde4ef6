"""Results as tables: for Arrow, for pandas, and for a notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from types import ModuleType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    SupportsIndex,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra
from ..extras import how_to_install
from . import markup
from .value import short

if TYPE_CHECKING:
    import pandas
    import pyarrow

T = TypeVar("T")
Column = NDArray[Any] | list[Any]
_NUMBERS: dict[Any, Any] = {int: np.int64, float: np.float64, bool: np.bool_}


class Tabular:
    """What has columns of equal lengths."""

    __slots__ = ()

    def columns(self) -> dict[str, Column]:
        """Columns by their names: arrays of numbers, lists of the rest."""
        raise NotImplementedError

    def to_arrow(self) -> pyarrow.Table:
        """A `pyarrow.Table`. Raises MissingExtra where pyarrow is not installed."""
        arrow = _imported("pyarrow", "parquet")
        types = {name: _arrow_type(arrow, hint) for name, hint in self._hints().items()}
        return arrow.table(
            {
                name: arrow.array(_decodable(values), type=types.get(name))
                for name, values in self.columns().items()
            }
        )

    def to_pandas(self) -> pandas.DataFrame:
        """A `pandas.DataFrame`. Raises MissingExtra where pandas is not installed."""
        return _imported("pandas", "pandas").DataFrame(self.columns())

    def _hints(self) -> Mapping[str, Any]:
        """Types of columns that are lists, or may be empty."""
        return {}

    def _repr_html_(self) -> str:
        columns = self.columns()
        names = list(columns)
        n = len(columns[names[0]])
        first = (columns[name][: markup.MOST_ROWS] for name in names)
        rows = zip(
            *(each.tolist() if isinstance(each, np.ndarray) else each for each in first),
            strict=True,
        )
        shown = (
            [cell if isinstance(cell, int | float | str) else short(cell) for cell in row]
            for row in rows
        )
        return markup.output(
            markup.table(names, shown), markup.left_out(n - markup.MOST_ROWS, "rows")
        )


class Table(Tabular, tuple[T, ...]):
    """Results of one kind, each a row: a tuple of them that equals a list of them, too.

    `row_type`: of each; a dataclass or a named tuple, whose fields are the columns. A dict becomes
    its JSON, so that a column has one type whatever is in it.

    >>> from typing import NamedTuple
    >>> class Word(NamedTuple):
    ...     text: str
    ...     count: int
    >>> class Words(Table[Word]):
    ...     row_type = Word
    >>> Words([Word("to", 2)]).columns()
    {'text': ['to'], 'count': array([2])}
    """

    __slots__ = ()
    row_type: ClassVar[type]

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> T: ...
    @overload
    def __getitem__(self, at: slice, /) -> Table[T]: ...
    def __getitem__(self, at: Any, /) -> Any:
        found = tuple.__getitem__(self, at)
        return type(self)(found) if isinstance(at, slice) else found

    def __repr__(self) -> str:
        if len(self) <= markup.MOST_ROWS:
            return repr(list(self))
        return f"[{', '.join(map(repr, self[:3]))}, ... {len(self) - 3:,} more]"

    def columns(self) -> dict[str, Column]:
        return {
            name: _column([getattr(row, name) for row in self], hint)
            for name, hint in self._hints().items()
        }

    def _hints(self) -> Mapping[str, Any]:
        return _fields_of(self.row_type)


def _imported(name: str, extra: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"{name} is not installed; to_{name.removeprefix('py')}() needs it: "
            f"{how_to_install(extra)}"
        ) from error


def _fields_of(row_type: type) -> dict[str, Any]:
    hints = get_type_hints(row_type)
    if is_dataclass(row_type):
        return {field.name: hints[field.name] for field in fields(row_type)}
    return hints  # of a named tuple


def _column(values: list[Any], hint: Any) -> Column:
    if hint in _NUMBERS:
        return np.array(values, _NUMBERS[hint])
    return [_cell(value) for value in values]


def _cell(value: Any) -> Any:
    """A value that Arrow, too, can hold."""
    if isinstance(value, Mapping):
        return json.dumps(dict(value), default=str)
    if is_dataclass(value):
        return {field.name: _cell(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_cell(each) for each in value]
    return value


def _arrow_type(arrow: ModuleType, hint: Any) -> Any:
    if hint in _NUMBERS:
        return arrow.from_numpy_dtype(_NUMBERS[hint])
    if isinstance(hint, type) and issubclass(hint, Table):
        return arrow.list_(_arrow_type(arrow, hint.row_type))
    if get_origin(hint) is tuple:
        return arrow.list_(_arrow_type(arrow, get_args(hint)[0]))
    if is_dataclass(hint) and isinstance(hint, type):
        own = _fields_of(hint).items()
        return arrow.struct([(name, _arrow_type(arrow, each)) for name, each in own])
    return arrow.string()


def _decodable(values: Column) -> Column:
    """Names of files may hold what is no text."""
    return values if isinstance(values, np.ndarray) else list(map(_as_text, values))


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {name: _as_text(each) for name, each in value.items()}
    return list(map(_as_text, value)) if isinstance(value, list) else value
