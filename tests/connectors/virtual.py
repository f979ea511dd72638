"""A session in virtual time: an event loop that never waits, sockets in memory, a log that is a list."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMessage, WSMsgType
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from connectors.endpoint import Endpoint
from connectors.record import Line, decode_lines
from connectors.session import Session, Timing
from connectors.telemetry import Telemetry
from connectors.venue import Market
from tests.connectors.toy_streams import MS, Level, NaiveBook, ToyExchange
from tests.connectors.toy_venue import T0_MS

STEP_S = 0.1
TIMING = Timing(cut_s=0.1, backoff_base_s=1.0, backoff_cap_s=60.0, overlap_s=5.0)


class _Selector(selectors.DefaultSelector):
    now_s = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found:
            assert timeout is not None, "nothing will ever happen"
            self.now_s += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only while everybody waits."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


class Socket:
    """The client's end of a connection."""

    def __init__(self, net: "Net") -> None:
        self._net = net
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.wanted: set[str] = set()
        self.closed, self.close_code = False, None

    async def receive(self) -> WSMessage:
        payload = await self._inbox.get()
        kind = WSMsgType.TEXT if payload is not None else WSMsgType.CLOSED
        return WSMessage(kind, payload, None)

    async def send_frame(self, frame: bytes, kind: WSMsgType) -> None:
        if self.closed:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        assert kind == WSMsgType.TEXT
        self._net.sent.append((self._net.now_s, frame))
        for reply in self._net.exchange.answer(self.wanted, frame):
            self.tell(reply)

    def tell(self, payload: bytes) -> None:
        self._inbox.put_nowait(payload)

    async def close(self) -> None:
        if not self.closed:
            self.cut()

    def cut(self) -> None:
        self.closed = True
        self._net.sockets.remove(self)
        self._inbox.put_nowait(None)


class Net:
    """In place of aiohttp's session: connections to a toy exchange, which `down` refuses, by `status` if given."""

    def __init__(self, exchange: ToyExchange) -> None:
        self.exchange = exchange
        self.sockets: list[Socket] = []
        self.opened: list[tuple[float, str]] = []
        self.sent: list[tuple[float, bytes]] = []
        self.down, self.status = False, 0
        self.playing = True
        self.clock_ns = 0  # that the machine's clock is ahead by

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def ws_connect(self, url: str, **_: Any) -> Socket:
        self.opened.append((self.now_s, url))
        if self.status:
            info = aiohttp.RequestInfo(URL(url), "GET", CIMultiDictProxy(CIMultiDict()))
            raise aiohttp.WSServerHandshakeError(info, (), status=self.status, message=url)
        if self.down:
            raise aiohttp.ClientConnectionError(f"cannot connect to {url}")
        self.sockets.append(Socket(self))
        return self.sockets[-1]

    async def play(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            if not (self.playing and self.sockets):
                self.exchange.pass_ms(int(STEP_S * 1000))
                continue
            for stream, payload in self.exchange.step():
                for socket in self.sockets:
                    if stream in socket.wanted:
                        socket.tell(payload)


class Run:
    """A session under test, and what it has published."""

    def __init__(self, served: Market, net: Net, telemetry: Telemetry) -> None:
        self.served, self.net, self.exchange, self.telemetry = served, net, net.exchange, telemetry
        self.lines: list[tuple[bytes, Line]] = []
        self.books = {symbol: NaiveBook(served.wire.rule) for symbol in net.exchange.books}
        # The outbox.
        self.full, self.size = False, 0
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, records: Any) -> None:
        for record in records:
            for line in decode_lines(record.body):
                self.lines.append((record.key, line))
                if (book := self.books.get(record.key.decode())) is not None:
                    book.read(line)

    def feed(self, symbol: str = "BTCUSDT") -> Any:
        return self.telemetry.feed(self.served.name, symbol)

    def resets(self, symbol: str = "BTCUSDT") -> list[str]:
        return [
            line.payload.decode().removeprefix('{"reason":"').removesuffix('"}')
            for key, line in self.lines if line.origin == b"!reset" and key == symbol.encode()
        ]  # fmt: skip

    def own(self, symbol: str) -> set[Level] | None:
        """The book that the session itself holds."""
        book = self.session._publisher._followed[symbol].book
        if not book.live:
            return None
        fields = book.fields()
        return {
            (side, Decimal(price), Decimal(size))
            for side, name in enumerate(("bids", "asks")) for price, size in fields[name]
        }  # fmt: skip

    async def agree(self, patience_s: float = 90.0) -> None:
        """Within that time, the session's books and a reader's are the exchange's."""
        async with asyncio.timeout(patience_s):
            while True:
                self.net.playing = False
                await asyncio.sleep(self.session._timing.cut_s + 0.05)
                true = {symbol: book.levels() for symbol, book in self.exchange.books.items()}
                true = {
                    symbol: levels for symbol, levels in true.items() if symbol not in self.exchange.refused
                }
                told = {symbol: self.books[symbol].levels() for symbol in true}
                if told == true and {symbol: self.own(symbol) for symbol in true} == true:
                    break
                self.net.playing = True
                await asyncio.sleep(0.3)
        self.net.playing = True

    async def pass_s(self, span_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(span_s)

    async def until(self, condition: Callable[[], Any], patience_s: float = 90.0) -> None:
        async with asyncio.timeout(patience_s):
            while not condition():  # noqa: ASYNC110 - of anything
                await asyncio.sleep(0.05)


def run(
    monkeypatch: pytest.MonkeyPatch,
    served: Market,
    work: Callable[[Run], Awaitable[None]],
    *,
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"),
    wanted: tuple[str, ...] = (),
    key: str = "",
    timing: Timing = TIMING,
    prepare: Callable[[Net], None] = lambda _: None,
    seed: int = 0,
) -> Run:
    """Run `work` beside a session that follows a playing toy exchange; in virtual time."""
    loop = VirtualLoop()
    net = Net(ToyExchange(served, symbols, seed))

    def now_ns() -> int:
        return T0_MS * MS + int((loop.time() - 1000.0) * 1e9) + net.clock_ns

    clock = SimpleNamespace(monotonic=loop.time, time_ns=now_ns)
    for module in ("session", "connection", "snapshots"):
        monkeypatch.setattr(f"connectors.{module}.time", clock)

    async def main() -> Run:
        prepare(net)
        found = Run(served, net, Telemetry())
        found.session = Session(
            served, Endpoint("ws://toy", ""), wanted or symbols, net, found, found.telemetry, 1, timing, key
        )  # type: ignore[arg-type]
        tasks = [asyncio.ensure_future(each) for each in (found.session.run(), net.play(), work(found))]
        done, _ = await asyncio.wait((tasks[0], tasks[2]), return_when=asyncio.FIRST_COMPLETED)
        if tasks[0] in done:
            tasks[0].result()
            await tasks[2]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks[:2], return_exceptions=True)
        if not tasks[2].cancelled():
            tasks[2].result()
        return found

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())
