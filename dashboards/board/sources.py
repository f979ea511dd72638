"""Bringing a source of the page up to date with few bytes: equal data is not sent, a new end is streamed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

PATCHED_MAX = 8


def source(*names: str) -> ColumnDataSource:
    """An empty source of these columns."""
    return ColumnDataSource({name: [] for name in names})


def bring(held: ColumnDataSource, data: Mapping[str, Sequence[Any] | np.ndarray]) -> str:
    """Make `held` hold `data`: nothing, a patch of few rows, a patch and a stream, or all anew; says which.

    Columns have the names of the source's and one length.
    """
    old, names = held.data, list(data)
    before, after = len(old[names[0]]), len(data[names[0]])
    if not before or after < before:
        if before or after:
            held.data = dict(data)
            return "all"
        return "nothing"
    changed = {name: _changed(old[name], data[name][:before]) for name in names}
    rows = set().union(*changed.values())
    if len(rows) > PATCHED_MAX or after - before > PATCHED_MAX:
        held.data = dict(data)
        return "all"
    if rows:
        patches = {
            name: [(at, _plain(data[name][at])) for at in sorted(places)]
            for name, places in changed.items() if places
        }  # fmt: skip
        held.patch(patches)
    if after > before:
        held.stream({name: data[name][before:] for name in names})
        return "stream"
    return "patch" if rows else "nothing"


def _changed(old: Sequence[Any], new: Sequence[Any]) -> set[int]:
    one, other = np.asarray(old), np.asarray(new)
    differ = one != other
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        differ &= ~(np.isnan(one) & np.isnan(other))
    return set(np.flatnonzero(differ).tolist())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
