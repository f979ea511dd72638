"""Reads recordings of a market into lines: ours, hftbacktest text, cryptofeed jsonl and text.

The format is told by the content, not by the name; gzip, zstd and plain files alike. All is streamed.

* ours: see `connectors.recording_file`; the lines of its records.
* hftbacktest text: `<recv_ns> <payload>` a line, REST snapshots among the frames. Files of 2023 have us.
  github.com/nkaz001/hftbacktest, examples
* text since boot: the same, its times ns of a clock that knows no date: the first frame that bears a venue time is
  taken for received at that time, to which the others follow.
* cryptofeed jsonl: an object a line, `t` header, http, connect, send or recv, `data` the payload as a string.
  github.com/bmoscon/cryptofeed, branch v3, sample_data
* cryptofeed text: `<recv_s>: <payload>` a line, `<address> <-> <s>` a connection, `<address> <- <s>: ...` what was
  sent. github.com/bmoscon/cryptofeed, sample_data, 2021

A venue names the symbols of its markets alike (Bybit's BTCUSDT is spot and perpetual): of a file with sockets of
several markets only those of the market asked for are read, told by their addresses.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from connectors.lane import FUTURE_NS_MAX
from connectors.record import CLOCK, INSTRUMENT, LINE_BYTES_MAX, Line, LineError, decode_lines
from connectors.recording_file import Fault, RecordingError, StoredRecord, blocks, frames
from connectors.venue import Instrument, Market, ParseError, Route, markets
from connectors.venue_clock import RecordedClock

# Payloads of cryptofeed are JSON within JSON: quotes are escaped.
TEXT_LINE_BYTES_MAX = 2 * LINE_BYTES_MAX
REQUEST_BYTES_MAX = 2048
HEAD_BYTES = 80

WS = b"ws"
REST = b"rest"

Lines = Iterator[tuple[bytes, Line] | Fault]


def read(path: Path, market: Market, symbol: str | None = None, *, clocks: bool = False) -> Lines:
    """The recording's lines with their keys, in file order, receive times as recorded (they may step back).

    `symbol` names the book of snapshots that name none; a payload's own symbol goes before it. Instruments
    that a recording tells (exchangeInfo) come as `!instrument` lines, each before the first line of its key.
    What cannot be read is yielded as a Fault and never stops the rest. With `clocks`, the `!clock` lines that the
    market's connector would have written (`connectors.venue_clock`) stand among them, instead of any recorded.

    Raises:
        RecordingError: the file cannot be opened, is empty, of no known format or of another market, at once;
            a snapshot names no symbol and `symbol` is None, when it is reached.
    """
    content = blocks(path)
    try:
        return _lines(path, content, market, symbol, clocks)
    except RecordingError:
        content.close()
        raise


def _lines(
    path: Path, content: Iterator[bytes | Fault], market: Market, symbol: str | None, clocks: bool
) -> Lines:
    head = next(content, b"")
    if isinstance(head, Fault):
        raise RecordingError(f"{path} holds nothing that can be read: {head.reason}")
    kind = _sniff(path, head)
    content = chain([head], content)
    if kind == "ours":
        return _ours(path, content, market, clocks)
    keys = _Keys(path, market, symbol)
    if kind in _SPLITS:
        lines = _text(path, content, keys, _SPLITS[kind])
    elif kind == "text since boot":
        lines = _text(path, content, keys, _since_boot(_boot_ns(path, head, market)))
    else:
        lines = _Cryptofeed(path, market, keys).lines(content)
    return _with_clocks(lines, market) if clocks else lines


def _with_clocks(lines: Lines, market: Market) -> Lines:
    clock = RecordedClock()
    for item in lines:
        yield item
        if isinstance(item, Fault):
            continue
        recv_ns, origin, payload = item[1]
        try:
            head = market.live.head(payload)
        except ParseError:
            continue
        speaks_of_books = bool(head.bids or head.asks) or origin in clock
        if speaks_of_books and 0 < head.event_ns <= recv_ns + FUTURE_NS_MAX:
            yield from clock.tell(origin, head.event_ns, recv_ns)


_TEXT = re.compile(rb"[0-9]{16,19} [{\[]")
_SINCE_BOOT = re.compile(rb"[0-9]{9,15} [{\[]")
_CRYPTOFEED = re.compile(rb'\{.*"t": ?"(header|http|connect|send|recv)"')
_CRYPTOFEED_TEXT = re.compile(rb"wss?://[^ ]+ <-|[0-9]{10}\.[0-9]{1,9}: [{\[]")


_Kind = Literal["ours", "text", "text since boot", "cryptofeed", "cryptofeed text"]


def _sniff(path: Path, head: bytes) -> _Kind:
    if not head:
        raise RecordingError(f"{path} is empty, expected a recording")
    if head.startswith(b'{"isotherm_recording":'):
        return "ours"
    # The first line may be the damaged one.
    for line in head[: 1 << 16].split(b"\n")[:16]:
        if _TEXT.match(line):
            return "text"
        if _SINCE_BOOT.match(line):
            return "text since boot"
        if _CRYPTOFEED.match(line):
            return "cryptofeed"
        if _CRYPTOFEED_TEXT.match(line):
            return "cryptofeed text"
    raise RecordingError(
        f"{path} is no recording of a known format (ours, hftbacktest text, cryptofeed jsonl or text): "
        f"it begins with {head[:60]!r}"
    )


class _Keys:
    """Finds the record key of each payload."""

    def __init__(self, path: Path, market: Market, symbol: str | None) -> None:
        self._path = path
        self._untagged = market.wire.untagged
        self._symbol = symbol.upper().encode() if symbol else None
        self.of = market.key_of

    def snapshot(self, payload: bytes) -> bool:
        """Whether it is an untagged book snapshot."""
        first = _FIRST_KEY.match(payload)
        return first is not None and self._untagged.get(first[1].decode("latin-1")) is Route.SNAPSHOT

    def of_snapshot(self, number: int) -> bytes:
        """The key of a snapshot that names no symbol."""
        if self._symbol is None:
            raise RecordingError(
                f"{self._path}, line {number}: a book snapshot names no symbol: say whose it is with --symbol"
            )
        return self._symbol

    def of_unnamed(self, origin: bytes) -> bytes:
        """The key of anything else that names no symbol: acknowledgements and the like."""
        return self._symbol or origin


_FIRST_KEY = re.compile(rb'\s*\{\s*"([^"]{1,64})"')


# ---- lines of text


def _numbered(path: Path, content: Iterator[bytes | Fault]) -> Iterator[tuple[int, bytes, bool] | Fault]:
    """Number from 1, line, and whether a newline ended it: the last may be without, or cut off."""
    number, rest, too_long = 1, b"", False
    for block in content:
        if isinstance(block, Fault):
            yield block
            return
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            if too_long:
                too_long = False
            elif line:
                yield number, line, True
            number += 1
        if len(rest) > TEXT_LINE_BYTES_MAX:
            if not too_long:
                yield _fault(path, number, f"a line may hold {TEXT_LINE_BYTES_MAX} bytes", rest)
            rest, too_long = b"", True
    if rest and not too_long:
        yield number, rest, False


def _fault(path: Path, number: int, reason: str, found: bytes) -> Fault:
    return Fault(path, number, "line", reason, found[:HEAD_BYTES])


def _unfit(payload: bytes) -> str | None:
    """Why the payload cannot be a line's; None: it can."""
    if payload[:1] not in _OPENING or payload[-1:] not in _CLOSING:
        return "expected a whole JSON message behind the receive time"
    if len(payload) > LINE_BYTES_MAX:
        return f"a message may hold {LINE_BYTES_MAX} bytes, found {len(payload)}"
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            return "the message is not UTF-8"
    return None


