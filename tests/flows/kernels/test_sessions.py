"""Days and sessions: the vectors of the definitions, and what must hold at every time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.kernels import sessions as s

HOUR_NS = 3600 * 10**9
TIMES = st.integers(0, 4_000_000_000).map(lambda x: x * 10**9)


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 10**9


def _text(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / 10**9, UTC):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    "session, date, opens",
    [
        ("new_york", "2024-01-15", "13:00"),
        ("new_york", "2024-07-15", "12:00"),
        ("new_york", "2024-03-11", "12:00"),  # New York has changed its clocks, London has not
        ("london", "2024-03-11", "08:00"),
        ("london", "2024-04-02", "07:00"),
        ("tokyo", "2024-07-15", "00:00"),
    ],
)
def test_sessions_open_by_the_clock_of_their_centre(session, date, opens):
    open_ns = _ns(f"{date}T{opens}")
    assert s.session_at(session, open_ns) == (open_ns, open_ns + 9 * HOUR_NS)
    assert s.session_at(session, open_ns - 1) is None
    assert s.session_at(session, open_ns + 9 * HOUR_NS - 1) == (open_ns, open_ns + 9 * HOUR_NS)
    assert s.session_at(session, open_ns + 9 * HOUR_NS) is None


def test_a_session_may_begin_on_the_day_before_in_utc():
    found = s.session_at("sydney", _ns("2024-01-14T23:00"))
    assert found is not None and list(map(_text, found)) == ["2024-01-14T20:00", "2024-01-15T05:00"]


def test_a_kill_zone_may_end_at_midnight():
    found = s.session_at("kill_asian", _ns("2024-01-16T04:59"))
    assert found is not None and list(map(_text, found)) == ["2024-01-16T01:00", "2024-01-16T05:00"]
    assert s.session_at("kill_asian", _ns("2024-01-16T05:00")) is None


def test_an_unknown_session_is_an_error():
    with pytest.raises(KeyError):
        s.session_at("paris", 0)


@pytest.mark.parametrize(
    "asset_class, time, day, week",
    [
        ("crypto", "2024-07-17T23:59", ("2024-07-17T00:00", 24), ("2024-07-15T00:00", 168)),
        ("crypto", "2024-07-15T00:00", ("2024-07-15T00:00", 24), ("2024-07-15T00:00", 168)),
        ("forex", "2024-07-15T20:59", ("2024-07-14T21:00", 24), ("2024-07-14T21:00", 168)),
        ("forex", "2024-07-15T21:00", ("2024-07-15T21:00", 24), ("2024-07-14T21:00", 168)),
        ("forex", "2024-07-14T20:59", ("2024-07-13T21:00", 24), ("2024-07-07T21:00", 168)),
        # Clocks go forward on 10 March and back on 3 November 2024, at 02:00 in New York.
        ("forex", "2024-03-10T12:00", ("2024-03-09T22:00", 23), ("2024-03-03T22:00", 167)),
        ("forex", "2024-11-03T12:00", ("2024-11-02T21:00", 25), ("2024-10-27T21:00", 169)),
    ],
)
def test_days_and_weeks_begin_as_their_asset_class_does(asset_class, time, day, week):
    for found, (opens, hours) in ((s.day_at, day), (s.week_at, week)):
        open_ns, close_ns = found(asset_class, _ns(time))
        assert (_text(open_ns), (close_ns - open_ns) / HOUR_NS) == (opens, hours)
    assert _text(s.day_open_ns(asset_class, _ns(time))) == day[0]


def test_previous_days_of_the_vector():
    """TV-13: the day before is the newest one that is over and not empty."""
    highs = {"2024-07-01T01:00": 5, "2024-07-01T02:00": 7, "2024-07-02T00:00": 6, "2024-07-02T01:00": 6,
             "2024-07-02T02:00": 8, "2024-07-02T03:00": 9, "2024-07-04T00:00": 10}  # fmt: skip
    days: dict[int, int] = {}
    before, broken = [], []
    for time, high in highs.items():
        open_ns = s.day_open_ns("crypto", _ns(time))
        days[open_ns] = max(days.get(open_ns, 0), high)
        previous = [high for day, high in sorted(days.items()) if day < open_ns]
        before.append(previous[-1] if previous else None)
        broken.append(bool(previous) and days[open_ns] > previous[-1])
    assert before == [None, None, 7, 7, 7, 7, 9]
    assert broken == [False, False, False, False, True, True, True]


@given(TIMES, st.sampled_from([s.CRYPTO, s.FOREX]))
def test_every_time_is_in_one_day_and_week_and_they_follow_without_a_gap(time_ns, asset_class):
    for found in (s.day_at, s.week_at):
        span = found(asset_class, time_ns)
        assert span.open_ns <= time_ns < span.close_ns
        assert found(asset_class, span.open_ns) == span == found(asset_class, span.close_ns - 1)
        assert found(asset_class, span.close_ns).open_ns == span.close_ns
        assert found(asset_class, span.open_ns - 1).close_ns == span.open_ns


@given(TIMES, st.sampled_from(sorted(s.SESSIONS)))
def test_whether_a_time_is_in_a_session_is_what_the_clock_of_its_centre_says(time_ns, name):
    hours = s.SESSIONS[name]
    local = datetime.fromtimestamp(time_ns // 10**9, ZoneInfo(hours.zone)).time()
    found = s.session_at(name, time_ns)
    assert (found is not None) == (hours.opens <= local < hours.closes)
    assert found is None or found.open_ns <= time_ns < found.close_ns


@given(TIMES, st.sampled_from([s.CRYPTO, s.FOREX]))
def test_spans_are_told_by_name(time_ns, asset_class):
    assert s.span_at(asset_class, s.DAY, time_ns) == s.day_at(asset_class, time_ns)
    assert s.span_at(asset_class, s.WEEK, time_ns) == s.week_at(asset_class, time_ns)
    for name in s.spans_of(asset_class)[1:]:
        assert s.span_at(asset_class, name, time_ns) == s.session_at(name, time_ns)


@pytest.mark.parametrize(
    "instrument, expected",
    [
        ("BTC-USDT-PERP", "crypto"), ("BTC-USD", "crypto"), ("ETH-BTC", "crypto"), ("USDT-USD", "crypto"),
        ("PAXG-USD", "crypto"), ("EUR-USD", "forex"), ("USD-JPY", "forex"), ("XAU-USD", "forex"),
        ("EUR-USD-PERP", "forex"), ("EUR-USDT", "crypto"), ("AAPL", "crypto"), ("", "crypto"),
    ],
)  # fmt: skip
def test_the_asset_class_is_read_from_the_name(instrument, expected):
    assert s.asset_class(instrument) == expected
