"""Readers of recordings: three formats, their faults, and damaged files."""

import gzip
import json
import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec
import pytest
import zstandard

from connectors import recordings as module
from connectors.record import CLOCK, INSTRUMENT, LINE_BYTES_MAX, Line, encode_control, encode_line
from connectors.recording_file import Fault, RecordingError, RecordingWriter, StoredRecord
from connectors.recordings import read
from connectors.venue import Instrument, market
from connectors.venue_clock import CLOCK_KEY
from tests.connectors.venues.frames import DEPTH, F_FORCE, INFO, QUOTE, SNAPSHOT, TRADE, wrapped

SPOT, FUTURES = market("binance_spot"), market("binance_futures")
NS = 1723161253937085768
FRAME = wrapped("btcusdt@depth@100ms", DEPTH)
GOOD = b"%d %s\n" % (NS, FRAME)


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "recording"
    path.write_bytes(content)
    return path


def split(items) -> tuple[list[tuple[bytes, Line]], list[Fault]]:
    items = list(items)
    faults = [item for item in items if isinstance(item, Fault)]
    return [item for item in items if not isinstance(item, Fault)], faults


# ---- hftbacktest text


def test_text_lines(tmp_path: Path) -> None:
    content = b"".join(
        b"%d %s\n" % (NS + n, payload)
        for n, payload in enumerate(
            [
                FRAME,
                SNAPSHOT,
                wrapped("ethusdt@trade", TRADE),
                wrapped("!forceOrder@arr", F_FORCE),
                b'{"result":null}',
            ]
        )
    )
    lines, faults = split(read(file(tmp_path, content), SPOT, "btcusdt"))
    assert faults == []
    assert lines == [
        (b"BTCUSDT", Line(NS, b"ws", FRAME)),
        (b"BTCUSDT", Line(NS + 1, b"rest", SNAPSHOT)),
        (b"ETHUSDT", Line(NS + 2, b"ws", wrapped("ethusdt@trade", TRADE))),
        (b"!forceOrder@arr", Line(NS + 3, b"ws", wrapped("!forceOrder@arr", F_FORCE))),
        (b"BTCUSDT", Line(NS + 4, b"ws", b'{"result":null}')),
    ]


def test_times_may_be_microseconds_and_may_step_back(tmp_path: Path) -> None:
    content = b"1679000000000001 %s\n1679000000000000 %s\n" % (FRAME, FRAME)
    lines, _ = split(read(file(tmp_path, content), SPOT))
    assert [line.recv_ns for _, line in lines] == [1679000000000001000, 1679000000000000000]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no time at all", "receive time"),
        (FRAME, "receive time"),
        (b"1723161253937 " + FRAME, "receive time"),
        (b"9723161253937085768 " + FRAME, "receive time"),
        (b"0723161253937085768 " + FRAME, "receive time"),
        (b"17231612539370857680 " + FRAME, "receive time"),
        (b"1723161253_93708576 " + FRAME, "receive time"),
        (b"-723161253937085768 " + FRAME, "receive time"),
        (b"%d" % NS, "whole JSON"),
        (b"%d " % NS, "whole JSON"),
        (b"%d hello" % NS, "whole JSON"),
        (b"%d %s" % (NS, FRAME[:-10]), "whole JSON"),
        (b'%d {"s":"BTC\xffUSDT"}' % NS, "UTF-8"),
        (b"%d {%s}" % (NS, b" " * LINE_BYTES_MAX), "may hold"),
    ],
)
def test_a_malformed_line_is_a_fault_and_the_rest_is_read(tmp_path: Path, bad: bytes, reason: str) -> None:
    path = file(tmp_path, GOOD + b"\n" + bad + b"\n" + GOOD)
    lines, (fault,) = split(read(path, SPOT))
    assert len(lines) == 2
    assert (fault.path, fault.position, fault.unit) == (path, 3, "line")
    assert reason in fault.reason
    assert fault.head == bad[:80]
    assert str(fault).startswith(f"{path}, line 3: ")