def _cut_off(payload: bytes) -> str | None:
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "truncated: the file ends within a message"
    return None


_OPENING: Final = (b"{", b"[")
_CLOSING: Final = (b"}", b"]")


# ---- a receive time and a payload a line

_Split = Callable[[bytes], tuple[int | None, bytes] | None]


def _text(path: Path, content: Iterator[bytes | Fault], keys: _Keys, split: _Split) -> Lines:
    for item in _numbered(path, content):
        if isinstance(item, Fault):
            yield item
            continue
        number, text, ended = item
        found = split(text)
        if found is None:
            continue
        recv_ns, payload = found
        if recv_ns is None:
            yield _fault(path, number, "expected a receive time, a blank and a message", text)
        elif reason := _unfit(payload) or (None if ended else _cut_off(payload)):
            yield _fault(path, number, reason, text)
        elif key := keys.of(payload):
            yield key, Line(recv_ns, WS, payload)
        elif keys.snapshot(payload):
            yield keys.of_snapshot(number), Line(recv_ns, REST, payload)
        else:
            yield keys.of_unnamed(WS), Line(recv_ns, WS, payload)


def _hftbacktest(text: bytes) -> tuple[int | None, bytes]:
    time, _, payload = text.partition(b" ")
    return _recv_ns(time), payload


