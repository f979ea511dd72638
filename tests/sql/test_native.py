import numpy as np
import pytest

from sql.native import Column, ColumnError, Words, block, varint


def test_a_block_as_clickhouse_documents_it() -> None:
    data = block({"n": "UInt16", "s": "String"}, {"n": np.array([1, 258]), "s": ["a", "é"]})
    assert data == b"\x02\x02\x01n\x06UInt16\x01\x00\x02\x01\x01s\x06String\x01a\x02\xc3\xa9"


def test_arrays_are_their_ends_and_then_all_values() -> None:
    arrays = [np.array([1, 2], np.float32), np.array([], np.float32), np.array([3], np.float32)]
    data = block({"a": "Array(Float32)"}, {"a": arrays})
    head = b"\x01\x03\x01a\x0eArray(Float32)"
    assert data == head + np.array([2, 2, 3], "<u8").tobytes() + np.array([1, 2, 3], "<f4").tobytes()


def test_low_cardinality_travels_as_plain_string() -> None:
    assert b"\x06String" in block({"s": "LowCardinality(String)"}, {"s": ["a"]})


def test_words_are_a_dictionary_and_which_of_it_each_row_has() -> None:
    data = block({"s": "LowCardinality(String)"}, {"s": Words(("a", "bc"), np.array([1, 0, 1], np.int32))})
    head = b"\x01\x03\x01s\x16LowCardinality(String)"
    assert (
        data
        == head + np.array([1, 0x600, 2], "<u8").tobytes() + b"\x01a\x02bc" + b"\x03" + bytes(7) + b"\1\0\1"
    )
    with pytest.raises(ColumnError, match="few"):
        block({"s": "String"}, {"s": Words(("a",), np.array([0], np.int32))})


def test_words_are_joined_by_their_texts() -> None:
    one, other = Words(("a", "b"), np.array([0, 1], np.int32)), Words(("b", "c"), np.array([1, 0], np.int32))
    both = Words.joined([one, other])
    assert list(both) == ["a", "b", "c", "b"] and len(both.texts) == 3
    assert list(both[1:3]) == ["b", "c"]


@pytest.mark.parametrize(
    ("number", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")]
)
def test_varint(number: int, expected: bytes) -> None:
    assert varint(number) == expected


@pytest.mark.parametrize(
    ("kind", "column", "words"),
    [
        ("UInt16", np.array([65536]), "0 to 65535 expected, found 65536"),
        ("UInt64", np.array([-1]), "found -1"),
        ("Int64", np.array([1.5]), "found float64"),
        ("Float64", ["1"], "numpy array expected, found list"),
        ("Float64", np.array([[1.0]]), "numpy array expected"),
        ("Float64", np.array(["x"]), "found <U1"),
        ("Bool", np.array([1]), "bool expected"),
        ("String", np.array([1]), "no attribute"),
        ("Array(Float32)", [np.array(["x"])], "found <U1"),
        ("UUID", np.array([1]), "not supported"),
    ],
)
def test_values_that_do_not_fit_are_named(kind: str, column: Column, words: str) -> None:
    with pytest.raises(ColumnError, match=words):
        block({"c": kind}, {"c": column})


def test_columns_missing_unknown_or_ragged_are_named() -> None:
    one, two = np.array([1]), np.array([1, 2])
    with pytest.raises(ColumnError, match=r"missing: \['b'\], unknown: \['c'\]"):
        block({"a": "Int64", "b": "Int64"}, {"a": one, "c": one})
    with pytest.raises(ColumnError, match=r"one length expected, found \{'a': 1, 'b': 2\}"):
        block({"a": "Int64", "b": "Int64"}, {"a": one, "b": two})
