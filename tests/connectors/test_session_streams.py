"""Sessions of venues that are followed by frames, in virtual time: whatever happens, the log has the venue's book.

What the log holds is judged by a naive reader of its lines.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from connectors.book_sync import Rule
from connectors.telemetry import State
from connectors.venue import Market
from tests.connectors.toy_streams import KEY_ENV, RULES, toy, with_live
from tests.connectors.virtual import TIMING, Net, Run, run

EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name.lower())
MARKED = pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule != Rule.NONE], ids=lambda rule: rule.name.lower()
)
KEY = "planted-key-0123456789"

Patch = pytest.MonkeyPatch


@EACH
def test_the_log_holds_the_books_of_the_venue(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        await live.until(lambda: live.feed().state == State.LIVE)
        assert live.exchange.heard["subscribe"] == 2 and not live.exchange.heard["unsubscribe"]
        assert live.resets() == ["connector started"]
        times = [at_s for at_s, _ in live.net.sent]
        assert all(later - sooner >= 0.1 - 1e-9 for sooner, later in pairwise(times))
        await live.until(lambda: any(line.origin == b"!clock" for _, line in live.lines))

    run(monkeypatch, toy(rule), work)


@MARKED
def test_a_lost_message_is_noticed_and_the_book_asked_for_anew(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.exchange.books["ETHUSDT"].update()
        await live.until(lambda: live.exchange.heard["unsubscribe"])
        await live.agree()
        assert live.exchange.said[4:] == [("unsubscribe", "book:ETHUSDT"), ("subscribe", "book:ETHUSDT")]
        assert (live.feed("ETHUSDT").gaps, live.feed("ETHUSDT").resyncs) == (1, 1)
        assert live.feed("BTCUSDT").gaps == live.feed("BTCUSDT").resyncs == 0
        # Readers see it for themselves.
        assert live.resets("ETHUSDT") == ["connector started"] and len(live.net.opened) == 1

    run(monkeypatch, toy(rule), work, seed=5)


def test_without_ids_a_crossed_book_tells_and_is_reset(monkeypatch: Patch) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        crossing = {"ch": "book", "sym": "BTCUSDT", "kind": "update", "b": [["2000.0", "1.0"]], "a": []}
        live.net.sockets[0].tell(json.dumps(crossing).encode())
        await live.until(lambda: len(live.resets()) == 2)
        await live.agree()
        assert live.resets() == ["connector started", "crossed book"]
        assert (live.feed().gaps, live.feed().resyncs) == (1, 1)

    run(monkeypatch, toy(Rule.NONE), work)


@pytest.mark.parametrize("rule", [Rule.CHECKSUM, Rule.NONE])
@pytest.mark.parametrize("broken", [b'{"ch":"book","sym":"BTCUSDT","b":[["1', b'{"ch":"book","sym":"BTCUSDT",'
                                    b'"kind":"update","b":[["1000.0","x"]]}'])  # fmt: skip
def test_without_ids_what_cannot_be_read_is_missing(monkeypatch: Patch, rule: Rule, broken: bytes) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.net.sockets[0].tell(broken)
        await live.until(lambda: len(live.resets()) == 2)
        await live.agree()
        assert live.feed().unreadable == 1

    run(monkeypatch, toy(rule), work)


@EACH
def test_a_silent_book_is_void_and_asked_for_over_the_same_connection(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.exchange.mute.add("book:ETHUSDT")
        live.exchange.deaf.add("ETHUSDT")
        await live.until(lambda: live.feed("ETHUSDT").state == State.STALE)
        await live.until(lambda: len(live.resets("ETHUSDT")) == 2)
        assert live.resets("ETHUSDT") == ["connector started", "book:ETHUSDT is silent"]
        assert live.feed("BTCUSDT").state == State.LIVE
        await live.until(lambda: live.exchange.heard["unsubscribe"] == 3, 600.0)
        live.exchange.mute.clear()
        live.exchange.deaf.clear()
        await live.agree(200.0)
        assert len(live.net.opened) == 1 and live.resets() == ["connector started"]

    run(monkeypatch, toy(rule), work)


@EACH
def test_a_disconnect(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.net.sockets[0].cut()
        await live.until(lambda: len(live.net.opened) == 2)
        await live.agree()
        assert live.resets() == ["connector started", "connection closed, code None"]
        assert live.feed().reconnects == 1 and not live.exchange.heard["unsubscribe"]

    run(monkeypatch, toy(rule), work)


@EACH
def test_a_successor_takes_each_book_over_at_its_snapshot(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        (old,) = live.net.sockets
        old.tell(b'{"ch":"bye"}')
        await live.until(lambda: live.net.sockets and old not in live.net.sockets)
        await live.agree()
        assert len(live.net.opened) == 2
        assert live.resets() == ["connector started"]
        assert live.feed().gaps == live.feed().reconnects == live.feed().resyncs == 0
        assert not live.exchange.heard["unsubscribe"]
        for symbol in live.books:
            lines = [
                line for key, line in live.lines if key == symbol.encode() and b'"trade"' in line.payload
            ]
            trades = [json.loads(line.payload)["id"] for line in lines]
            assert trades == list(range(min(trades), max(trades) + 1, 2))

    run(monkeypatch, toy(rule), work)


def test_a_successor_is_given_the_time_that_its_subscriptions_take(monkeypatch: Patch) -> None:
    symbols = tuple(f"COIN{n}USDT" for n in range(80))

    async def work(live: Run) -> None:
        await live.agree()
        (old,) = live.net.sockets
        live.exchange.mute.add("trade:COIN0USDT")
        old.tell(b'{"ch":"bye"}')
        began_s = live.net.now_s
        await live.until(lambda: old not in live.net.sockets and live.net.sockets)
        assert 8.0 + TIMING.overlap_s <= live.net.now_s - began_s < 9.0 + TIMING.overlap_s
        await live.agree()
        assert {reason for symbol in symbols for reason in live.resets(symbol)} == {"connector started"}

    run(monkeypatch, toy(Rule.CHECKSUM), work, symbols=symbols)


@EACH
def test_a_successor_without_snapshot_leaves_a_hole(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        (old,) = live.net.sockets
        live.exchange.deaf.add("ETHUSDT")
        old.tell(b'{"ch":"bye"}')
        await live.until(lambda: old not in live.net.sockets and live.net.sockets)
        await live.until(lambda: len(live.resets("ETHUSDT")) == 2)
        assert live.resets("ETHUSDT") == ["connector started", "connection replaced"]
        live.exchange.deaf.clear()
        await live.agree()
        assert live.resets("BTCUSDT") == ["connector started"]

    run(monkeypatch, toy(rule), work)


@EACH
def test_a_successor_that_dies_takes_its_books_with_it(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        (old,) = live.net.sockets
        live.exchange.mute |= {"trade:BTCUSDT", "trade:ETHUSDT"}  # so that both stay for a while
        old.tell(b'{"ch":"bye"}')
        await live.until(lambda: len(live.net.sockets) == 2 and live.net.sockets[1].wanted)
        await live.agree()
        live.net.sockets[1].cut()
        await live.until(lambda: len(live.resets()) == 2)
        await live.agree()

    run(monkeypatch, toy(rule), work)


def test_a_refused_symbol_is_down_and_the_others_go_on(monkeypatch: Patch) -> None:
    def prepare(net: Net) -> None:
        net.exchange.refused["ETHUSDT"] = "not for you"

    async def work(live: Run) -> None:
        await live.agree()
        await live.until(lambda: live.feed("ETHUSDT").state == State.DOWN)
        assert live.feed("ETHUSDT").reason == "not for you" and live.feed().state == State.LIVE
        assert live.feed("NOPE").reason == "no such symbol" and live.feed("NOPE").state == State.DOWN
        await live.pass_s(300.0)
        assert not live.exchange.heard["unsubscribe"], "it is not asked for again over this connection"
        del live.exchange.refused["ETHUSDT"]
        live.net.sockets[0].cut()
        await live.until(lambda: live.feed("ETHUSDT").state == State.LIVE)
        assert live.feed("NOPE").state == State.DOWN and live.feed("NOPE").complaints == 4
        await live.agree()

    run(monkeypatch, toy(Rule.CHECKSUM), work, prepare=prepare, wanted=("BTCUSDT", "NOPE", "ETHUSDT"))


def test_a_complaint_is_told_and_counted(monkeypatch: Patch) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.exchange.deaf.add("BTCUSDT")
        live.exchange.books["BTCUSDT"].update()
        await live.until(lambda: live.feed().state == State.SYNCING)
        live.net.sockets[0].tell(b'{"ack":"error","error":"not so fast"}')
        await live.until(lambda: live.feed().reason == "not so fast")
        assert live.feed().complaints == 1 and live.feed("ETHUSDT").reason == ""
        live.exchange.deaf.clear()
        await live.agree()

    run(monkeypatch, toy(Rule.CONSECUTIVE), work)


def test_login_comes_before_subscriptions(monkeypatch: Patch) -> None:
    def prepare(net: Net) -> None:
        net.exchange.keys = {KEY}

    async def work(live: Run) -> None:
        await live.agree()
        said = [json.loads(frame)["op"] for _, frame in live.net.sent]
        assert said[:3] == ["login", "subscribe", "subscribe"]

    run(monkeypatch, toy(Rule.CHECKSUM, keyed=True), work, key=KEY, prepare=prepare)


def test_a_login_without_answer_ends_the_connection(monkeypatch: Patch) -> None:
    silent = b'{"op":"ping"}'

    async def work(live: Run) -> None:
        await live.until(lambda: len(live.net.opened) == 3, 200.0)
        await live.until(lambda: live.feed().state == State.DOWN)
        assert live.feed().reason == "no answer to the login"
        assert not live.exchange.heard["subscribe"]

    served = with_live(toy(Rule.CHECKSUM, keyed=True), login=lambda _: silent)
    run(monkeypatch, served, work, key=KEY)


def planted(live: Run, logs: list[object]) -> str:
    """Everything that anyone could see."""
    lines = b"".join(line.payload + line.origin for _, line in live.lines)
    rows = b"".join(record.body for record in live.telemetry.records(1, 1.0))
    return f"{logs}{lines!r}{rows!r}{live.session!r}"


@pytest.mark.parametrize("refusal", ["reply", "handshake", "network"])
def test_a_bad_key_is_tried_every_ten_minutes_and_shown_nowhere(monkeypatch: Patch, refusal: str) -> None:
    def prepare(net: Net) -> None:
        net.status = 403 if refusal == "handshake" else 0
        net.down = refusal == "network"

    async def work(live: Run) -> None:
        begun_s = live.net.now_s
        await live.until(lambda: live.feed().state == State.DOWN)
        if refusal != "network":
            await live.until(lambda: live.net.now_s >= begun_s + 3000.0, 4000.0)
            assert 4 <= len(live.net.opened) <= 6
        assert all(KEY in url for _, url in live.net.opened)
        reasons = {"reply": "no such key: ***", "handshake": "handshake refused with status 403",
                   "network": "ClientConnectionError"}  # fmt: skip
        assert live.feed().state == State.DOWN and live.feed().reason == reasons[refusal]
        live.exchange.keys.add(KEY)
        live.net.status, live.net.down = 0, False
        await live.agree(700.0)

    with capture_logs() as logs:
        live = run(monkeypatch, toy(Rule.CHECKSUM, keyed=True), work, key=KEY, prepare=prepare)
    assert logs and KEY not in planted(live, logs)


def test_without_a_key_nothing_is_tried(monkeypatch: Patch) -> None:
    async def work(live: Run) -> None:
        await live.pass_s(100.0)
        assert not live.net.opened
        assert {live.feed(symbol).reason for symbol in ("BTCUSDT", "ETHUSDT")} == {f"no key: set {KEY_ENV}"}
        assert live.feed().state == State.DOWN

    run(monkeypatch, toy(Rule.CHECKSUM, keyed=True), work)


def test_pings_go_out_in_time(monkeypatch: Patch) -> None:
    async def work(live: Run) -> None:
        await live.pass_s(31.0)
        pings = [at_s for at_s, frame in live.net.sent if frame == b'{"op":"ping"}']
        assert 9 <= len(pings) <= 10
        assert all(later - sooner < 3.2 for sooner, later in pairwise(pings))
        live.net.playing = False
        await live.pass_s(30.0)
        assert len(live.net.opened) == 1, "answers to pings are signs of life"

    run(monkeypatch, toy(Rule.NONE), work)


@EACH
def test_a_venue_that_is_gone_for_an_hour(monkeypatch: Patch, rule: Rule) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.net.down = True
        live.net.sockets[0].cut()
        await live.pass_s(3600.0)
        assert live.feed().state == State.DOWN and live.feed().reason == "ClientConnectionError"
        # With full jitter under a cap of a minute: about one attempt in thirty seconds.
        assert 60 <= len(live.net.opened) <= 240
        live.net.down = False
        await live.agree()
        await live.until(lambda: live.feed().state == State.LIVE)
        assert len(live.resets()) == 2

    run(monkeypatch, toy(rule), work, timing=replace(TIMING, cut_s=2.0))


@EACH
@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_the_clock_of_the_machine_jumps(monkeypatch: Patch, rule: Rule, jump_s: int) -> None:
    async def work(live: Run) -> None:
        await live.agree()
        live.net.clock_ns += jump_s * 10**9
        await live.pass_s(20.0)
        await live.agree()
        await live.until(lambda: live.feed().state == State.LIVE)
        assert live.resets() == ["connector started"] and live.feed().gaps == 0 and len(live.net.opened) == 1

    run(monkeypatch, toy(rule), work)


def test_a_snapshot_without_a_name_is_of_the_only_symbol_of_its_socket(monkeypatch: Patch) -> None:
    def prepare(net: Net) -> None:
        net.exchange.named = False

    async def work(live: Run) -> None:
        await live.until(lambda: all(live.own(symbol) for symbol in live.books))
        assert len(live.net.opened) == 2
        await live.until(
            lambda: (
                {key for key, line in live.lines if b'"snapshot"' in line.payload} == {b"BTCUSDT", b"ETHUSDT"}
            )
        )

    served = toy(Rule.OVERLAP, symbols_a_socket=1)
    run(monkeypatch, served, work, prepare=prepare)


def test_a_market_without_books(monkeypatch: Patch) -> None:
    async def work(live: Run) -> None:
        await live.until(lambda: live.feed().state == State.LIVE)
        await live.pass_s(60.0)
        assert not live.resets() and live.exchange.heard["subscribe"] == 1
        assert live.feed().messages > 500

    run(monkeypatch, toy(Rule.NONE, books=False), work)


def test_instruments_may_come_over_the_socket(monkeypatch: Patch) -> None:
    listed = {"symbol": "BTCUSDT", "instrument": "BTC-USDT", "tick": "0.1", "lot": "0.01"}

    async def work(live: Run) -> None:
        await live.agree()
        strange = {**listed, "symbol": "XYZUSDT"}
        live.net.sockets[0].tell(json.dumps({"ch": "instruments", "listed": [listed, strange]}).encode())
        await live.until(lambda: [key for key, line in live.lines if line.origin == b"!instrument"])
        told = [
            (key, json.loads(line.payload)["tick"])
            for key, line in live.lines
            if line.origin == b"!instrument"
        ]
        assert told == [(b"BTCUSDT", "0.1")]
        live.net.sockets[0].tell(b'{"ch":"instruments","listed":[{}]}')
        await live.until(lambda: live.feed().unreadable)

    run(monkeypatch, toy(Rule.CONSECUTIVE), work)


@EACH
@pytest.mark.parametrize("seed", range(3))
def test_adversity(monkeypatch: Patch, rule: Rule, seed: int) -> None:
    """Losses, disconnects, announced ends and outages in any order: afterwards, the venue's books."""

    async def work(live: Run) -> None:
        random = live.exchange.books["BTCUSDT"].random
        acts: list[Callable[[], object]] = [
            lambda: live.net.sockets and random.choice(live.net.sockets).cut(),
            lambda: live.net.sockets and random.choice(live.net.sockets).tell(b'{"ch":"bye"}'),
            lambda: setattr(live.net, "down", not live.net.down),
            lambda: live.exchange.mute.symmetric_difference_update({"book:ETHUSDT"}),
            lambda: live.net.sockets and random.choice(live.net.sockets).tell(b"{"),
        ]
        if rule != Rule.NONE:
            acts += [live.exchange.books[symbol].update for symbol in live.books]
        for _ in range(40):
            random.choice(acts)()
            await live.pass_s(random.choice([0.02, 0.3, 1.0, 6.0]))
        live.net.down = False
        live.exchange.mute.clear()
        await live.agree(300.0)

    run(monkeypatch, toy(rule), work, seed=seed, timing=replace(TIMING, book_every_s=7.0))


def test_books_lost_together_are_asked_for_in_turn(monkeypatch: Patch) -> None:
    symbols = tuple(f"COIN{n}USDT" for n in range(40))

    async def work(live: Run) -> None:
        await live.agree()
        for book in live.exchange.books.values():
            book.update()
        await live.agree()
        asked = [json.loads(frame) for _, frame in live.net.sent if b'"unsubscribe"' in frame]
        assert len(asked) == 40, "each once"

    served: Market = toy(Rule.CONSECUTIVE)
    run(monkeypatch, served, work, symbols=symbols)