def _recv_ns(digits: bytes) -> int | None:
    """Time of receipt from 2001 to 2096 in ns, or us; None for anything else."""
    if digits.isdigit() and digits[:1] in (b"1", b"2", b"3"):
        if len(digits) == 19:
            return int(digits)
        if len(digits) == 16:
            return int(digits) * 1000
    return None


def _boot_ns(path: Path, head: bytes, market: Market) -> int:
    """When the recorder's clock stood at 0, by the first frame that bears a venue time."""
    for line in head.split(b"\n"):
        time, _, payload = line.partition(b" ")
        with suppress(ParseError):
            if time.isdigit() and (event_ns := market.live.head(payload).event_ns):
                return event_ns - int(time)
    raise RecordingError(
        f"{path} tells no date: expected receive times in ns or us UTC, or frames with times"
    )


def _since_boot(boot_ns: int) -> _Split:
    def split(text: bytes) -> tuple[int | None, bytes]:
        time, _, payload = text.partition(b" ")
        fits = time.isdigit() and 9 <= len(time) <= 15
        return boot_ns + int(time) if fits else None, payload

    return split


def _cryptofeed_text(text: bytes) -> tuple[int | None, bytes] | None:
    if _NOT_RECEIVED.match(text):
        return None
    time, _, payload = text.partition(b": ")
    seconds, _, fraction = time.partition(b".")
    if len(seconds) != 10 or not fraction.isdigit() or len(fraction) > 9:
        return None, payload
    return _recv_ns(seconds + fraction.ljust(9, b"0")), payload


_NOT_RECEIVED = re.compile(rb"wss?://[^ ]+ <-")
_SPLITS: Final[dict[str, _Split]] = {"text": _hftbacktest, "cryptofeed text": _cryptofeed_text}


# ---- cryptofeed jsonl


class _Entry(msgspec.Struct):
    t: str
    ts: Decimal = Decimal("NaN")
    conn: str = ""
    addr: str = ""
    url: str = ""
    data: str = ""


_ENTRY = msgspec.json.Decoder(_Entry)
_SILENT = ("header", "connect", "send")


def _unfit_entry(entry: _Entry) -> str | None:
    if entry.t not in ("http", "recv"):
        return f"unknown entry {entry.t[:32]!r}"
    if not (entry.ts.is_finite() and 10**9 <= entry.ts < 4 * 10**9):
        return f"expected ts in seconds, found {entry.ts}"
    return None


class _Cryptofeed:
    def __init__(self, path: Path, market: Market, keys: _Keys) -> None:
        self._path = path
        self._market = market
        self._keys = keys
        # What exchangeInfo told and no line of the key has yet gone after; and what was told before.
        self._untold: dict[bytes, Line] = {}
        self._told: dict[str, Instrument] = {}
        self._elsewhere = _addresses_of_others(market)
        self._left_out: set[str] = set()  # sockets of other markets

    def lines(self, content: Iterator[bytes | Fault]) -> Lines:
        for item in _numbered(self._path, content):
            if isinstance(item, Fault):
                yield item
                continue
            found = self._line(*item[:2])
            if isinstance(found, Fault):
                yield found
            elif found is not None:
                instrument = self._untold.pop(found[0], None)
                if instrument is not None:
                    yield found[0], instrument
                yield found

    def _line(self, number: int, text: bytes) -> tuple[bytes, Line] | Fault | None:
        try:
            entry = _ENTRY.decode(text)
            payload = entry.data.encode()
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return _fault(self._path, number, f"not an entry of a cryptofeed recording: {error}", text)
        if entry.t in _SILENT:
            self._note(entry)
            return None
        if entry.t == "recv" and entry.conn in self._left_out:
            return None
        if reason := _unfit_entry(entry) or _unfit(payload):
            return _fault(self._path, number, reason, text)
        recv_ns = int(entry.ts * 10**9)
        if entry.t == "http":
            return self._answered(number, entry.url, recv_ns, payload)
        return self._received(number, Line(recv_ns, _word(entry.conn), payload))

    def _note(self, entry: _Entry) -> None:
        """What a connection's entry tells of where it leads; a name may be used again for another."""
        if entry.addr and _address(entry.addr) in self._elsewhere:
            self._left_out.add(entry.conn)
        elif entry.addr:
            self._left_out.discard(entry.conn)

    def _received(self, number: int, line: Line) -> tuple[bytes, Line]:
        key = self._keys.of(line.payload)
        if key is None and self._keys.snapshot(line.payload):
            key = self._keys.of_snapshot(number)
        return key or self._keys.of_unnamed(line.origin), line

    def _answered(
        self, number: int, url: str, recv_ns: int, payload: bytes
    ) -> tuple[bytes, Line] | Fault | None:
        try:
            origin, key = _request(url)
        except ValueError as error:
            return _fault(self._path, number, f"not an address: {error}", url.encode())
        line = Line(recv_ns, origin, payload)
        if self._keys.snapshot(payload):
            return key or self._keys.of_snapshot(number), line
        try:
            self._tell(recv_ns, self._market.instruments(payload))
        except ParseError as error:
            reason = f"neither a book nor instruments: {error}"
            return (key, line) if key else _fault(self._path, number, reason, payload)
        return None

    def _tell(self, recv_ns: int, instruments: list[Instrument]) -> None:
        for instrument in instruments:
            if self._told.get(instrument.symbol) != instrument:
                self._told[instrument.symbol] = instrument
                payload = msgspec.json.encode(instrument)
                self._untold[instrument.symbol.encode()] = Line(recv_ns, INSTRUMENT, payload)