def test_a_line_longer_than_any_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_LINE_BYTES_MAX", 1 << 20)
    long = b"%d {%s}\n" % (NS, b" " * (3 << 20))
    lines, faults = split(read(file(tmp_path, GOOD + long + GOOD + long), SPOT))
    assert len(lines) == 2
    assert [(fault.position, "may hold" in fault.reason) for fault in faults] == [(2, True), (4, True)]


def test_the_first_line_may_be_the_damaged_one(tmp_path: Path) -> None:
    lines, faults = split(read(file(tmp_path, b"\x00\xffgarbage\n" + GOOD), SPOT))
    assert len(lines) == len(faults) == 1


def test_a_last_line_without_newline(tmp_path: Path) -> None:
    lines, faults = split(read(file(tmp_path, GOOD + GOOD[:-1]), SPOT))
    assert (len(lines), faults) == (2, [])
    lines, (fault,) = split(read(file(tmp_path, GOOD + GOOD[:-5]), SPOT))
    assert (len(lines), fault.position) == (1, 2)


def test_a_last_line_that_only_looks_whole(tmp_path: Path) -> None:
    lines, (fault,) = split(read(file(tmp_path, GOOD + GOOD[: GOOD.rindex(b"]") + 1]), SPOT))
    assert (len(lines), fault.position) == (1, 2)


def test_a_snapshot_needs_a_symbol(tmp_path: Path) -> None:
    items = read(file(tmp_path, GOOD + b"%d %s\n" % (NS, SNAPSHOT)), SPOT)
    assert next(items) == (b"BTCUSDT", Line(NS, b"ws", FRAME))
    with pytest.raises(RecordingError, match=r"line 2: .*--symbol"):
        next(items)


# ---- cryptofeed text

SENT = b'wss://api/ <- 1618677942.462008: {"type":"subscribe"}\n'
CONNECTED = b"wss://api/ <-> 1618677942.3390841\n"


def test_times_since_boot_follow_the_first_venue_time(tmp_path: Path) -> None:
    """DEPTH bears 1795000000200 ms; its line came 5 ns after the first one."""
    content = b'123456789 {"result":null}\n123456794 %s\nbad\n999999999999999 %s\n' % (FRAME, FRAME)
    lines, faults = split(read(file(tmp_path, content), SPOT))
    at_ns = 1_795_000_000_200_000_000
    assert [line.recv_ns for _, line in lines] == [
        at_ns - 5,
        at_ns,
        at_ns + 999_999_999_999_999 - 123_456_794,
    ]
    assert [(fault.position, fault.reason) for fault in faults] == [
        (3, "expected a receive time, a blank and a message")
    ]


def test_times_since_boot_without_any_venue_time(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="tells no date"):
        read(file(tmp_path, b'123456789 {"result":null}\n'), SPOT)


def test_cryptofeed_text(tmp_path: Path) -> None:
    content = CONNECTED + SENT + b'1618677942.6065001: %s\n1618677942.5: {"a":1}\n\n\n' % FRAME
    lines, faults = split(read(file(tmp_path, content), SPOT))
    assert faults == []
    assert lines == [
        (b"BTCUSDT", Line(1618677942_606500100, b"ws", FRAME)),
        (b"ws", Line(1618677942_500000000, b"ws", b'{"a":1}')),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no time at all", "receive time"),
        (FRAME, "receive time"),
        (b"1618677942: " + FRAME, "receive time"),
        (b"16186779420.1: " + FRAME, "receive time"),
        (b"9618677942.1: " + FRAME, "receive time"),
        (b"1618677942.1e5: " + FRAME, "receive time"),
        (b"1618677942.1234567890: " + FRAME, "receive time"),
        (b"1618677942.1: ", "whole JSON"),
        (b"1618677942.1: " + FRAME[:-10], "whole JSON"),
    ],
)
def test_malformed_cryptofeed_text(tmp_path: Path, bad: bytes, reason: str) -> None:
    good = b"1618677942.1: %s\n" % FRAME
    lines, (fault,) = split(read(file(tmp_path, CONNECTED + good + bad + b"\n" + good), SPOT))
    assert len(lines) == 2
    assert (fault.position, fault.head) == (3, bad[:80])
    assert reason in fault.reason


