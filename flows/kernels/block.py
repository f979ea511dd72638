"""What a kernel gives out: rows of one table, by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Block:
    """Rows of the store's table `table`: a list of equal length for each column, arrays as numpy arrays."""

    table: str
    columns: dict[str, list[Any]]

    @classmethod
    def of(cls, table: str, names: Sequence[str], rows: list[tuple[Any, ...]]) -> "Block":
        """A block of rows given as tuples in the order of `names`."""
        return cls(table, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))
