"""Feeds with a key against everything that their simulated halves do wrong."""

import msgspec
import pytest

from connectors.feed import Chosen, Feed, Outcome, Poll, Row, feed
from connectors.simulator.api import ApiFault
from connectors.venue import ParseError, Request
from tests.connectors.feeds.asking import Asking

NAMES = (
    "alpha_vantage", "finviz", "nasdaq_data_link", "twelve_data_rest", "massive_crypto_rest", "massive_forex_rest",
    "finnhub_rest",
)  # fmt: skip
EACH = pytest.mark.parametrize("name", NAMES)
NULLABLE = {
    "alpha_vantage": ("bid", "ask", "volume", "sentiment"),
    "finviz": ("market_cap_usd", "price_earnings"),
    "nasdaq_data_link": (),
    "twelve_data_rest": ("volume",),
    "massive_crypto_rest": ("quote_volume", "trades"),
    "massive_forex_rest": ("volume", "quote_volume", "trades"),
    "finnhub_rest": ("volume",),
}
OUTCOMES: dict[ApiFault, Outcome] = {
    "bad_key": Outcome.STOPPED,
    "plan_expired": Outcome.REFUSED,
    "limited": Outcome.WAIT,
    "gone": Outcome.STOPPED,
    "server_error": Outcome.AGAIN,
    "html": Outcome.AGAIN,
    "empty": Outcome.AGAIN,
}


def polls_of(name: str) -> tuple[Feed, list[Poll]]:
    found = feed(name)
    symbols = ("SIM/TABLE",) if name == "nasdaq_data_link" else ()
    return found, found.polls(Chosen(found.plan("", has_key=True), symbols))


def told(rows: list[Row]) -> list[dict[str, object]]:
    """What rows say, but for their times."""
    times = ("_ns", "row", "values", "url")
    found = [msgspec.structs.asdict(row) for row in rows if getattr(row, "closed", True)]
    return [{x: y for x, y in row.items() if not x.endswith(times)} for row in found]


@EACH
@pytest.mark.parametrize("fault", OUTCOMES)
def test_failures_are_told_apart(name: str, fault: ApiFault) -> None:
    found, polls = polls_of(name)
    asking = Asking(found)
    asking.desk.fault(fault)
    request = polls[0].asked(asking.now_ns)
    verdict = asking.verdict(request)
    login = name == "finviz" and fault == "plan_expired"  # Elite that has ended meets the login page too
    assert verdict.outcome is (Outcome.STOPPED if login else OUTCOMES[fault])
    assert verdict.reason
    asking.world.now_ms += 60_000
    assert asking.verdict(request).outcome is Outcome.GOOD, "the fault is over"


@EACH
def test_an_unknown_key_stops_the_feed(name: str) -> None:
    found, polls = polls_of(name)
    asking = Asking(found)
    verdict = asking.verdict(polls[0].asked(asking.now_ns), key="0f0f-not-a-key")
    assert verdict.outcome is Outcome.STOPPED
    assert "0f0f-not-a-key" not in verdict.reason


@EACH
def test_nulls_are_not_told_and_not_zero(name: str) -> None:
    found, polls = polls_of(name)
    for poll in polls:
        asking = Asking(found)
        asking.desk.fault("nulls")
        rows = asking.rows(poll.asked(asking.now_ns))
        assert rows
        names = ("change_pct",) if poll.name == "movers" else NULLABLE[name]
        values = [getattr(row, x) for row in rows for x in names if hasattr(row, x)]
        assert values or name == "nasdaq_data_link"
        assert all(x is None for x in values)
        assert name != "nasdaq_data_link" or all('"activity":null' in row.values for row in rows)  # type: ignore[union-attr]


@EACH
def test_a_renamed_field_is_named_in_the_error(name: str) -> None:
    found, polls = polls_of(name)
    for poll in polls:
        asking = Asking(found)
        asking.desk.fault("renamed_column")
        request = poll.asked(asking.now_ns)
        answer = asking.answer(request)
        with pytest.raises(ParseError, match=r"expected|missing"):
            found.parse(request.path, answer.body, asking.now_ns)


@EACH
def test_old_data_is_the_same_at_new_times(name: str) -> None:
    found, polls = polls_of(name)
    for poll in polls:
        asking = Asking(found)
        before = asking.rows(poll.asked(asking.now_ns))
        asking.desk.fault("old_data", for_s=200_000)
        asking.world.now_ms += 86_400_000
        after = asking.rows(poll.asked(asking.now_ns))
        assert told(after) == told(before)
        times = [x for row in before for x in times_of(row)], [x for row in after for x in times_of(row)]
        assert all(later > earlier for earlier, later in zip(*times, strict=True))


def times_of(row: Row) -> list[int]:
    return [y for x, y in msgspec.structs.asdict(row).items() if x.endswith("_ns")]


@EACH
def test_values_that_never_change_are_called_old_after_a_rest_of_the_market(name: str) -> None:
    _, polls = polls_of(name)
    for poll in polls:
        if name == "nasdaq_data_link":
            assert poll.old_s is None, "a table may stay as it is"
        else:
            assert poll.old_s is not None and poll.every_s < poll.old_s < 15 * 86_400 + 2 * poll.every_s
            assert (
                poll.old_s > 72 * 3600
                or "BTC" in poll.name
                or name in ("finnhub_rest", "massive_crypto_rest")
            )


@EACH
def test_pages_that_repeat_come_to_an_end(name: str) -> None:
    found, polls = polls_of(name)
    asking = Asking(found)
    asking.desk.fault("repeated_page", for_s=3600)
    history = found.history
    if history is not None:
        now_ns = asking.now_ns
        # More than any page holds.
        request = history.bars(found.symbols[0], 60, now_ns - 12_000 * 60 * 10**9, now_ns)
        request = Request(request.path.replace("limit=50000", "limit=5000"), 1)
    else:
        request = polls[0].asked(asking.now_ns)
    assert len(asking.pages(request, most=3)) <= 3


@EACH
def test_a_day_of_polling_keeps_to_the_windows_of_the_vendor(name: str) -> None:
    found, polls = polls_of(name)
    asking = Asking(found)
    began_ms = asking.world.now_ms
    due = {poll.name: began_ms + at * 15_000 for at, poll in enumerate(polls)}
    by_name = {poll.name: poll for poll in polls}
    while min(due.values()) < began_ms + 86_400_000:
        poll = by_name[min(due, key=lambda x: due[x])]
        asking.world.now_ms = max(due[poll.name], asking.world.now_ms)
        due[poll.name] += round(poll.every_s * 1000)
        assert asking.verdict(poll.asked(asking.now_ns)).outcome is Outcome.GOOD
    counters = asking.desk.counters()
    assert counters["refused"] == 0 and counters["requests"] > 0
    assert all(x["used_max"] <= x["limit"] for x in counters["windows"])