# ---- what is no recording


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"hello\nworld\n", "known format"),
        (b"\x00" * 1000, "known format"),
        (b'{"some":"json"}\n', "known format"),
        (b"time,open,high\n1,2,3\n", "known format"),
        (b"\x1f\x8bgarbage", "nothing that can be read"),
        (gzip.compress(GOOD)[:9], "nothing that can be read"),
        (gzip.compress(b""), "is empty"),
    ],
    ids=["empty", "text", "zeros", "json", "csv", "no gzip", "cut gzip", "empty gzip"],
)
def test_wrong_files(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(RecordingError, match=reason) as error:
        read(file(tmp_path, content), SPOT)
    assert "\n" not in str(error.value)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        read(tmp_path / "none", SPOT)
    with pytest.raises(RecordingError, match="is a directory"):
        read(tmp_path, SPOT)


# ---- cryptofeed

URL = "https://api.binance.com/api/v3/"
EXCHANGE_INFO = {"t": "http", "ts": 1633998511.132921, "url": URL + "exchangeInfo", "data": json.dumps(INFO)}
TICKER = {"t": "recv", "conn": "BINANCE.ws.1", "ts": 1633998512.0633569}


def entries(*items: object) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in ({"t": "header", "format": 2}, *items))


def received(payload: bytes) -> dict[str, object]:
    return {**TICKER, "data": payload.decode()}


def answer(request: str, payload: bytes) -> dict[str, object]:
    return {"t": "http", "ts": 1633998512.320639, "url": URL + request, "data": payload.decode()}


def test_cryptofeed_entries(tmp_path: Path) -> None:
    content = entries(
        EXCHANGE_INFO,
        {"t": "connect", "conn": "BINANCE.ws.1", "ts": 1.0, "addr": "wss://stream"},
        {"t": "send", "conn": "BINANCE.ws.1", "ts": 1.0, "data": "{}"},
        answer("depth?symbol=BTCUSDT&limit=1000", SNAPSHOT),
        received(FRAME),
        received(wrapped("ethusdt@bookTicker", QUOTE)),
        received(b'{"result":null,"id":1}'),
    )
    lines, faults = split(read(file(tmp_path, content), SPOT))
    assert faults == []
    assert [(key, line.recv_ns, line.origin) for key, line in lines] == [
        (b"BTCUSDT", 1633998511132921000, b"!instrument"),
        (b"BTCUSDT", 1633998512320639000, b"GET:/api/v3/depth?symbol=BTCUSDT&limit=1000"),
        (b"BTCUSDT", 1633998512063356900, b"BINANCE.ws.1"),
        (b"ETHUSDT", 1633998512063356900, b"BINANCE.ws.1"),
        (b"BINANCE.ws.1", 1633998512063356900, b"BINANCE.ws.1"),
    ]
    assert (
        msgspec.json.decode(lines[0][1].payload, type=Instrument)
        == SPOT.instruments(json.dumps(INFO).encode())[0]
    )
    assert lines[1][1].payload == SNAPSHOT


def test_an_instrument_is_told_again_when_it_changes(tmp_path: Path) -> None:
    finer = json.loads(json.dumps(INFO).replace("10.00", "1.00"))
    content = entries(
        *(EXCHANGE_INFO, received(FRAME), EXCHANGE_INFO, received(FRAME)),
        *({**EXCHANGE_INFO, "data": json.dumps(finer)}, received(FRAME), received(FRAME)),
    )
    lines, _ = split(read(file(tmp_path, content), SPOT))
    assert [line.origin == INSTRUMENT for _, line in lines] == [True, False, False, True, False, False]


