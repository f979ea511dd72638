"""Columns keep their integers."""

import numpy as np
import pytest

from flows.runtime.sink import _column


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], np.int64),
        ([-1, 2], np.int64),
        ([1, 2**64 - 1], np.uint64),  # trade ids of venues that number from 1, and of those that hash
        ([2**63, 0], np.uint64),
        ([0.5, 2.0], np.float64),
        ([True, False], np.bool_),
    ],
)
def test_a_column_holds_each_value_as_it_is(values: list[float], dtype: type) -> None:
    found = _column(values)
    assert found.dtype == dtype and found.tolist() == values


def test_texts_and_arrays_stay() -> None:
    for values in (["a", "b"], [np.array([1.0])]):
        assert _column(values) is values
