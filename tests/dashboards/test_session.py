"""A viewer's page over the real store: what arrives on it, and what does not change."""

import numpy as np
import pytest
from bokeh.document import Document

from dashboards.board import look
from dashboards.board.app import open_page
from dashboards.board.columns import TILE_COLUMNS
from dashboards.board.queries import Book
from dashboards.board.reader import FRESH_S, Reader
from dashboards.board.session import Session
from sql.client import Store, StoreError, connect
from tests.dashboards import market, tape
from tests.dashboards.market import HOLE, NAMES, START, TIMES

I = {"i": " ".join(NAMES)}  # noqa: E741
UNKNOWN = 255


class Clock:
    """Every question is a second after the one before."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def session(board: Store) -> Session:
    return Session(Reader(board, Clock()), I)


def whole_image(session: Session) -> tuple[int, np.ndarray]:
    """Start (s) and the tiles side by side."""
    page = session.page
    tiles = [*page.tiles.data["image"], *page.live.data["image"]]
    return int([*page.tiles.data["x"], *page.live.data["x"]][0] // 1000), np.concatenate(tiles, axis=1)


def test_opens_at_the_newest_data(session: Session) -> None:
    page = session.page
    assert page.now_line.location == (TIMES[-1] + 1) * 1000
    assert page.x_range.start < HOLE[0] * 1000 < (TIMES[-1] + 1) * 1000 < page.x_range.end
    assert page.y_range.start < market.best_bid(TIMES[-1]) < page.y_range.end


def test_a_gap_is_a_hole_and_breaks_the_line(session: Session) -> None:
    start, image = whole_image(session)
    for second in range(START, START + market.SECONDS):
        cells = image[:, second - start]
        assert (cells == UNKNOWN).all() == (second in HOLE)
    assert (image[:, START + market.SECONDS - start :] == 0).all()  # the future is not missing
    gaps = session.page.gaps.data
    assert (gaps["left"], gaps["right"]) == ([HOLE[0] * 1000], [(HOLE[-1] + 1) * 1000])
    assert gaps["label"] == ["gap 7.0 s"]
    path = session.page.path.data
    broken = path["x"][np.isnan(path["mid"])]
    assert broken.tolist() == [HOLE[0] * 1000]


def test_rows_hold_what_rests_there(session: Session) -> None:
    start, image = whole_image(session)
    second = TIMES[5]
    bid, ask = market.sizes(second)
    two = (bid + ask).reshape(-1, 2).sum(axis=1)
    first_row = market.BASE // 2 - round(session.page.live.data["y"][0] / (2 * market.STEP))
    column = image[first_row : first_row + len(two), second - start]
    expected = session._picture.scale.index(two)
    np.testing.assert_array_equal(column, expected)


def test_grouping_changes_the_rows(session: Session) -> None:
    before = whole_image(session)[1].shape
    session.page.rows.active = 3
    after = whole_image(session)[1].shape
    assert after[1] == before[1]
    assert after[0] < before[0]


def test_state_of_the_url(board: Store) -> None:
    state = I | {"row": "10", "col": "10 s", "lo": "2", "hi": "9", "tz": "UTC"}
    session = Session(Reader(board, Clock()), state)
    assert (session.page.rows.active, session.page.steps.active, session.page.zone.active) == (3, 1, 1)
    ends = [
        session._picture.scale.size(end) for end in (session.page.handles.start, session.page.handles.end)
    ]
    assert ends == pytest.approx([2, 9])


@pytest.mark.parametrize("bad", [{"lo": "x"}, {"lo": "-1"}, {"hi": "nan"}, {"i": "nobody"}, {"row": "3"}])
def test_nonsense_in_the_url_is_ignored(board: Store, bad: dict[str, str]) -> None:
    session = Session(Reader(board, Clock()), bad)
    assert session.page.handles.start < session.page.handles.end


def test_new_columns_are_patched_not_redrawn(board: Store, writer: Store) -> None:
    names = ("LIVE-USDT", "binance_spot")
    times = list(range(START, START + 70))  # crosses from a tile to the next
    market.write_depth(writer, "depth_1s", times[:5], names)
    session = Session(Reader(board, Clock()), {"i": " ".join(names)})
    frozen = session.page.tiles.data
    for until in (20, 21, 60, 70):
        market.write_depth(writer, "depth_1s", times[:until], names)
        session.ask(0)
        session.show(0)
    fresh = Session(Reader(board, Clock()), {"i": " ".join(names)})
    assert session.page.tiles.data is frozen  # streamed to, never replaced
    for one, other in zip(whole_image(session), whole_image(fresh), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(session.page.path.data["x"], fresh.page.path.data["x"])
    assert session.page.x_range.end > times[-1] * 1000
    assert times[-1] // TILE_COLUMNS != START // TILE_COLUMNS


def test_a_lost_store_is_told_and_the_picture_stays(board: Store) -> None:
    reader = Reader(board, Clock())
    session = Session(reader, I)
    before = whole_image(session)[1]
    reader._store = connect("http://127.0.0.1:1", "board", "", retry_s=0)
    session.ask(5 * 10**9)
    session.show(5 * 10**9)
    assert session.page.status.data["lost"][0].startswith("Store does not answer since")
    np.testing.assert_array_equal(whole_image(session)[1], before)
    reader._store = board
    reader._away_until = 0
    session.ask(6 * 10**9)
    session.show(6 * 10**9)
    assert session.page.status.data["lost"] == [""]


def test_every_viewer_has_models_of_their_own(board: Store) -> None:
    reader = Reader(board, Clock())
    documents = [Document(), Document()]
    for document in documents:
        open_page(document, reader)
    assert [len(document.roots) for document in documents] == [17, 17]
    assert all(document.validate() is None for document in documents)


def test_words_of_a_recording(session: Session) -> None:
    session.ask(START * 10**9)
    session.show((START + 10**6) * 10**9)
    data = session.page.status.data
    assert data["state"] == ["recorded"]
    assert data["words"][0].endswith("1 gap in the last hour.")
    assert data["imbalance"] == ["\N{MINUS SIGN}0.25"]


def test_all_sessions_share_one_answer() -> None:
    class Counting:
        asked = 0

        def query(self, *_: object) -> list[tuple[object, ...]]:
            self.asked += 1
            if self.asked == 3:
                raise StoreError("away")
            return [(START, 1)]

    times = iter(
        [
            0,
            0,
            FRESH_S / 2,
            FRESH_S,
            FRESH_S,
            2 * FRESH_S,
            2 * FRESH_S,
            2 * FRESH_S,
            2.5 * FRESH_S,
            2.5 * FRESH_S,
        ]
    )
    store, book = Counting(), Book("a", "b", 0, 0.1)
    reader = Reader(store, lambda: next(times))  # type: ignore[arg-type]
    assert reader.newest(book) == reader.newest(book) == (START, 1)
    assert store.asked == 1
    reader.newest(book)
    assert store.asked == 2
    with pytest.raises(StoreError):
        reader.newest(book)
    with pytest.raises(StoreError):  # not asked again at once
        reader.newest(book)
    assert store.asked == 3


def test_the_tape_is_on_the_page(session: Session) -> None:
    session.ask(START * 10**9)
    session.show(START * 10**9)
    page = session.page
    flow = page.flow.flow.data
    total = sum(one.lots for one in tape.PRINTS) / 10**tape.DECIMALS
    shown = [one for one in tape.PRINTS if one.time_ns >= TIMES[0] * tape.S]
    assert np.nansum(flow["buy"] - flow["sell"]) == pytest.approx(sum(one.lots for one in shown) / 10)
    delta = sum(one.lots if one.buy else -one.lots for one in tape.PRINTS) / 10
    assert flow["cvd"][-1] == pytest.approx(delta)  # with what traded before the page begins
    broken = flow["right"][np.isnan(flow["cvd"])]
    assert all(HOLE[0] * 1000 <= at <= (HOLE[-1] + 1) * 1000 for at in broken) and len(broken)
    status = {name: value[0] for name, value in page.status.data.items()}
    assert (status["funding"], status["interest"]) == ("+0.0200 %", "950 BTC")
    assert status["liquidated"] == "L 1.50  S 0.500"
    assert status["walls"] == [["3,240.0", "ask", "12.5", "+7.9", "1:30"]]
    assert status["volume"] == f"{total / 1000:.1f}k"
    assert page.profile.lines.data["label"][-1] == "naked POC 07 Aug"
    assert page.overlays.levels.data["label"] == ["R 3,245.0 · 72", "S 3,220.5 · 40"]
    assert "naked poc 3,245.5 binance_futures +10" in page.overlays.levels.data["tip"][0]
    assert list(page.overlays.forced.data["colour"]) == [look.SELL, look.BUY]
    assert len(page.overlays.events.data["x"]) == 3


def test_the_profile_shares_rows_with_the_heatmap(session: Session) -> None:
    session.page.rows.active = 2
    rows = session.page.profile.rows.data
    height = session._picture.grid.row_height
    assert np.allclose((np.array(rows["y"]) / height) % 1, 0.5)
    assert height == market.STEP * 4
    session.page.rows.active = 1


def test_kinds_of_profile(session: Session) -> None:
    whole = session.page.profile.rows.data["y"]
    session.page.profile.kind.active = 2
    session.page.x_range.update(start=(START + 100) * 1000, end=(START + 120) * 1000)
    session.ask(0)
    session.show(0)
    assert session._tape.profile is not None
    inside = [one for one in tape.PRINTS if START + 100 <= one.time_ns // tape.S < START + 120]
    assert session._tape.profile.volume.sum() == sum(one.lots for one in inside)
    assert len(session.page.profile.rows.data["y"]) <= len(whole)


def test_footprints_come_close_enough_to_be_read_and_go(session: Session) -> None:
    page = session.page
    assert not page.footprint.cells.data["y"]
    session._toggle_footprints()
    assert (page.x_range.end - page.x_range.start) / 1000 == 80
    opens = {round(left / 10_000) * 10 for left in page.footprint.footers.data["left"]}
    assert TIMES[-1] - 9 in opens
    assert all(opened % 10 == 0 for opened in opens)
    assert page.images[0].glyph.global_alpha == 0.8
    session._toggle_footprints()
    assert not page.footprint.cells.data["y"]
    assert page.images[0].glyph.global_alpha == 1.0


def test_layers_of_the_url(board: Store) -> None:
    session = Session(Reader(board, Clock()), I | {"layers": "Trades", "profile": "4 h", "sums": "OI"})
    page = session.page
    assert page.layers.active == [1]
    assert not page.images[0].visible
    assert [next(part.visible for part in parts) for parts in page.overlays.shown_by_layer] == [True, False]
    assert (page.profile.kind.active, page.flow.series.active) == (1, 2)
    session.ask(0)
    session.show(0)
    assert page.status.data["sums_words"] == ["Open interest: 950 BTC"]


def test_no_tape_is_told(board: Store, writer: Store) -> None:
    names = ("QUIET-USDT", "binance_spot")
    market.write_depth(writer, "depth_1s", TIMES[:30], names)
    session = Session(Reader(board, Clock()), {"i": " ".join(names)})
    session.ask(0)
    session.show(0)
    status = {name: value[0] for name, value in session.page.status.data.items()}
    assert {status[name] for name in ("change", "funding", "interest", "liquidated")} == {"no data"}
    assert status["sums_words"] == "No trades yet"
    assert status["poc"] == "\N{EN DASH}"
    assert not len(session.page.profile.rows.data["y"])


def test_a_second_without_news_sends_little(session: Session) -> None:
    document = Document()
    for model in session.page.roots().values():
        document.add_root(model)
    session.ask(0)
    session.show(0)
    sent: list[object] = []
    document.on_change(sent.append)
    session.ask(10**9)
    session.show(10**9)
    # The words and the book as it is now, which are always sent whole; nothing of the tape.
    assert len(sent) <= 4


def test_an_instrument_without_a_book_shows_its_prices(board: Store, writer: Store) -> None:
    times = [TIMES[0] + after for after in (0, 20, 21, 100, 600)]
    nan = float("nan")
    writer.insert("prices", {
        "instrument": ["EUR-USD"] * 5, "venue": ["twelve_data"] * 5, "time_ns": np.array(times) * 10**9,
        "price": np.array([1.0570, 1.0571, 1.0572, 1.0571, 1.0573]), "bid": np.array([nan] * 4 + [1.0572]),
        "ask": np.array([nan] * 4 + [1.0574]), "received_ns": np.array(times) * 10**9,
        "version": np.ones(5, np.uint64),
    })  # fmt: skip
    session = Session(Reader(board, Clock()), {"i": "EUR-USD twelve_data"})
    session.ask(0)
    session.show(0)
    page = session.page
    status = {name: value[0] for name, value in page.status.data.items()}
    assert status["no_book"] == "No public order book for EUR-USD. Showing prices."
    assert status["last"] == "1.05730"
    assert set(np.unique(whole_image(session)[1])) <= {UNKNOWN, 0}
    path = page.path.data
    known = ~np.isnan(path["mid"])
    told = dict(zip(path["x"][known] / 1000, path["mid"][known], strict=True))
    assert [told[second] for second in times] == pytest.approx([1.0570, 1.0571, 1.0572, 1.0571, 1.0573])
    # Nothing is drawn between the last two, which lie further apart than prices usually do.
    assert page.gaps.data["right"] == [times[-1] * 1000]
    assert page.y_range.start < 1.0570 < 1.0573 < page.y_range.end
    assert Session(Reader(board, Clock()), {})._book.has_book


def test_the_session_is_the_newest_wherever_one_looks(session: Session) -> None:
    session._load(START - 7200, START - 3600, 1)
    session._load(START, START + 60, 1)
    session.ask(0)
    assert session._tape.session.volume == pytest.approx(sum(one.lots for one in tape.PRINTS) / 10)