@pytest.mark.parametrize(
    ("request_", "origin"),
    [
        ("depth?symbol=BTCUSDT&signature=abc&limit=5", b"GET:/api/v3/depth?symbol=BTCUSDT&limit=5"),
        ("depth?apiKey=k&symbol=BTCUSDT&listenKey=l", b"GET:/api/v3/depth?symbol=BTCUSDT"),
        ("depth?symbol=BTCUSDT&access_token=t&PASSPHRASE=p", b"GET:/api/v3/depth?symbol=BTCUSDT"),
        ("depth?symbol=BTCUSDT&note=a b\tc", b"GET:/api/v3/depth?symbol=BTCUSDT&note=a+bc"),
        ("de pth?symbol=BTCUSDT", b"GET:/api/v3/de%20pth?symbol=BTCUSDT"),
    ],
)
def test_requests_are_one_word_without_secrets(tmp_path: Path, request_: str, origin: bytes) -> None:
    ((key, line),), _ = split(read(file(tmp_path, entries(answer(request_, SNAPSHOT))), SPOT))
    assert (key, line.origin) == (b"BTCUSDT", origin)
    assert encode_line(*line)


def test_a_request_that_names_no_symbol(tmp_path: Path) -> None:
    path = file(tmp_path, entries(answer("depth", SNAPSHOT)))
    ((key, line),), _ = split(read(path, SPOT, "BTCUSDT"))
    assert (key, line.origin) == (b"BTCUSDT", b"GET:/api/v3/depth")
    with pytest.raises(RecordingError, match="--symbol"):
        list(read(path, SPOT))


def connected(conn: str, addr: str, t: str = "connect") -> dict[str, object]:
    return {"t": t, "conn": conn, "ts": 1633998512.0, "addr": addr}


def test_sockets_of_the_venues_other_markets_are_left_out(tmp_path: Path) -> None:
    """Their addresses tell; a name may be used again, and one without an address is taken."""
    ours, theirs = "wss://stream.bybit.com/v5/public/spot", "wss://stream.bybit.com/v5/public/linear?x=1"
    payloads = [b'{"topic":"tickers.X","n":%d}' % n for n in range(6)]
    content = entries(
        connected("a", ours),
        {**received(payloads[0]), "conn": "a"},
        connected("b", theirs, "send"),
        {**received(payloads[1]), "conn": "b"},
        {"t": "recv", "conn": "b", "ts": "NaN", "data": "not ours to judge"},
        connected("b", ours),
        {**received(payloads[2]), "conn": "b"},
        connected("a", theirs),
        {**received(payloads[3]), "conn": "a"},
        connected("c", "wss://["),
        {**received(payloads[4]), "conn": "c"},
        {**received(payloads[5]), "conn": "d"},
    )
    lines, faults = split(read(file(tmp_path, content), market("bybit_spot")))
    assert faults == []
    assert [line.payload for _, line in lines] == [payloads[n] for n in (0, 2, 4, 5)]
    lines, _ = split(read(file(tmp_path, content), market("bybit_linear")))
    assert [line.payload for _, line in lines] == [payloads[n] for n in (1, 3, 4, 5)]


