"""What a kernel gives out: rows of one table, by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sql.native import Words

__all__ = ["Block", "Words"]

Column = list[Any] | NDArray[Any] | Words


@dataclass(slots=True)
class Block:
    """Rows of the store's table `table`: for each column as many values, in a list, or all in one array or `Words`.

    Values that are arrays themselves are numpy arrays in a list.
    """

    table: str
    columns: dict[str, Column]

    @classmethod
    def of(cls, table: str, names: Sequence[str], rows: list[tuple[Any, ...]]) -> "Block":
        """A block of rows given as tuples in the order of `names`."""
        return cls(table, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def joined(parts: Sequence[Column]) -> Column:
    """The same column of several blocks as one."""
    if len(parts) == 1:
        return parts[0]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    words = [part for part in parts if isinstance(part, Words)]
    if len(words) == len(parts):
        return Words.joined(words)
    return [value for part in parts for value in part]