def _addresses_of_others(market: Market) -> set[tuple[str, str]]:
    """Where other markets have their sockets, and this one has none."""
    found = {name: _addresses(each) for name, each in markets().items() if name != market.name}
    return set().union(*found.values()) - _addresses(market)


def _addresses(market: Market) -> set[tuple[str, str]]:
    streams = (stream for symbol in market.live.symbols[:1] for stream in market.live.streams(symbol))
    return {_address(market.live.ws_url + stream.path) for stream in streams}


def _address(url: str) -> tuple[str, str]:
    """Host and path; empty ones of what is no address."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.path.rstrip("/")
    except ValueError:
        return "", ""


_SECRET = re.compile("sign|key|token|secret|auth|pass|credential|session", re.IGNORECASE)


def _request(url: str) -> tuple[bytes, bytes | None]:
    """The request line without secret parameters, and its symbol. Raises ValueError."""
    parts = urlsplit(url)
    if not parts.path:
        raise ValueError(f"no path in {parts.netloc[-60:]!r}")
    query = [(name, value) for name, value in parse_qsl(parts.query) if not _SECRET.search(name)]
    symbol = next((value for name, value in query if name == "symbol"), None)
    path = quote(parts.path, safe="/:@!$&'()*+,;=%~")
    line = f"GET:{path}?{urlencode(query)}" if query else f"GET:{path}"
    if len(line) > REQUEST_BYTES_MAX:
        raise ValueError(f"over {REQUEST_BYTES_MAX} bytes long")
    return line.encode(), symbol.encode() if symbol else None


def _word(name: str) -> bytes:
    """The name as one word, as an origin must be."""
    return b"_".join(name.encode().split()).lstrip(b"!") or WS


# ---- ours


def _ours(path: Path, content: Iterator[bytes | Fault], market: Market, clocks: bool) -> Lines:
    header, records = frames(path, content)
    if header.topic != market.topic:
        raise RecordingError(f"{path} is a recording of {header.topic}, expected {market.topic}")
    return _recorded(path, records, RecordedClock(range(header.partitions)) if clocks else None)


class _Clock(msgspec.Struct):
    time_ns: int


def _recorded(path: Path, records: Iterator[StoredRecord | Fault], clock: RecordedClock | None) -> Lines:
    """A clock of one partition says nothing of the others: with `clock`, its lines stand instead of those."""
    for number, record in enumerate(records, 1):
        if isinstance(record, Fault):
            yield record
            continue
        try:
            for line in decode_lines(record.body):
                if clock is None or line.origin != CLOCK:
                    yield record.key, line
                    continue
                try:
                    time_ns = msgspec.json.decode(line.payload, type=_Clock).time_ns
                except msgspec.MsgspecError as error:
                    yield Fault(
                        path, number, "record", f"malformed clock: {error}", line.payload[:HEAD_BYTES]
                    )
                else:
                    yield from clock.tell(record.partition, time_ns, line.recv_ns)
        except LineError as error:
            yield Fault(path, number, "record", str(error), record.body[:HEAD_BYTES])
