import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sql.client import Store, StoreError, connect
from sql.data_dir import embedded_store, password
from sql.native import Words

KINDS = {
    "u8": "UInt8",
    "u16": "UInt16",
    "u32": "UInt32",
    "u64": "UInt64",
    "i8": "Int8",
    "i16": "Int16",
    "i32": "Int32",
    "i64": "Int64",
    "f32": "Float32",
    "f64": "Float64",
    "flag": "Bool",
    "text": "String",
    "name": "LowCardinality(String)",
    "time": "DateTime('UTC')",
    "sizes": "Array(Float32)",
    "ids": "Array(UInt64)",
}
DTYPES = {
    "u8": "u1",
    "u16": "u2",
    "u32": "u4",
    "u64": "u8",
    "i8": "i1",
    "i16": "i2",
    "i32": "i4",
    "i64": "i8",
}
DTYPES |= {"f32": "f4", "f64": "f8", "flag": "?", "time": "u4"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@pytest.fixture(scope="module")
def every_type(data_dir: Path) -> str:
    """A table with a column of every type the encoder knows."""
    admin = connect(*embedded_store(data_dir, "admin"), retry_s=0)
    columns = ", ".join(f"{name} {kind}" for name, kind in KINDS.items())
    admin.command(
        f"CREATE TABLE market.every_type (row UInt64, {columns}, version UInt64)"
        " ENGINE = ReplacingMergeTree(version) ORDER BY row"
    )
    return "every_type"


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.integers(1, 5))
    batch: dict[str, Any] = {name: draw(hnp.arrays(dtype, rows)) for name, dtype in DTYPES.items()}
    for name in ("text", "name"):
        batch[name] = draw(st.lists(TEXT, min_size=rows, max_size=rows))
    if draw(st.booleans()):
        texts = tuple(dict.fromkeys(batch["name"]))
        batch["name"] = Words(texts, np.array([texts.index(x) for x in batch["name"]], np.int32))
    for name, dtype in (("sizes", "f4"), ("ids", "u8")):
        batch[name] = [draw(hnp.arrays(dtype, draw(st.integers(0, 4)))) for _ in range(rows)]
    return batch


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches())
def test_what_is_inserted_is_read_back(writer: Store, every_type: str, batch: dict[str, Any]) -> None:
    rows = len(batch["text"])
    version = time.time_ns()
    writer.insert(every_type, batch | {"row": np.arange(rows), "version": np.full(rows, version)})
    # Numbers as bit patterns, so that every NaN and -0.0 counts.
    replaced = (
        "reinterpretAsUInt32(f32) AS f32, reinterpretAsUInt64(f64) AS f64, toUInt32(time) AS time,"
        " arrayMap(x -> reinterpretAsUInt32(x), sizes) AS sizes, hex(text) AS text, hex(name) AS name"
    )
    rows_of = f"market.{every_type} FINAL WHERE version = {version} ORDER BY row"
    found = writer.query_df(f"SELECT * REPLACE ({replaced}) FROM {rows_of}")
    assert len(found) == rows
    for name in KINDS:
        assert found[name].tolist() == _expected(name, batch[name]), name


def _expected(name: str, column: Any) -> list[object]:
    if name in ("text", "name"):
        return [text.encode().hex().upper() for text in column]
    if name in ("sizes", "ids"):
        return [_bits(values) for values in column]
    return _bits(column)


def _bits(values: Any) -> list[object]:
    return values.view(f"u{values.dtype.itemsize}").tolist() if values.dtype.kind == "f" else values.tolist()


def dead_letters(detail: list[str], version: int) -> dict[str, Any]:
    rows = len(detail)
    return {
        "topic": ["raw.test"] * rows,
        "partition": np.zeros(rows, np.uint32),
        "offset": np.arange(rows),
        "position": np.zeros(rows, np.int64),
        "reason": ["malformed"] * rows,
        "detail": detail,
        "received_ns": np.full(rows, 1_723_075_200_000_000_000),
        "payload": [b"\xff\x00" + bytes(range(256))] * rows,
        "version": np.full(rows, version),
    }


