"""What a market's connector publishes; its own book, the flow's and the venue's are the same."""

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.lane import lanes
from connectors.publisher import Publisher
from connectors.record import LINE_BYTES_MAX, Record, decode_lines
from connectors.telemetry import State, Telemetry
from connectors.venue import market
from flows.kernels.depth import DepthKernel
from tests.connectors.toy_venue import T0_MS, ToyBook, info

SPOT, FUTURES = market("binance_spot"), market("binance_futures")
BOTH = pytest.mark.parametrize("served", [SPOT, FUTURES], ids=lambda served: served.name)


class Bench:
    """A publisher of one symbol on one partition, its virtual time, and the kernel that reads what it publishes."""

    def __init__(self, served=SPOT, partitions: int = 1, **options) -> None:
        self.served, self.venue = served, ToyBook(1, served.wire.rule)
        self.lanes = lanes(served, ["BTCUSDT"])
        self.telemetry = Telemetry()
        self.now_s = 0.0
        self.publisher = Publisher(served, self.lanes, self.telemetry, partitions, 0.0, **options)
        self.kernel = DepthKernel(served, 0)
        self.lines, self.blocks, self.offset, self.origins = [], [], 0, 0
        self.out = []

    @property
    def lane(self):
        return self.lanes[0]

    @property
    def recv_ns(self) -> int:
        return (T0_MS * 1_000_000) + int(self.now_s * 1e9)

    @property
    def feed(self):
        return self.telemetry.feed(self.served.name, "BTCUSDT")

    def open(self) -> bytes:
        self.origins += 1
        origin = b"ws-%d" % self.origins
        for lane in self.lanes:
            self.publisher.opened(lane, origin, self.now_s)
        return origin

    def frame(self, payload: bytes, origin: bytes = b"ws-1") -> bool:
        self.now_s += 0.1
        return self.publisher.on_frame(self.lane, origin, self.recv_ns, payload).closing

    def lose(self, origin: bytes, reason: str = "gone") -> None:
        for lane in self.lanes:
            self.publisher.lost(lane, origin, self.recv_ns, reason)

    def snapshot(self, body: bytes | None = None) -> str:
        request = self.served.live.snapshot("BTCUSDT", self.served.live.snapshot_limit)
        body = self.venue.snapshot(self.served.live.snapshot_limit) if body is None else body
        return self.publisher.on_snapshot("BTCUSDT", request, self.recv_ns, body, self.now_s)

    def second(self):
        self.now_s += 1.0
        return self.publisher.on_second(self.now_s, self.recv_ns)

    def clocks(self) -> list[tuple[int, int]]:
        """Partition and time (ms) of the `!clock` lines that are told now."""
        self.publisher.tell_time(self.recv_ns)
        told = [each for each in self.publisher.take(cut=True) if each.key == b"!clock"]
        lines = [next(decode_lines(each.body)) for each in told]
        return [
            (each.partition, json.loads(line.payload)["time_ns"] // 10**6)
            for each, line in zip(told, lines, strict=True)
        ]

    def sync(self) -> None:
        self.open()
        self.frame(self.venue.diff())
        assert self.snapshot() == ""

    def read(self) -> list:
        """Pass everything published to the kernel; the new lines."""
        out = self.publisher.take(cut=True)
        self.out += out
        records = []
        for each in out:
            self.offset += 1
            records.append(Record(each.key, self.offset, each.body))
        new = [line for record in records for line in decode_lines(record.body)]
        self.blocks += self.kernel.on_records(records)
        self.lines += new
        return new

    def kernel_levels(self) -> set[tuple[int, Decimal, Decimal]] | None:
        self.read()
        book = self.kernel._books.get(b"BTCUSDT")
        if book is None or not book.live:
            return None
        sizes = int(book.meta[9])
        return {
            (int(side), book.price(int(tick)), Decimal(int(lots)).scaleb(-sizes))
            for tick, lots, side in zip(*book.levels(), strict=True)
        }

    def covered(self) -> tuple[Decimal, Decimal]:
        low, high = self.publisher._followed["BTCUSDT"].book.fields()["covered"]
        return Decimal(low or 0), Decimal(high or 10**9)

    def own_levels(self) -> set[tuple[int, Decimal, Decimal]] | None:
        book = self.publisher._followed["BTCUSDT"].book
        if not book.live:
            return None
        fields = book.fields()
        return {
            (side, Decimal(p), Decimal(q))
            for side, name in ((0, "bids"), (1, "asks"))
            for p, q in fields[name]
        }


def origins(lines) -> list[bytes]:
    return [line.origin.split(b"?")[0] for line in lines]


STEPS = ["diff", "diff", "diff", "diff", "gap", "duplicate", "malformed", "truncated", "lose", "overlap", "stale",
         "second", "widen"]  # fmt: skip


@BOTH
@given(st.integers(0, 10**6), st.lists(st.sampled_from(STEPS), max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_the_flow_has_the_book_of_the_connector_and_of_the_venue(
    served, seed: int, steps: list[str]
) -> None:
    served = replace(served, live=replace(served.live, snapshot_limit=10, snapshot_limit_max=30))
    bench = Bench(served, book_every_s=7.0)
    venue = bench.venue = ToyBook(seed, served.wire.rule)
    bench.publisher.begin(bench.recv_ns)
    origin, old = bench.open(), venue.snapshot(10)
    for step in steps:
        if step == "diff":
            bench.frame(venue.diff(), origin)
        elif step == "gap":
            venue.diff()
        elif step == "duplicate":
            payload = venue.diff()
            bench.frame(payload, origin), bench.frame(payload, origin)
        elif step == "malformed":
            bench.frame(venue.diff().replace(b'":', b'"', 3), origin)
        elif step == "truncated":
            bench.frame(venue.diff()[:70], origin)
        elif step == "lose":
            bench.lose(origin)
            origin = bench.open()
        elif step == "overlap":
            fresh, frames = bench.open(), [venue.diff() for _ in range(3)]
            for at in (0, 1):
                bench.frame(frames[at], origin)
            for at in (1, 2):
                bench.frame(frames[at], fresh)
            bench.publisher.hand_over(bench.lane, bench.recv_ns)
            for lane in bench.lanes[1:]:
                bench.publisher.hand_over(lane, bench.recv_ns)
            origin = fresh
        elif step == "stale":
            bench.snapshot(old)
        elif step == "second":
            bench.second()
        elif step == "widen" and bench.publisher.widening_due(bench.now_s):
            bench.publisher.on_fuller("BTCUSDT", bench.recv_ns, venue.snapshot(30))
        if bench.publisher.snapshots_due(bench.now_s) and bench.venue.random.random() < 0.5:
            bench.snapshot()
        assert bench.kernel_levels() == bench.own_levels()
    bench.frame(venue.diff(), origin)
    for _ in range(2):
        bench.snapshot()
        bench.frame(venue.diff(), origin)
    assert bench.kernel_levels() == bench.own_levels()
    told, (low, high) = bench.own_levels(), bench.covered()
    assert told <= venue.levels()
    assert {level for level in venue.levels() if low <= level[1] <= high} <= told


@BOTH
def test_it_begins_with_a_reset_and_the_instrument(served) -> None:
    bench = Bench(served)
    bench.publisher.begin(1)
    bench.publisher.on_instruments(2, served.instruments(info(["BTCUSDT", "ETHUSDT"])))
    bench.open()
    bench.frame(bench.venue.diff())
    assert origins(bench.read()) == [b"!reset", b"!instrument", b"ws-1"]
    assert json.loads(bench.lines[1].payload)["tick"] == "1"
    bench.publisher.on_instruments(3, served.instruments(info(["BTCUSDT"])))
    assert not bench.read()
    bench.publisher.on_instruments(4, served.instruments(info(["BTCUSDT"]).replace(b'"1.0"', b'"0.5"', 1)))
    assert origins(bench.read()) == [b"!instrument"]


def test_frames_are_published_as_they_came() -> None:
    bench = Bench()
    bench.open()
    frames = [
        bench.venue.diff(),
        b"{",
        b"\xff\x00\n",
        b'{"stream":"x@y","data":{}}',
        b'{"result":null,"id":1}',
        b"",
    ]
    for payload in frames:
        bench.frame(payload)
    assert Counter(line.payload for line in bench.read()) == Counter(frames)
    assert bench.feed.unreadable == 3
    assert {each.key for each in bench.out} == {b"BTCUSDT", b"X", b"binance_spot"}


def test_a_snapshot_is_asked_for_with_the_first_update_or_after_three_seconds() -> None:
    bench = Bench()
    assert not bench.publisher.snapshots_due(100.0)
    bench.open()
    assert not bench.publisher.snapshots_due(2.9)
    assert bench.publisher.snapshots_due(3.0) == ["BTCUSDT"]
    bench.frame(bench.venue.diff())
    assert bench.publisher.snapshots_due(bench.now_s) == ["BTCUSDT"]
    assert bench.snapshot() == ""
    assert not bench.publisher.snapshots_due(100.0)
    bench.read()
    assert bench.lines[-1].origin == b"GET:/api/v3/depth?symbol=BTCUSDT&limit=1000"


def test_a_snapshot_that_comes_too_late_is_not_published() -> None:
    bench = Bench()
    bench.sync()
    bench.read()
    assert bench.snapshot() == "" and not bench.read()
    bench.lose(b"ws-1")
    assert bench.snapshot() == "" and origins(bench.read()) == [b"!reset"]


def test_a_lost_connection_voids_the_book_and_a_replaced_one_does_not() -> None:
    bench = Bench()
    bench.sync()
    fresh = bench.open()
    bench.lose(b"ws-1")
    bench.frame(bench.venue.diff(), fresh)
    assert b"!reset" not in origins(bench.read()) and bench.kernel_levels() == bench.venue.levels()
    bench.lose(fresh, "wire cut")
    assert json.loads(bench.read()[-1].payload) == {"reason": "wire cut"}
    assert bench.kernel_levels() is None and bench.feed.reconnects == 1
    bench.second()
    assert (bench.feed.state, bench.feed.reason) == (State.DOWN, "wire cut")


def test_a_gap_shows_as_a_hole() -> None:
    bench = Bench()
    bench.sync()
    for _ in range(20):
        bench.frame(bench.venue.diff())
    for _ in range(30):
        bench.venue.diff()
    bench.frame(bench.venue.diff())
    assert bench.snapshot() == ""
    for _ in range(30):
        bench.frame(bench.venue.diff())
    bench.read()
    seconds = [
        row - T0_MS // 1000 for block in [*bench.blocks, *bench.kernel.flush()] if block.table == "depth_1s"
        for row in block.columns["time"]
    ]  # fmt: skip
    # Diffs 1 to 21 end at 2.1 s, the next one is at 5.2 s.
    assert not {2, 3, 4} & set(seconds) and {0, 1, 5, 6} <= set(seconds)
    assert bench.kernel.summary()["gaps"] == bench.feed.gaps == 1


def test_the_clock_goes_to_every_partition_and_stops_when_a_socket_is_down() -> None:
    bench = Bench(FUTURES, partitions=3)
    bench.sync()
    assert bench.clocks() == [(partition, bench.venue.time_ms) for partition in range(3)]
    assert not bench.clocks(), "the venue's time has not moved"
    bench.publisher.lost(bench.lanes[1], b"ws-1", bench.recv_ns, "gone")
    bench.frame(bench.venue.diff())
    bench.second()
    assert (bench.feed.state, bench.feed.reason) == (State.DOWN, "gone")
    assert bench.own_levels() == bench.venue.levels(), "the other socket's books live on"
    bench.venue.time_ms += 1000
    bench.frame(bench.venue.diff())
    assert bench.clocks(), "it tells nothing of books"
    bench.publisher.lost(bench.lanes[0], b"ws-1", bench.recv_ns, "gone")
    bench.venue.time_ms += 1000
    bench.publisher.opened(bench.lanes[0], b"ws-2", bench.now_s)
    assert not bench.clocks()
    bench.frame(bench.venue.diff(), b"ws-2")
    assert bench.clocks() == [(partition, bench.venue.time_ms) for partition in range(3)]


def test_the_clock_is_told_as_each_quarter_of_a_second_passes() -> None:
    bench = Bench()
    bench.sync()
    told = []
    for _ in range(30):
        bench.frame(bench.venue.diff())
        told += bench.clocks()
    # Diffs come every 100 ms of venue time.
    assert [time_ms - T0_MS for _, time_ms in told] == [
        200, 300, 500, 800, 1000, 1300, 1500, 1800, 2000, 2300, 2500, 2800, 3000
    ]  # fmt: skip


def test_the_clock_waits_for_the_slowest_socket_with_books() -> None:
    venues = [ToyBook(seed, SPOT.wire.rule, symbol) for seed, symbol in enumerate(("AUSDT", "BUSDT"))]
    held = [*lanes(SPOT, ["AUSDT"]), *lanes(SPOT, ["BUSDT"])]
    publisher = Publisher(SPOT, held, Telemetry(), 1, 0.0)
    for lane in held:
        publisher.opened(lane, b"ws-1", 0.0)
    for _ in range(20):
        publisher.on_frame(held[0], b"ws-1", T0_MS * 1_000_000, venues[0].diff())
    publisher.tell_time(T0_MS * 1_000_000)
    assert {each.key for each in publisher.take(cut=True)} == {b"AUSDT"}
    for _ in range(5):
        publisher.on_frame(held[1], b"ws-1", T0_MS * 1_000_000, venues[1].diff())
    publisher.tell_time(T0_MS * 1_000_000)
    *_, last = publisher.take(cut=True)
    assert json.loads(next(decode_lines(last.body)).payload) == {"time_ns": (T0_MS + 500) * 1_000_000}


def test_the_clock_comes_after_everything_before_it() -> None:
    bench = Bench(partitions=1)
    bench.sync()
    bench.publisher.tell_time(bench.recv_ns)
    bench.frame(bench.venue.diff())
    assert origins(bench.read())[-2:] == [b"!clock", b"ws-1"]


def test_silent_sockets_and_books_are_told() -> None:
    bench = Bench(silence_factor=0.5)
    bench.sync()
    alarms = []
    for trade_id in range(1, 17):
        bench.frame(bench.venue.trade(trade_id))
        alarms += bench.second()
    assert [(alarm.reason, alarm.dead) for alarm in alarms] == [("btcusdt@depth@100ms is silent", False)]
    assert bench.feed.state == State.STALE
    assert bench.kernel_levels() is None, "a silent book is void"
    bench.frame(bench.venue.diff())
    bench.snapshot()
    assert not bench.second()
    assert bench.feed.state == State.LIVE and bench.kernel_levels() == bench.venue.levels()
    alarms = [alarm for _ in range(6) for alarm in bench.second()]
    assert [alarm.dead for alarm in alarms] == [True]


def test_a_stream_that_never_spoke_is_told_as_such() -> None:
    bench = Bench(FUTURES)
    bench.sync()
    for _ in range(31):
        bench.frame(bench.venue.diff())
        bench.publisher.on_frame(
            bench.lanes[1],
            b"ws-1",
            bench.recv_ns,
            b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","a":1}}',
        )
        assert not bench.second()
    assert bench.feed.state == State.STALE
    assert bench.feed.reason == "btcusdt@markPrice@1s is silent, never heard: is it served at this path?"


def test_the_whole_book_is_told_now_and_then_and_a_reader_may_begin_there() -> None:
    bench = Bench(book_every_s=5.0)
    bench.sync()
    for _ in range(8):
        bench.frame(bench.venue.diff())
        bench.second()
    bench.read()
    at = origins(bench.lines).index(b"!book")
    assert origins(bench.lines).count(b"!book") == 1
    late = DepthKernel(SPOT, 0)
    tail = [line for line in bench.lines[at:] if line.origin != b"!clock"]
    body = b"".join(b"%d %s %d %s\n" % (x.recv_ns, x.origin, len(x.payload), x.payload) for x in tail)
    late.on_records([Record(b"BTCUSDT", 1, body)])
    assert late._books[b"BTCUSDT"].live
    assert bench.kernel_levels() == bench.venue.levels()
    assert late._books[b"BTCUSDT"].best() == bench.kernel._books[b"BTCUSDT"].best()


def test_a_shallow_book_is_widened_at_its_very_id() -> None:
    bench = Bench()
    bench.venue = ToyBook(3, SPOT.wire.rule, levels=1500)
    bench.sync()
    assert bench.publisher.widening_due(bench.now_s) is None, "it reaches far enough"
    bench.venue = ToyBook(3, SPOT.wire.rule, levels=900)
    bench.venue.bids = {1000 - n // 100: 1 for n in range(100, 200)} | dict.fromkeys(range(1, 999), 1)
    bench.lose(b"ws-1")
    origin = bench.open()
    bench.frame(bench.venue.diff(), origin)
    body = json.loads(bench.venue.snapshot())
    few = body | {"bids": body["bids"][:5] * 200}
    assert bench.snapshot(json.dumps(few, separators=(",", ":")).encode()) == ""
    bench.now_s += 60.0
    assert bench.publisher.widening_due(bench.now_s) == "BTCUSDT"
    bench.frame(bench.venue.diff(), origin)
    assert bench.publisher.on_fuller("BTCUSDT", bench.recv_ns, bench.venue.snapshot(5000)) == ""
    bench.frame(bench.venue.diff(), origin)
    assert bench.kernel_levels() == bench.own_levels() == bench.venue.levels()
    assert b"!book" in origins(bench.lines)


def test_records_do_not_run_ahead_of_each_other_in_venue_time() -> None:
    served = SPOT
    venues = [ToyBook(seed, served.wire.rule, symbol) for seed, symbol in enumerate(("AUSDT", "BUSDT"))]
    held = lanes(served, ["AUSDT", "BUSDT"])
    publisher = Publisher(served, held, Telemetry(), 1, 0.0)
    publisher.opened(held[0], b"ws-1", 0.0)
    for _ in range(40):
        for venue in venues:
            publisher.on_frame(held[0], b"ws-1", T0_MS * 1_000_000 + 10**10, venue.diff())
    newest = 0
    for each in publisher.take(cut=True):
        times = [served.live.head(line.payload).event_ns for line in decode_lines(each.body)]
        assert min(times) > newest - 500_000_000
        newest = max(newest, *times)


def test_a_frame_no_line_can_hold_voids_the_book() -> None:
    bench = Bench()
    bench.sync()
    huge = bench.venue.diff() + b" " * LINE_BYTES_MAX
    bench.frame(huge)
    assert origins(bench.read())[-2:] == [b"ws-1", b"!reset"]
    assert len(bench.lines[-2].payload) == 65536
    assert bench.kernel_levels() is bench.own_levels() is None


def test_a_notice_of_shutdown_is_told_and_published() -> None:
    bench = Bench()
    bench.open()
    notice = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795000000000}}'
    assert bench.frame(notice) and bench.frame(b'{"e":"serverShutdown","E":1795000000000}')
    assert not bench.frame(bench.venue.diff())
    assert notice in [line.payload for line in bench.read()]
    bench.kernel.flush()
    assert bench.kernel.summary()["dead_letters"] == 0


@pytest.mark.parametrize("served", [SPOT, FUTURES], ids=lambda served: served.name)
def test_sockets_are_shared_out_by_path_and_length(served) -> None:
    symbols = [f"COIN{n:04}USDT" for n in range(600)]
    held = lanes(served, symbols)
    wanted = [(stream.name, stream.path) for symbol in symbols for stream in served.live.streams(symbol)]
    assert sorted((name, lane.path) for lane in held for name in lane.channels) == sorted(wanted)
    for lane in held:
        assert len(lane.channels) <= served.live.streams_max
        assert len(served.live.socket_url(lane.path, list(lane.channels), "")) < 7000
