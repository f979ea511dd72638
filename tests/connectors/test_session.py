"""The socket loop against a scripted exchange: after every fault the log holds the exchange's book again."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connectors.file_log import FileLog
from connectors.log import LogError
from connectors.outbox import Outbox
from connectors.record import Line, decode_lines
from connectors.session import Session, Timing
from connectors.telemetry import State, Telemetry
from connectors.venue import Market, market
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel
from tests.connectors.exchange import Exchange, serving

SPOT, FUTURES = market("binance_spot"), market("binance_futures")
FAST = Timing(
    cut_s=0.005, tick_s=0.02, overlap_s=0.3, backoff_base_s=0.02, backoff_cap_s=0.1, healthy_s=60.0,
    instruments_wait_s=0.3, book_every_s=0.5, silence_factor=0.05,
)  # fmt: skip
PATIENCE_S = 20.0


class Live:
    """A session under test, and what its log holds."""

    def __init__(
        self, served: Market, exchange: Exchange, session: Session, log: FileLog, telemetry: Telemetry
    ):
        self.served, self.exchange, self.session = served, exchange, session
        self.log, self.telemetry = log, telemetry
        self.kernel = DepthKernel(served, 0)
        self.reader = log.reader(served.topic, 0)
        self.lines: list[tuple[bytes, Line]] = []
        self.blocks: list[Any] = []

    def read(self) -> None:
        while records := self.reader.poll():
            self.blocks += self.kernel.on_records(records)
            self.lines += [(record.key, line) for record in records for line in decode_lines(record.body)]

    def feed(self, symbol: str = "BTCUSDT") -> Any:
        return self.telemetry.feed(self.served.name, symbol)

    def controls(self, kind: bytes) -> list[dict[str, Any]]:
        return [json.loads(line.payload) for _, line in self.lines if line.origin == kind]

    def resets(self) -> list[str]:
        return [found["reason"] for found in self.controls(b"!reset")]

    def origins(self) -> Counter[bytes]:
        return Counter(line.origin.split(b"?")[0] for _, line in self.lines)

    def trade_ids(self) -> list[int]:
        frames = [json.loads(line.payload) for _, line in self.lines if b"@aggTrade" in line.payload[:40]]
        return [frame["data"]["a"] for frame in frames]

    def live(self) -> bool:
        """Whether the flow has every book, at an update id that the exchange has reached by now."""
        self.read()
        books = [self.kernel._books.get(symbol.encode()) for symbol in self.exchange.books]
        return all(book is not None and book.live and book.meta[b.N_APPLIED] for book in books)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)
                self.read()

    async def agree(self) -> None:
        """Stop the exchange; the flow's books are then the exchange's."""
        await self.until(self.live)
        self.exchange.playing.clear()
        await self.until(
            lambda: all(
                self.kernel._books[symbol.encode()].meta[b.LAST_ID] == book.update_id
                for symbol, book in self.exchange.books.items()
            )
        )
        for symbol, book in self.exchange.books.items():
            assert self.levels(symbol) == book.levels()
        self.exchange.playing.set()

    def levels(self, symbol: str) -> set[tuple[int, Decimal, Decimal]]:
        book = self.kernel._books[symbol.encode()]
        return {
            (int(side), book.price(int(tick)), Decimal(int(lots)).scaleb(-int(book.meta[b.SIZE_DECIMALS])))
            for tick, lots, side in zip(*book.levels(), strict=True)
        }


def follow(
    tmp_path: Path,
    work: Callable[[Live], Awaitable[None]],
    served: Market = SPOT,
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"),
    timing: Timing = FAST,
    prepare: Callable[[Exchange], None] = lambda _: None,
    wanted: tuple[str, ...] = (),
) -> None:
    """Run `work` beside a session that follows `symbols` of a playing exchange."""

    async def main() -> None:
        log, telemetry = FileLog(tmp_path), Telemetry()
        log.create(served.topic, 1)
        async with serving(list(symbols), served.wire.rule) as exchange, aiohttp.ClientSession() as http:
            prepare(exchange)
            outbox = Outbox(log, lambda: 0.5)
            session = Session(
                served, exchange.endpoint, wanted or symbols, http, outbox, telemetry, 1, timing
            )
            running = asyncio.ensure_future(session.run())
            live = Live(served, exchange, session, log, telemetry)
            working = asyncio.ensure_future(work(live))
            await asyncio.wait((running, working), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                working.cancel()
                running.result()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await outbox.close()
            await working
            live.read()
            assert live.kernel.summary()["dead_letters"] == 0

    asyncio.run(main())


@pytest.mark.parametrize("served", [SPOT, FUTURES], ids=lambda served: served.name)
def test_the_log_holds_the_book_of_the_exchange(tmp_path: Path, served: Market) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        await live.agree()
        await live.until(lambda: live.origins()[b"!book"] and live.origins()[b"!clock"])
        await live.until(lambda: live.feed().state == State.LIVE)
        await live.exchange.everyone_pings()
        await live.until(lambda: live.exchange.pongs == len(live.exchange.sockets))
        await live.agree()
        first = {key: line for key, line in reversed(live.lines) if key != b"!clock"}
        assert {line.origin for line in first.values()} == {b"!reset"}
        assert live.resets() == ["connector started"] * 2
        assert [found["symbol"] for found in live.controls(b"!instrument")] == ["BTCUSDT", "ETHUSDT"]
        await live.until(lambda: live.feed().messages > 10)
        assert live.feed().gaps == live.feed().reconnects == 0

    follow(tmp_path, work, served)


def test_futures_hold_a_socket_for_each_path(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        paths = {url.partition("?")[0]: url.partition("=")[2].split("/") for url in live.exchange.opened}
        assert set(paths) == {"/public/stream", "/market/stream"}
        assert paths["/public/stream"] == ["btcusdt@depth@100ms"]
        assert "btcusdt@forceOrder" in paths["/market/stream"]

    follow(tmp_path, work, FUTURES, ("BTCUSDT",))


def test_a_disconnect(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        live.exchange.cut()
        await live.until(lambda: len(live.resets()) == 4)
        await live.until(lambda: live.origins()[b"ws-2"])
        await live.agree()
        assert all(reason.startswith("connection closed") for reason in live.resets()[2:])
        assert live.feed().reconnects == 1

    follow(tmp_path, work)


def test_a_gap(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        live.exchange.books["ETHUSDT"].diff()
        await live.until(lambda: live.kernel.summary()["gaps"])
        await live.until(lambda: live.exchange.requests["depth"] >= 3)
        await live.agree()
        assert live.feed("ETHUSDT").gaps == 1 and live.feed("BTCUSDT").gaps == 0
        assert live.feed("ETHUSDT").resyncs == 1 and len(live.exchange.opened) == 1

    follow(tmp_path, work)


def test_a_book_that_falls_silent_is_void_and_its_socket_replaced(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        live.exchange.mute.add("ethusdt@depth@100ms")
        await live.until(lambda: "ethusdt@depth@100ms is silent" in live.resets())
        assert not live.kernel._books[b"ETHUSDT"].live
        await live.until(lambda: live.feed("ETHUSDT").state == State.STALE)
        assert live.feed("BTCUSDT").state == State.LIVE
        await live.until(lambda: live.origins()[b"ws-2"])
        live.exchange.mute.clear()
        await live.agree()
        assert not [reason for reason in live.resets() if "closed" in reason]
        assert live.feed("BTCUSDT").gaps == 0

    follow(tmp_path, work)


def test_a_socket_that_says_nothing_is_dropped(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        live.exchange.playing.clear()
        await live.until(lambda: "no frame for too long" in live.resets())
        await live.until(lambda: len(live.exchange.opened) >= 2)
        live.exchange.playing.set()
        await live.agree()

    follow(tmp_path, work)


def test_a_snapshot_older_than_the_first_update_is_fetched_again(tmp_path: Path) -> None:
    stale = 3

    def prepare(exchange: Exchange) -> None:
        old = exchange.books["BTCUSDT"].snapshot()
        exchange.books["BTCUSDT"].diff()

        def answer(request: web.Request) -> web.Response | None:
            return web.Response(body=old) if exchange.requests["depth"] <= stale else None

        exchange.answers["depth"] = answer

    async def work(live: Live) -> None:
        await live.until(live.live)
        await live.agree()
        assert live.exchange.requests["depth"] == stale + 1
        assert live.kernel.summary()["stale_snapshots"] == stale
        assert live.resets() == ["connector started"]

    follow(tmp_path, work, symbols=("BTCUSDT",), prepare=prepare)


@pytest.mark.parametrize("status", [429, 418])
def test_stop_signs_of_rest(tmp_path: Path, status: int) -> None:
    def prepare(exchange: Exchange) -> None:
        def answer(_: web.Request) -> web.Response | None:
            stop = exchange.requests["depth"] <= 2
            return web.Response(status=status, headers={"Retry-After": "0.2"}) if stop else None

        exchange.answers["depth"] = answer

    async def work(live: Live) -> None:
        await live.until(lambda: live.exchange.requests["depth"] == 1)
        await live.until(lambda: live.feed().state == State.SYNCING)
        await live.until(live.live)
        await live.agree()
        assert live.exchange.requests["depth"] == 4

    follow(tmp_path, work, prepare=prepare)


def test_an_announced_end_is_forestalled(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(live.live)
        (old,) = live.exchange.sockets
        await live.exchange.everyone(
            b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795000000000}}'
        )
        await live.until(lambda: len(live.exchange.opened) == 2)
        await live.until(lambda: old not in live.exchange.sockets)
        await live.until(lambda: live.origins()[b"ws-2"] > 10)
        await live.agree()
        assert live.resets() == ["connector started"] * 2
        assert live.kernel.summary()["gaps"] == live.feed().reconnects == 0
        ids = live.trade_ids()
        assert sorted(ids) == list(range(min(ids), max(ids) + 1))

    follow(tmp_path, work)


def test_connections_of_age_are_replaced_without_loss_or_repetition(tmp_path: Path) -> None:
    async def work(live: Live) -> None:
        await live.until(lambda: len(live.exchange.opened) == 6)
        await live.agree()
        assert len(live.origins().keys() & {b"ws-%d" % n for n in range(1, 7)}) >= 5
        assert live.resets() == ["connector started"] * 2
        assert live.kernel.summary()["gaps"] == live.kernel.summary()["stale_snapshots"] == 0
        for symbol in (0, 1):
            ids = [trade_id for trade_id in live.trade_ids() if trade_id % 2 == symbol]
            assert ids == list(range(min(ids), max(ids) + 1, 2))
        assert live.exchange.requests["depth"] == 2

    follow(tmp_path, work, timing=replace(FAST, connection_s=0.3))


def test_an_exchange_that_refuses_is_tried_again(tmp_path: Path) -> None:
    def prepare(exchange: Exchange) -> None:
        exchange.refuse = 503

    async def work(live: Live) -> None:
        await live.until(lambda: live.feed().state == State.DOWN)
        assert live.feed().reason == "handshake refused with status 503"
        live.exchange.refuse = 0
        await live.agree()

    follow(tmp_path, work, prepare=prepare)


def test_a_symbol_the_venue_does_not_know_leaves_the_others_alone(tmp_path: Path) -> None:
    def prepare(exchange: Exchange) -> None:
        exchange.answers["exchangeInfo"] = lambda request: (
            web.json_response({"code": -1121}, status=400) if "NOPE" in request.query_string else None
        )

    async def work(live: Live) -> None:
        await live.until(live.live)
        assert (live.feed("NOPEUSDT").state, live.feed("NOPEUSDT").reason) == (
            State.DOWN,
            "unknown to the venue",
        )
        assert "nope" not in live.exchange.opened[0]
        await live.agree()

    follow(tmp_path, work, prepare=prepare, wanted=("BTCUSDT", "NOPEUSDT", "ETHUSDT"))


def test_without_instruments_the_sockets_open_all_the_same(tmp_path: Path) -> None:
    def prepare(exchange: Exchange) -> None:
        exchange.answers["exchangeInfo"] = lambda _: web.Response(status=403)

    async def work(live: Live) -> None:
        await live.agree()
        assert not live.controls(b"!instrument")
        assert live.kernel._instruments[b"BTCUSDT"].inferred

    follow(tmp_path, work, prepare=prepare)


def test_a_log_that_is_gone_ends_the_session_loudly(tmp_path: Path) -> None:
    class Broken(FileLog):
        def writer(self) -> Any:
            raise LogError("the disk is gone")

    async def main() -> None:
        async with serving(["BTCUSDT"]) as exchange, aiohttp.ClientSession() as http:
            outbox = Outbox(Broken(tmp_path), lambda: 0.5)
            session = Session(SPOT, exchange.endpoint, ["BTCUSDT"], http, outbox, Telemetry(), 1, FAST)
            with pytest.raises(ExceptionGroup) as ended:
                await session.run()
            assert ended.group_contains(LogError, match="the disk is gone")
            with pytest.raises(LogError):
                await outbox.close()

    asyncio.run(main())
