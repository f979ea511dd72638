"""How the feeds are: counted as they run, told each second as rows of topic `health` and to Prometheus.

A feed is one symbol of a market, or one poll of a polled feed. Delays are receive time less the venue's event time:
they hold the error of both clocks and may be negative.
"""

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.log import HEALTH
from connectors.outbox import Outgoing

DELAYS = 2048  # the newest, from which a row's quantiles are taken


class State(StrEnum):
    """What a feed is doing."""

    CONNECTING = "connecting"
    SYNCING = "syncing"  # updates arrive, the book waits for a snapshot
    LIVE = "live"
    STALE = "stale"  # silent for longer than it should be
    DOWN = "down"


class Feed:
    """Counters of one symbol since the process began, and its state."""

    __slots__ = (
        "_delays",
        "bytes",
        "complaints",
        "gaps",
        "last_bytes",
        "last_messages",
        "messages",
        "reason",
        "received_ns",
        "reconnects",
        "resyncs",
        "state",
        "symbol",
        "unchanged",
        "unreadable",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.state, self.reason = State.CONNECTING, ""
        self.messages = self.bytes = self.gaps = self.resyncs = self.reconnects = self.unreadable = 0
        self.complaints = self.unchanged = 0
        self.received_ns = 0
        self.last_messages = self.last_bytes = 0
        self._delays: deque[int] = deque(maxlen=DELAYS)

    def become(self, state: State, reason: str = "") -> None:
        """Take a state; `reason` says why it is not live."""
        self.state, self.reason = state, reason

    def received(self, recv_ns: int, size: int, event_ns: int) -> None:
        """Count a frame; `event_ns` 0: it bears no time."""
        self.messages += 1
        self.bytes += size
        self.received_ns = recv_ns
        if event_ns:
            self._delays.append(recv_ns - event_ns)

    def delays_ms(self) -> tuple[float, float] | None:
        """Median and 99th percentile (nearest rank) of the newest delays; None without any."""
        if not self._delays:
            return None
        ranked = sorted(self._delays)
        return tuple(ranked[min(len(ranked) - 1, len(ranked) * p // 100)] / 1e6 for p in (50, 99))  # type: ignore[return-value]

    def row(self, venue: str, now_ns: int, span_s: float) -> dict[str, Any]:
        """The feed as a row of `health`; rates are those of the `span_s` since the last row."""
        delays = self.delays_ms()
        row = {
            "venue": venue,
            "symbol": self.symbol,
            "time_ns": now_ns,
            "state": str(self.state),
            "reason": self.reason,
            "age_ms": (now_ns - self.received_ns) / 1e6 if self.received_ns else None,
            "messages_per_s": (self.messages - self.last_messages) / span_s,
            "bytes_per_s": (self.bytes - self.last_bytes) / span_s,
            "messages": self.messages,
            "gaps": self.gaps,
            "resyncs": self.resyncs,
            "reconnects": self.reconnects,
            "unreadable": self.unreadable,
            "complaints": self.complaints,
            "delay_ms_p50": delays and delays[0],
            "delay_ms_p99": delays and delays[1],
        }
        self.last_messages, self.last_bytes = self.messages, self.bytes
        return row


class Telemetry:
    """The feeds of the process, by market and symbol, and the lengths of its queues."""

    def __init__(self) -> None:
        self._feeds: dict[tuple[str, str], Feed] = {}
        self.queues: dict[str, dict[str, int]] = {}  # market -> queue -> length

    def feed(self, venue: str, symbol: str) -> Feed:
        """The feed of that symbol; new if there is none."""
        return self._feeds.setdefault((venue, symbol), Feed(symbol))

    def feeds(self) -> Iterator[tuple[str, Feed]]:
        """Market and feed of all there are."""
        yield from ((venue, feed) for (venue, _), feed in list(self._feeds.items()))

    def records(self, now_ns: int, span_s: float) -> list[Outgoing]:
        """A record a market for topic `health`: a msgpack array of rows."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for venue, feed in self.feeds():
            queues = {f"queue_{name}": length for name, length in self.queues.get(venue, {}).items()}
            rows.setdefault(venue, []).append(feed.row(venue, now_ns, span_s) | queues)
        return [
            Outgoing(HEALTH, venue.encode(), msgspec.msgpack.encode(found), now_ns)
            for venue, found in rows.items()
        ]


class Metrics(Collector):
    """The same for Prometheus, gathered when it asks."""

    def __init__(self, telemetry: Telemetry, now_ns: Any) -> None:
        self._telemetry = telemetry
        self._now_ns = now_ns

    def collect(self) -> Iterator[Metric]:
        """Every metric, labelled by venue and symbol."""
        yield from self._counters()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        for name, what in _COUNTERS.items():
            family = CounterMetricFamily(f"isotherm_feed_{name}", what, labels=("venue", "symbol"))
            for venue, feed in self._telemetry.feeds():
                family.add_metric((venue, feed.symbol), getattr(feed, name))
            yield family

    def _gauges(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "isotherm_feed_state", "1 for the state a feed is in", labels=("venue", "symbol", "state")
        )
        age = GaugeMetricFamily(
            "isotherm_feed_age_seconds", "since the last message", labels=("venue", "symbol")
        )
        delay = GaugeMetricFamily(
            "isotherm_feed_delay_seconds",
            "receive time less event time; may be negative",
            labels=("venue", "symbol", "quantile"),
        )
        queue = GaugeMetricFamily("isotherm_connector_queue", "length of a queue", labels=("venue", "queue"))
        now_ns = self._now_ns()
        for venue, feed in self._telemetry.feeds():
            for each in State:
                state.add_metric((venue, feed.symbol, str(each)), float(feed.state is each))
            if feed.received_ns:
                age.add_metric((venue, feed.symbol), (now_ns - feed.received_ns) / 1e9)
            for quantile, ms in zip(("0.5", "0.99"), feed.delays_ms() or (), strict=False):
                delay.add_metric((venue, feed.symbol, quantile), ms / 1e3)
        for venue, lengths in self._telemetry.queues.items():
            for name, length in lengths.items():
                queue.add_metric((venue, name), length)
        yield from (state, age, delay, queue)


_COUNTERS = {
    "messages": "frames published",
    "bytes": "bytes of frames published",
    "gaps": "breaks of a book's sequence",
    "resyncs": "books begun anew from a snapshot",
    "reconnects": "connections lost and opened again",
    "unchanged": "answers of a polled feed that bring nothing new",
    "unreadable": "frames that are not what the venue documents",
    "complaints": "answers by which the venue refuses or complains",
}


def registry(telemetry: Telemetry, now_ns: Any) -> CollectorRegistry:
    """A registry that holds the metrics of `telemetry`."""
    found = CollectorRegistry()
    found.register(Metrics(telemetry, now_ns))
    return found