@pytest.mark.parametrize("conn", ["", "a b", "!ws", " \n"])
def test_connection_names_become_words(tmp_path: Path, conn: str) -> None:
    ((_, line),), _ = split(read(file(tmp_path, entries({**received(FRAME), "conn": conn})), SPOT))
    assert encode_line(*line)
    assert not line.origin.startswith(b"!")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "not an entry"),
        (b"17", "not an entry"),
        (b'{"t":"recv","ts":"NaN","data":"{}"}', "ts in seconds"),
        (b'{"t":"recv","ts":12,"data":"{}"}', "ts in seconds"),
        (b'{"t":"recv","ts":1e300,"data":"{}"}', "ts in seconds"),
        (b'{"t":"recv","data":"{}"}', "ts in seconds"),
        (b'{"t":"recv","ts":1633998512.0}', "whole JSON"),
        (b'{"t":"recv","ts":1633998512.0,"data":"hello"}', "whole JSON"),
        (b'{"t":"recv","ts":1633998512.0,"data":{}}', "not an entry"),
        (b'{"t":"recv","ts":1633998512.0,"data":"{\\udc00}"}', "not an entry"),
        (b'{"t":"recv","ts":1633998512.0,"data":"{\xff}"}', "not an entry"),
        (b'{"t":"dance","ts":1633998512.0,"data":"{}"}', "unknown entry"),
        (b'{"t":"http","ts":1633998512.0,"data":"{}"}', "address"),
        (b'{"t":"http","ts":1633998512.0,"url":"http://[x","data":"{}"}', "address"),
        (b'{"t":"http","ts":1633998512.0,"url":"http://x/%s","data":"{}"}' % (b"x" * 3000), "address"),
        (b'{"t":"http","ts":1633998512.0,"url":"http://x/time","data":"{}"}', "neither"),
    ],
)
def test_malformed_entries(tmp_path: Path, bad: bytes, reason: str) -> None:
    content = entries(received(FRAME)) + bad + b"\n" + entries(received(FRAME))
    lines, (fault,) = split(read(file(tmp_path, content), SPOT))
    assert len(lines) == 2
    assert (fault.position, fault.unit) == (3, "line")
    assert reason in fault.reason


# ---- ours


def ours(path: Path, topic: str, bodies: list[bytes]) -> Path:
    with RecordingWriter(path, topic, 2, created_ns=NS) as writer:
        for body in bodies:
            writer.append(StoredRecord(b"BTCUSDT", 1, NS, body))
    return path


def test_ours(tmp_path: Path) -> None:
    line = Line(NS, b"ws-3", b'{"a":"\n"}')
    whole = encode_line(*line)
    path = ours(tmp_path / "r", SPOT.topic, [whole * 2, whole + b"torn", whole])
    lines, (fault,) = split(read(path, SPOT))
    assert lines == [(b"BTCUSDT", line)] * 4
    assert (fault.position, fault.unit) == (2, "record")


