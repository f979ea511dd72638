"""Faults and budgets: what strikes, what it counts, and that it heals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulator.budget import REFUSALS_BEFORE_BAN, Budget, MessageRate
from connectors.simulator.faults import CHANCES, FRAME_FAULTS, Command, Faults, Options
from connectors.simulator.half import Stream

SPOT = "binance_spot"
DEPTH = Stream("btcusdt@depth@100ms", "BTCUSDT", book=True, path="/stream")
ETH_DEPTH = Stream("ethusdt@depth@100ms", "ETHUSDT", book=True, path="/stream")
TRADE = Stream("btcusdt@aggTrade", "BTCUSDT", book=False, path="/stream")
FRAME = b'{"stream":"btcusdt@depth@100ms","data":{"U":1}}'


def sent(faults: Faults, count: int, stream: Stream = DEPTH) -> list[bytes]:
    return [x for i in range(count) for x in faults.frames(SPOT, stream, b'{"n":%d}' % i, 0.0)]


def test_without_faults_every_frame_passes() -> None:
    faults = Faults(Options())
    assert sent(faults, 3) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert not faults.refuses(SPOT, 0.0) and faults.status(SPOT, 0.0) == 200
    assert not faults.stale(SPOT, "BTCUSDT", 0.0) and faults.skew_ms(SPOT, 0.0) == 0
    assert list(faults.second(SPOT, ["BTCUSDT"], 0.0)) == []
    assert not faults.counts


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("gap", [b'{"n":1}', b'{"n":2}']),
        ("duplicate", [b'{"n":0}', b'{"n":0}', b'{"n":1}', b'{"n":2}']),
        ("reorder", [b'{"n":1}', b'{"n":0}', b'{"n":2}']),
        ("malformed", [b'{"n"0}', b'{"n":1}', b'{"n":2}']),
        ("truncated", [b'{"n', b'{"n":1}', b'{"n":2}']),
    ],
)
def test_a_frame_fault_on_command_strikes_once_and_heals(kind: str, expected: list[bytes]) -> None:
    faults = Faults(Options())
    faults.command(Command(kind=kind, symbol="BTCUSDT"), 0.0)
    assert sent(faults, 1, TRADE) == [b'{"n":0}'], "a command without a stream hits depth"
    assert sent(faults, 3) == expected
    assert faults.counts == {kind: 1}


def test_a_command_hits_what_it_names_for_as_long_as_it_says() -> None:
    faults = Faults(Options())
    faults.command(Command(kind="gap", market=SPOT, symbol="ETHUSDT", for_s=5.0), 10.0)
    faults.command(Command(kind="silence", market=SPOT, stream=TRADE.name, for_s=3.0), 10.0)
    assert faults.frames(SPOT, TRADE, FRAME, 12.9) == []
    assert faults.frames(SPOT, TRADE, FRAME, 13.0) == [FRAME]
    assert faults.frames(SPOT, ETH_DEPTH, FRAME, 14.9) == []
    assert faults.frames("binance_futures", ETH_DEPTH, FRAME, 14.9) == [FRAME]
    assert faults.frames(SPOT, ETH_DEPTH, FRAME, 15.0) == [FRAME]


def test_requests_outage_and_skew() -> None:
    faults = Faults(Options())
    for command in (
        Command(kind="429", market=SPOT, count=2),
        Command(kind="418"),
        Command(kind="stale_snapshot", symbol="BTCUSDT"),
        Command(kind="outage", market=SPOT, for_s=2.0),
        Command(kind="skew", for_s=2.0, skew_ms=-500),
    ):
        faults.command(command, 0.0)
    assert [faults.status(SPOT, 0.0) for _ in range(4)] == [418, 429, 429, 200]
    assert not faults.stale(SPOT, "ETHUSDT", 0.0)
    assert [faults.stale(SPOT, "BTCUSDT", 0.0) for _ in range(2)] == [True, False]
    assert faults.refuses(SPOT, 1.9) and not faults.refuses("binance_futures", 1.9)
    assert faults.skew_ms(SPOT, 1.9) == -500
    assert not faults.refuses(SPOT, 2.0) and faults.skew_ms(SPOT, 2.0) == 0


def test_heal_ends_commands_and_chances() -> None:
    faults = Faults(Options(gap=1.0, disconnect=1.0, too_many=1.0))
    faults.command(Command(kind="outage", for_s=100.0), 0.0)
    assert sent(faults, 2) == [] and faults.status(SPOT, 0.0) == 429
    faults.command(Command(kind="heal"), 0.0)
    assert len(sent(faults, 2)) == 2 and faults.status(SPOT, 0.0) == 200
    assert not faults.refuses(SPOT, 0.0) and list(faults.second(SPOT, ["BTCUSDT"], 0.0)) == []


def test_chances_strike_about_as_often_as_set_and_the_same_again() -> None:
    counts = []
    for _ in range(2):
        faults = Faults(Options(seed=5, **dict.fromkeys(FRAME_FAULTS, 0.05), disconnect=0.1, crossed=0.1))
        sent(faults, 4000)
        acts = [x.kind for _ in range(1000) for x in faults.second(SPOT, ["BTCUSDT"], 0.0)]
        counts.append((dict(faults.counts), acts))
        assert all(150 < faults.counts[kind] < 260 for kind in FRAME_FAULTS)
        assert 60 < acts.count("disconnect") < 150 and 60 < acts.count("crossed") < 150
    assert counts[0] == counts[1]


def test_silence_and_outage_by_chance() -> None:
    faults = Faults(Options(silence=1.0, outage=1.0, silence_s=4.0, outage_s=3.0))
    assert [x.kind for x in faults.second(SPOT, ["BTCUSDT"], 0.0)] == ["disconnect"]
    assert faults.refuses(SPOT, 2.9) and not faults.refuses(SPOT, 3.0)
    assert faults.frames(SPOT, DEPTH, FRAME, 3.9) == [] and faults.frames(SPOT, DEPTH, FRAME, 4.0) == [FRAME]


@given(st.lists(st.sampled_from(["gap", "duplicate", "reorder", "none"]), max_size=30))
def test_frames_are_lost_by_gaps_alone(kinds: list[str]) -> None:
    faults = Faults(Options())
    out = []
    for i, kind in enumerate(kinds):
        if kind != "none":
            faults.command(Command(kind=kind), 0.0)
        out += faults.frames(SPOT, DEPTH, b"%d" % i, 0.0)
    out += faults.frames(SPOT, DEPTH, b"end", 0.0)
    kept = {b"%d" % i for i, kind in enumerate(kinds) if kind != "gap"}
    assert set(out) == kept | {b"end"}
    assert len(out) == len(kept) + 1 + kinds.count("duplicate")


@pytest.mark.parametrize("kind", ["silence", "outage", "skew"])
def test_a_spell_needs_its_length(kind: str) -> None:
    with pytest.raises(ValueError, match="expected for_s"):
        Faults(Options()).command(Command(kind=kind), 0.0)


@pytest.mark.parametrize("name", CHANCES)
def test_a_chance_is_a_probability(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected {name} to be a probability"):
        Options(**{name: 1.5})


def test_weights_end_in_429_then_418_then_heal() -> None:
    budget = Budget(limit=100, ban_s=90.0)
    assert [budget.charge(50, 600.0).status for _ in range(2)] == [200, 200]
    refused = [budget.charge(50, 615.0) for _ in range(REFUSALS_BEFORE_BAN + 1)]
    assert [x.status for x in refused] == [429] * REFUSALS_BEFORE_BAN + [418]
    assert refused[0].retry_after_s == 45 and refused[-1].retry_after_s == 90
    assert budget.charge(1, 665.0)[:2] == (418, 40)
    assert budget.charge(1, 705.0) == (200, 0, 1)
    assert (budget.bans, budget.requests_while_banned, budget.used_max) == (1, 1, 400)


def test_a_new_minute_has_a_new_budget() -> None:
    budget = Budget(limit=100)
    assert budget.charge(100, 659.9).status == 200
    assert budget.charge(1, 659.95).status == 429
    assert budget.charge(100, 660.0) == (200, 0, 100)


def test_message_rate() -> None:
    rate = MessageRate(5)
    assert [rate.exceeded(t / 10) for t in range(6)] == [False] * 5 + [True]
    rate = MessageRate(5)
    assert not any(rate.exceeded(t / 4) for t in range(50))
