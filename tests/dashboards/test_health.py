import pytest

from dashboards.board.health import Feed, Venue, age, health, size_text, venues

NOON = 1_723_118_400
S = 1_000_000_000


@pytest.mark.parametrize(
    ("age_s", "gaps", "state", "words"),
    [
        (0.4, 0, "live", "Live, newest message 0.4 s ago. No gaps in the last hour."),
        (-1, 1, "live", "Live, newest message 0.0 s ago. 1 gap in the last hour."),
        (14, 2, "stale", "No message for 14 s (usual 1 s). Book shown is from 12:00:00 UTC."),
        (185, 0, "stale", "No message for 3:05 (usual 1 s). Book shown is from 12:00:00 UTC."),
        (
            9e6,
            3,
            "recorded",
            "Recorded data: the newest is from 08 Aug 2024 12:00:00 UTC. 3 gaps in the last hour.",
        ),
    ],
)
def test_words(age_s, gaps, state, words):
    found = health(NOON, NOON * S, int((NOON + age_s) * S), gaps, None)
    assert (found.state, found.words) == (state, words)


@pytest.mark.parametrize(
    ("feed", "age_s", "state", "words"),
    [
        (Feed("live", "", 0.5, 0), 0.4, "live", "Live, newest message 0.4 s ago. No gaps in the last hour."),
        (Feed("live", "", 0.5, 0), 400, "stale", "No message for 6:40 (usual 1 s). Book shown is from 12:00:00 UTC."),
        (Feed("down", "closed", 1, 2), 9, "stale", "Feed down: closed. Book shown is from 12:00:00 UTC."),
        (Feed("syncing", "", 1, 2), 1, "stale", "Feed syncing. Book shown is from 12:00:00 UTC."),
        (
            Feed("live", "", 75, 0), 75, "stale",
            "The connector has not reported for 1:15. Book shown is from 12:00:00 UTC.",
        ),
    ],
)  # fmt: skip
def test_what_the_connector_tells_goes_first(feed, age_s, state, words):
    found = health(NOON, NOON * S, int((NOON + age_s) * S), 0, feed)
    assert (found.state, found.words) == (state, words)


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        ([], "recorded", "No connector"),
        ([Venue("kraken", 3, 3, "")], "live", "1 venue live"),
        ([Venue("bybit_spot", 2, 2, ""), Venue("kraken", 3, 3, "")], "live", "2 venues live"),
        (
            [Venue("bybit_spot", 3, 2, "no trades"), Venue("gemini", 1, 1, ""), Venue("kraken", 3, 0, "closed")],
            "stale", "kraken down: closed. bybit_spot 2 of 3 live: no trades. 1 venue live",
        ),
        (
            [Venue(name, 1, 0, "closed") for name in ("a", "b", "c")],
            "stale", "a down: closed. b down: closed. 1 more. 0 venues live",
        ),
    ],
)  # fmt: skip
def test_the_venues_that_are_down_are_named(found, state, words):
    told = venues(found)
    assert (told.state, told.words) == (state, words)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0.014, "0.014"),
        (9.4, "9.40"),
        (15.44, "15.4"),
        (503.7, "504"),
        (999.7, "1.0k"),
        (1.8e9, "1.8B"),
        (2e12, "2.0T"),
    ],
)
def test_sizes(size, text):
    assert size_text(size) == text


def test_ages():
    assert [age(0.44), age(14.2), age(185)] == ["0.4 s", "14 s", "3:05"]
