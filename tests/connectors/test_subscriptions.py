"""What is said over a connection and when; which books are asked for anew."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from connectors.book_sync import Rule
from connectors.subscriptions import IN_FLIGHT_MAX, Dialogue, Renewals
from tests.connectors.toy_streams import toy, with_live

SERVED = toy(Rule.CONSECUTIVE)
STREAMS = [stream for n in range(3) for stream in SERVED.live.streams(f"S{n}")]


def said(dialogue: Dialogue, until_s: float) -> list[tuple[float, bytes]]:
    """Everything it says until then, to a driver that waits as it is told."""
    found, now_s = [], 0.0
    while now_s <= until_s:
        if (frame := dialogue.take(now_s)) is not None:
            found.append((round(now_s, 6), frame))
        now_s += max(dialogue.wait_s(now_s), 1e-9)
    return found


def test_subscriptions_are_paced_and_pings_follow() -> None:
    dialogue = Dialogue(SERVED.live, STREAMS, "", 0.0)
    assert not dialogue.settled
    found = said(dialogue, 9.9)
    asked = SERVED.live.subscribe(STREAMS)
    assert len(asked) == 3 and dialogue.settled
    ping = b'{"op":"ping"}'
    assert found == [(0.0, asked[0]), (0.1, asked[1]), (0.2, asked[2]), (3.0, ping), (6.0, ping), (9.0, ping)]


def test_a_login_comes_first_and_subscriptions_once_it_is_accepted() -> None:
    keyed = toy(Rule.CONSECUTIVE, keyed=True)
    dialogue = Dialogue(with_live(keyed, ping=None).live, STREAMS, "K", 0.0)
    assert [frame for _, frame in said(dialogue, 50.0)] == [b'{"op": "login", "key": "K"}']
    assert not dialogue.settled and dialogue.wait_s(50.0) == inf
    dialogue.begin()
    dialogue.begin()
    assert len(said(dialogue, 50.0)) == 3 and dialogue.settled


def test_a_stream_is_left_before_it_is_followed_anew() -> None:
    dialogue = Dialogue(with_live(SERVED, ping=None).live, STREAMS[:1], "", 0.0)
    said(dialogue, 1.0)
    dialogue.renew(STREAMS[0])
    assert [frame for _, frame in said(dialogue, 1.0)] == [
        b'{"op": "unsubscribe", "streams": ["book:S0"]}', b'{"op": "subscribe", "streams": ["book:S0"]}',
    ]  # fmt: skip


def test_a_market_followed_by_its_address_says_nothing() -> None:
    dialogue = Dialogue(with_live(SERVED, subscribe=None, ping=None).live, STREAMS, "", 0.0)
    assert dialogue.settled and dialogue.take(0.0) is None and dialogue.wait_s(0.0) == inf


def renewals(random: float = 1.0) -> Renewals:
    return Renewals(lambda: random, (1.0, 60.0), 10.0)


def test_a_book_that_breaks_is_asked_for_at_once_and_again_with_growing_waits() -> None:
    found = renewals()
    times = [now_s for now_s in range(400) if found.due(["A"], float(now_s))]
    # Ten seconds for the answer, and a wait of up to 2, 4, 8 ... 60 s.
    assert times == [0, 12, 26, 44, 70, 112, 182, 252, 322, 392]


def test_with_full_jitter_the_wait_may_be_nothing() -> None:
    found = renewals(0.0)
    assert [now_s for now_s in range(35) if found.due(["A"], float(now_s))] == [0, 10, 20, 30]


def test_a_book_that_breaks_again_soon_waits_and_after_a_minute_does_not() -> None:
    found = renewals()
    assert found.due(["A"], 0.0) == ["A"]
    assert found.due([], 1.0) == []
    assert found.due(["A"], 2.0) == [] and found.due(["A"], 5.9) == [] and found.due(["A"], 6.0) == ["A"]
    found.due([], 7.0)
    assert found.due(["A"], 67.0) == ["A"]


def test_a_subscription_under_way_is_waited_for() -> None:
    found = renewals()
    found.expect(["A"], inf)
    assert found.due(["A"], 1e9) == []
    found.expect(["A"], 1e9)
    assert found.due(["A"], 1e9 + 9.9) == [] and found.due(["A"], 1e9 + 10.0) == ["A"]


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.sets(st.integers(0, 30))), max_size=60), st.floats(0, 1))
def test_only_so_many_are_under_way_and_none_twice(steps: list, random: float) -> None:
    found, now_s, asked = renewals(random), 0.0, {}
    for span_s, waiting in steps:
        now_s += span_s
        symbols = [str(n) for n in sorted(waiting)]
        asked = {symbol: at_s for symbol, at_s in asked.items() if symbol in symbols and now_s < at_s + 10.0}
        for symbol in found.due(symbols, now_s):
            assert symbol in symbols and symbol not in asked
            asked[symbol] = now_s
        assert len(asked) <= IN_FLIGHT_MAX


def test_those_that_wait_longest_are_not_forgotten() -> None:
    found = renewals(0.0)
    symbols = [f"S{n}" for n in range(30)]
    asked: set[str] = set()
    for now_s in range(100):
        asked |= set(found.due(symbols, float(now_s)))
    assert asked == set(symbols)