def test_of_two_rows_with_one_key_the_higher_version_wins(writer: Store) -> None:
    writer.insert("dead_letters", dead_letters(["second"], 2))
    writer.insert("dead_letters", dead_letters(["first"], 1))
    found = "SELECT detail, hex(payload) FROM market.dead_letters FINAL WHERE topic = 'raw.test'"
    payload = (b"\xff\x00" + bytes(range(256))).hex().upper()
    assert writer.query(found) == [("second", payload)]


def test_readers_see_only_the_newest_version_without_writing_final(writer: Store, analyst: Store) -> None:
    for version in (1, 2):
        writer.insert("dead_letters", dead_letters([f"v{version}"], version) | {"topic": ["raw.versions"]})
    assert analyst.query("SELECT detail FROM market.dead_letters WHERE topic = 'raw.versions'") == [("v2",)]


def test_nothing_to_insert_is_nothing(writer: Store) -> None:
    writer.insert("dead_letters", {name: column[:0] for name, column in dead_letters(["x"], 1).items()})


def test_columns_that_do_not_fit_are_refused_before_anything_is_sent(writer: Store) -> None:
    good = dead_letters(["x"], 1)
    for batch, words in (
        ({k: v for k, v in good.items() if k != "position"}, r"missing: \['position'\]"),
        (good | {"more": ["x"]}, r"unknown: \['more'\]"),
        (good | {"detail": ["x", "y"]}, "one length"),
        (good | {"partition": np.array([-1])}, "partition"),
    ):
        with pytest.raises(StoreError, match=f"dead_letters: .*{words}"):
            writer.insert("dead_letters", batch)


def test_a_table_that_is_not_there_is_named(writer: Store) -> None:
    with pytest.raises(StoreError, match=r"no table market\.nothing: run isotherm migrate"):
        writer.insert("nothing", {"a": np.array([1])})
    with pytest.raises(StoreError, match="expected the name of a table"):
        writer.insert("market.x; DROP", {"a": np.array([1])})


def test_parameters_are_values_never_sql(analyst: Store) -> None:
    text = "it's \\ \n\t 'x'; SELECT 1 -- é"
    assert analyst.query("SELECT {x:String}, {n:Array(UInt8)}", {"x": text, "n": [1, 2]}) == [(text, [1, 2])]


def test_errors_of_the_statement_are_told_once_without_retry(data_dir: Path) -> None:
    store = connect(*embedded_store(data_dir, "analyst"), retry_s=60)
    begin = time.monotonic()
    with pytest.raises(StoreError, match="UNKNOWN_TABLE") as caught:
        store.query("SELECT * FROM market.nothing")
    assert caught.value.code == 60
    assert time.monotonic() - begin < 30  # one try, not sixty seconds of them
    store.close()


def test_a_wrong_password_is_told_and_not_shown(data_dir: Path) -> None:
    url, user, _ = embedded_store(data_dir)
    store = connect(url, user, "wrong-password", retry_s=60)
    with pytest.raises(StoreError, match="Authentication failed") as caught:
        store.query("SELECT 1")
    assert caught.value.code == 516
    assert "wrong-password" not in str(caught.value) + repr(store)
    assert password(data_dir, "writer") not in repr(connect(url, user, password(data_dir, "writer")))


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:8123", "http://", "http://host/path", "http://a:secret@host"]
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(StoreError, match="store address") as caught:
        connect(url, "writer", "")
    assert "secret" not in str(caught.value)


def test_a_store_that_never_comes_ends_in_a_loud_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = connect(f"http://127.0.0.1:{unused.getsockname()[1]}", "writer", "", retry_s=1)
        with pytest.raises(StoreError, match=r"tried for 1 s.*refused"):
            store.insert("dead_letters", dead_letters(["x"], 1))


def test_an_answer_of_a_server_that_is_starting_is_retried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = threading.Event()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            connection, _ = server.accept()
            asked.set()
            server.close()
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        store = connect(f"http://127.0.0.1:{server.getsockname()[1]}", "writer", "", retry_s=1)
        with pytest.raises(StoreError):
            store.query("SELECT 1")
        thread.join(10)
        assert asked.is_set()