def clock_times(items) -> list[int]:
    """Event times of `!clock` lines in ms."""
    lines = [item[1] for item in items if not isinstance(item, Fault) and item[0] == CLOCK_KEY]
    return [json.loads(line.payload)["time_ns"] // 10**6 for line in lines]


def test_of_ours_a_clock_is_told_when_all_partitions_have(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "r", SPOT.topic, 2, created_ns=NS) as writer:
        for partition, ms in ((0, 1000), (0, 2000), (1, 1500), (1, 1600), (1, 2500), (0, 2100), (0, 3000)):
            body = encode_control(NS, CLOCK, time_ns=ms * 10**6)
            writer.append(StoredRecord(CLOCK_KEY, partition, NS, body))
        writer.append(StoredRecord(CLOCK_KEY, 0, NS, encode_control(NS, CLOCK)))
    assert clock_times(read(tmp_path / "r", SPOT, clocks=True)) == [1500, 2000, 2500]
    _, (fault,) = split(read(tmp_path / "r", SPOT, clocks=True))
    assert "malformed clock" in fault.reason
    assert len(split(read(tmp_path / "r", SPOT))[0]) == 8, "as recorded"


def test_the_clock_of_a_foreign_recording_is_what_its_slowest_connection_has_told(tmp_path: Path) -> None:
    now = NS // 10**9 * 1000

    def entry(conn: str, ms: int, symbol: str, side: str = "b") -> bytes:
        data = {"e": "depthUpdate", "E": now + ms, "s": symbol, "U": 1, "u": 1, "b": [], "a": []}
        stream = {"stream": f"{symbol.lower()}@depth", "data": data | {side: [["1.0", "1"]]}}
        told = {"t": "recv", "conn": conn, "ts": NS / 1e9, "data": json.dumps(stream)}
        return json.dumps(told).encode() + b"\n"

    content = [
        entry("a", 0, "X"), entry("b", 100, "Y"), entry("a", 900, "X"), entry("b", 200, "Y"), entry("b", 600, "Y"),
        entry("c", 700, "Z", side="c"), entry("b", 1300, "Y"), entry("a", 10**6, "X"), entry("b", 1400, "Y"),
    ]  # fmt: skip
    path = file(tmp_path, b"".join(content))
    items = [*read(path, SPOT, clocks=True)]
    assert [ms - now for ms in clock_times(items)] == [0, 600, 900]
    assert [item for item in items if item[0] != CLOCK_KEY] == [*read(path, SPOT)]


def test_a_recording_of_another_market(tmp_path: Path) -> None:
    path = ours(tmp_path / "r", FUTURES.topic, [])
    with pytest.raises(RecordingError, match=r"of raw\.binance_futures, expected raw\.binance_spot"):
        read(path, SPOT)


# ---- damaged files


@pytest.fixture(scope="module")
def text(recordings: Path) -> bytes:
    with gzip.open(recordings / "binance" / "usdm_btcusdt_20240808.gz") as stream:
        return b"".join(islice(stream, 400))


@pytest.fixture(scope="module")
def jsonl(recordings: Path) -> bytes:
    data = (recordings / "binance" / "cryptofeed_usdm_4sym_20210722.jsonl.zst").read_bytes()
    return zstandard.ZstdDecompressor().stream_reader(data).read()


PACKINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("plain", bytes),
    ("gzip", gzip.compress),
    ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
]


@pytest.mark.parametrize(("packing", "pack"), PACKINGS)
@pytest.mark.parametrize("kind", ["text", "jsonl"])
def test_truncated_anywhere(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, packing: str, pack: Callable[[bytes], bytes]
) -> None:
    """What is read is a beginning of the whole, and a fault says that the rest is missing."""
    content: bytes = request.getfixturevalue(kind)
    data = pack(content)
    whole, faults = split(read(file(tmp_path, data), FUTURES, "BTCUSDT"))
    assert faults == []
    most = 0
    random_ = random.Random(4)
    for size in (*random_.sample(range(1, len(data)), 25), len(data) - 1):
        try:
            lines, faults = split(read(file(tmp_path, data[:size]), FUTURES, "BTCUSDT"))
        except RecordingError:
            continue  # cut within the first line
        assert lines == whole[: len(lines)]
        assert len(faults) <= 1
        if packing != "plain":
            assert [fault.unit for fault in faults] == ["byte"]
        elif not faults:
            assert data[size - 1 : size] in b"\n}"
        most = max(most, len(lines))
    assert most > len(whole) // 2


@pytest.mark.parametrize(("packing", "pack"), PACKINGS)
def test_a_changed_byte_stops_nothing_but_its_line_or_the_rest(
    tmp_path: Path, text: bytes, packing: str, pack: Callable[[bytes], bytes]
) -> None:
    data = pack(text)
    whole, _ = split(read(file(tmp_path, data), FUTURES, "BTCUSDT"))
    random_ = random.Random(5)
    for _ in range(60):
        at = random_.randrange(20, len(data))
        changed = data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :]
        try:
            lines, faults = split(read(file(tmp_path, changed), FUTURES, "BTCUSDT"))
        except RecordingError:
            assert packing != "plain"
            continue  # nothing stands before the damage
        if packing == "plain":
            # The line is damaged, split in two, or joined to its neighbour.
            assert len(set(whole) - set(lines)) <= 2
        else:
            assert faults or lines == whole
