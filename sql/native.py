"""ClickHouse's Native format, written from columns: no rows, no conversion value by value.

A block is the number of columns and of rows, then per column its name, its type and its values one after the
other (https://clickhouse.com/docs/interfaces/formats/Native, November 2026). A row of a depth table costs
about a tenth of what clickhouse-connect's own insert takes for it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Words:
    """A column of texts of which there are few: each row's is `texts[codes[row]]`."""

    texts: tuple[str, ...]
    codes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        return (self.texts[code] for code in self.codes.tolist())

    def __getitem__(self, rows: slice) -> "Words":
        return Words(self.texts, self.codes[rows])

    @classmethod
    def joined(cls, columns: Sequence["Words"]) -> "Words":
        """The columns one after the other."""
        places: dict[str, int] = {}
        codes = [
            np.array([places.setdefault(text, len(places)) for text in column.texts], np.int32)[column.codes]
            for column in columns
        ]
        return cls(tuple(places), np.concatenate(codes))


Column = Array | Sequence[Any] | Words

NUMBERS = {
    "Bool": np.dtype("?"),
    "DateTime": np.dtype("<u4"),
    "Float32": np.dtype("<f4"),
    "Float64": np.dtype("<f8"),
    **{f"Int{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}


class ColumnError(ValueError):
    """A column does not fit its table; the message says which, what was expected and what was found."""


def block(types: Mapping[str, str], columns: Mapping[str, Column]) -> bytes:
    """One Native block of `columns`, in the order of `types` (name -> ClickHouse type).

    A column is a 1-D numpy array for a number, Bool or DateTime (as seconds or datetime64), a sequence of str
    or bytes for String and LowCardinality(String), `Words` for LowCardinality(String), a sequence of 1-D numpy arrays
    for Array(number), of sequences of str for Array(String), of numbers and None for Nullable(number).

    Raises:
        ColumnError: columns are missing, unknown or of different lengths, or values do not fit their type.
    """
    _check_names(types, columns)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ColumnError(f"columns of one length expected, found {lengths}")
    rows = next(iter(lengths.values()))
    out = [varint(len(types)), varint(rows)]
    for name, kind in types.items():
        # A plain String is taken for LowCardinality(String) and costs nothing to build, but time to write and read.
        wire = kind if isinstance(columns[name], Words) else re.sub(r"LowCardinality\((\w+)\)", r"\1", kind)
        out += [string(name.encode()), string(wire.encode())]
        try:
            out += _values(wire, columns[name])
        except (ColumnError, TypeError, ValueError, AttributeError) as error:
            raise ColumnError(f"column {name} ({kind}): {error}") from error
    return b"".join(out)


def _check_names(types: Mapping[str, str], columns: Mapping[str, Column]) -> None:
    missing = [name for name in types if name not in columns]
    unknown = [name for name in columns if name not in types]
    if missing or unknown or not types:
        raise ColumnError(f"columns {', '.join(types)} expected; missing: {missing}, unknown: {unknown}")


def _values(kind: str, column: Column) -> list[bytes]:
    if isinstance(column, Words):
        return _words(kind, column)
    if kind == "String":
        return [_strings(column)]
    if kind.startswith("Array("):
        return _arrays(kind[6:-1], column)
    if kind.startswith("Nullable("):
        return _nullable(kind[9:-1], column)
    return [_numbers(kind, column).tobytes()]


def _words(kind: str, column: Words) -> list[bytes]:
    """A dictionary of the column's own, then which of its texts each row has (src/DataTypes/Serializations)."""
    if kind != "LowCardinality(String)":
        raise ColumnError(
            "texts of a LowCardinality(String) expected to be few, of another type to be a sequence"
        )
    if not len(column):
        return []
    width = 0 if len(column.texts) < 1 << 8 else 1 if len(column.texts) < 1 << 16 else 2
    # Version 1: shared dictionaries with additional keys; here additional keys only, and they are new to the reader.
    head = np.array([1, width | 1 << 9 | 1 << 10, len(column.texts)], "<u8")
    codes = column.codes.astype(f"<u{1 << width}")
    return [head.tobytes(), _strings(column.texts), np.array([len(column)], "<u8").tobytes(), codes.tobytes()]


def _strings(column: Column) -> bytes:
    return b"".join(string(text if isinstance(text, bytes) else text.encode()) for text in column)


def _nullable(kind: str, column: Column) -> list[bytes]:
    """Which values are NULL, a byte each, then the values, with a default in the place of those."""
    missing = np.array([value is None for value in column], "?")
    known = np.array([0 if value is None else value for value in column])
    return [missing.tobytes(), _numbers(kind, known).tobytes()]


def _arrays(kind: str, column: Column) -> list[bytes]:
    ends = np.cumsum([len(values) for values in column], dtype="<u8")
    if not len(ends) or not ends[-1]:
        return [ends.tobytes()]
    if kind == "String":
        return [ends.tobytes(), _strings([text for texts in column for text in texts])]
    return [ends.tobytes(), _numbers(kind, np.concatenate(list(column))).tobytes()]


def _numbers(kind: str, column: Column) -> Array:
    dtype = NUMBERS.get(kind.partition("(")[0])
    if dtype is None:
        raise ColumnError("type not supported by this encoder")
    if not isinstance(column, np.ndarray) or column.ndim != 1:
        raise ColumnError(f"1-D numpy array expected, found {type(column).__name__}")
    if column.dtype.kind == "M":
        column = column.astype("datetime64[s]").astype(np.int64)
    return _cast(column, dtype)


def _cast(column: Array, dtype: np.dtype[Any]) -> Array:
    """`column` as `dtype`; floats may lose digits, integers nothing. Raises ColumnError if they would."""
    if column.dtype == dtype or (dtype.kind == "f" and column.dtype.kind in "fiu"):
        return column.astype(dtype, copy=False)
    if dtype.kind == "b" or column.dtype.kind not in "iub":
        raise ColumnError(f"values of type {dtype} expected, found {column.dtype}")
    limits = np.iinfo(dtype)
    if column.size and (int(column.min()) < limits.min or int(column.max()) > limits.max):
        raise ColumnError(
            f"values from {limits.min} to {limits.max} expected, found {column.min()} to {column.max()}"
        )
    return column.astype(dtype)


def string(text: bytes) -> bytes:
    """A string as Native has it: its length in bytes, then the bytes."""
    return varint(len(text)) + text


def varint(number: int) -> bytes:
    """A number >= 0 in 7-bit groups, lowest first, the highest bit telling whether more follow."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
