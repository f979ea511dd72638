"""One viewer's depth page: which book and what part of it is shown, and how new data reaches it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.events import ButtonClick, RangesUpdate

from dashboards.board import look
from dashboards.board.book_panel import BookPanel
from dashboards.board.columns import (
    COLUMNS_IN_VIEW,
    ROWS_OFFERED,
    STEPS_S,
    TILE_COLUMNS,
    Column,
    finest_step,
    row_for,
    tile_start,
)
from dashboards.board.footprint import ROW_PX, interval_for
from dashboards.board.health import Feed, Venue, clock, health, venues
from dashboards.board.intensity import Scale
from dashboards.board.number_text import decimals_of, price_format, price_text, signed
from dashboards.board.page import LAYER_LABELS, STEP_LABELS, DepthPage
from dashboards.board.profile_panel import KINDS
from dashboards.board.reader import Reader
from dashboards.board.tape import group_of
from dashboards.board.tape_panels import TapePanels
from dashboards.board.tape_reader import Tape, View
from sql.client import StoreError

EVER_S = 2**32 - 1
# How far back a column may still be corrected.
CORRECTED = 3
EXTENSION = 0.07  # of the view, right of the newest column
FOOTPRINT_VIEW_S = 80
PRICES_USUAL_S = 300
FOOTPRINT_ROWS = 44


class Session:
    """A page and what it shows. `ask` reads the store and may run in any thread; all else changes the page."""

    def __init__(self, reader: Reader, arguments: Mapping[str, str]) -> None:
        """Opens at the newest data there is, in the state that `arguments` (of the URL) name.

        Raises:
            LookupError: the store has no book.
            StoreError: the store refused or is away.
        """
        self._reader = reader
        books = reader.books()
        if not books:
            raise LookupError("the store has no book")
        self._books = {f"{book.instrument} {book.venue}": book for book in books}
        wanted = arguments.get("i", "")
        name = wanted if wanted in self._books else max(self._books, key=self._interest)
        self._book = self._books[name]
        self._columns: list[Column] = []
        self._news: list[Column] = []
        self._last = float("nan")
        self._fresh = (0, 0)
        self._gaps_1h = 0
        self._feed: Feed | None = None
        self._venues: list[Venue] = []
        self._error: StoreError | None = None
        self._answered_ns = 0
        self._moved_ns = 0
        self._follow = True
        self._footprints = arguments.get("footprint") != "off"
        self.page = DepthPage(Scale(), price_format(self._book.tick))
        self._picture = BookPanel(self.page)
        self._tape = Tape(reader)
        self._panels = TapePanels(self.page, self._tape)
        self._set_controls(name, arguments)
        self._open_newest()
        self._fit(arguments)
        self._connect()

    def ask(self, now_ns: int) -> None:
        """Read what is new. A store that is away is remembered for `show`."""
        try:
            self._fresh = self._reader.newest(self._book) or (0, 0)
            newest_s = self._columns[-1].time_s if self._columns else 0
            from_s = newest_s - (CORRECTED - 1) * self._step_s
            self._news = self._reader.columns(self._book, self._step_s, from_s, EVER_S)
            self._ask_trades()
            self._gaps_1h = self._reader.gaps(self._book, self._fresh[0] - 3600, self._fresh[0] + 60)
            self._feed = self._reader.feed(self._book)
            self._venues = self._reader.venues()
        except StoreError as error:
            self._error = error
        else:
            self._error, self._answered_ns = None, now_ns

    def show(self, now_ns: int) -> None:
        """Bring the page to what `ask` found."""
        if self._error is None and self._columns:
            if self._live_end and self._news:
                self._append()
            if self._follow:
                self._move(now_ns)
            self._show_tape()
        self._tell(now_ns)

    def _set_controls(self, name: str, arguments: Mapping[str, str]) -> None:
        page = self.page
        page.books.options = [(key, f"{book.instrument} · {book.venue}") for key, book in self._books.items()]
        page.books.value = name
        groups = (
            (page.rows, "row"), (page.steps, "col"), (page.ramps, "ramp"), (page.zone, "tz"),
            (page.profile.kind, "profile"), (page.flow.series, "sums"),
        )  # fmt: skip
        for group, key in groups:
            if arguments.get(key) in group.labels:
                group.active = group.labels.index(arguments[key])
        if "layers" in arguments:
            shown = arguments["layers"].split()
            page.layers.active = [at for at, label in enumerate(LAYER_LABELS) if label in shown]

    def _interest(self, name: str) -> tuple[bool, int, bool]:
        """What a page without a wish opens at: a book, the newest, of those as new Bitcoin's."""
        book = self._books[name]
        return book.has_book, book.newest_s // 60, name.startswith("BTC-")

    def _connect(self) -> None:
        page = self.page
        page.books.on_change("value", lambda _a, _o, name: self._change_book(name))
        page.rows.on_change("active", lambda _a, _o, _n: self._change_rows())
        page.steps.on_change("active", lambda _a, _o, _n: self._open_newest())
        page.profile.kind.on_change("active", lambda _a, _o, _n: self._look_again())
        page.layers.on_change("active", lambda _a, _o, _n: self._show_layers())
        page.footprints.on_event(ButtonClick, lambda _event: self._toggle_footprints())
        page.go_live.on_event(ButtonClick, lambda _event: self._open_newest())
        page.fit.on_event(ButtonClick, lambda _event: self._fit({}))
        page.heat.on_event(RangesUpdate, self._moved)

    def _change_book(self, name: str) -> None:
        self._book = self._books[name]
        self.page.heat.yaxis[0].formatter.format = price_format(self._book.tick)
        self._open_newest()
        self._fit({})

    def _change_rows(self) -> None:
        if self._columns:
            self._redraw()
            self._look_again()
            self._fit({})

    def _open_newest(self) -> None:
        """View the newest columns, as many as fit or as there are."""
        newest = self._reader.newest(self._book)
        newest_s = newest[0] if newest else self._book.newest_s
        step_s = STEPS_S[self.page.steps.active] if self.page.steps.active < len(STEPS_S) else 1
        self._follow = True
        self._load(newest_s - (COLUMNS_IN_VIEW + TILE_COLUMNS) * step_s, EVER_S, step_s)
        if not self._columns:
            return
        end_s = self._columns[-1].time_s + step_s
        first_s = max(self._columns[0].time_s, end_s - COLUMNS_IN_VIEW * step_s)
        span = max(end_s - first_s, 60 * step_s)
        self.page.x_range.update(start=(end_s - span) * 1000, end=(end_s + EXTENSION * span) * 1000)
        self._frame_prices()
        self._look_again()

    def _frame_prices(self) -> None:
        """Prices in view: the path with some room, at least 200 bins, at most what the newest book reaches."""
        start_ms = self.page.x_range.start
        inside = [c for c in self._columns if c.time_s * 1000 >= start_ms]
        traded = self._tape.flow.time_s * 1000 >= start_ms
        low = min([*self._tape.flow.low[traded], *(column.best_bid for column in inside)])
        high = max([*self._tape.flow.high[traded], *(column.best_ask for column in inside)])
        # At 0.75 a newest price at either end stays where following leaves it alone.
        half = max((high - low) * 0.75, 100 * self._picture.grid.bin_step)
        middle, newest = (low + high) / 2, self._columns[-1]
        reach = len(newest.bid) * newest.bin_step / 2
        if self._book.has_book and half > reach:  # beyond it nothing of the newest book is known
            half, middle = reach, newest.best_bid
        self.page.y_range.update(start=middle - half, end=middle + half)
        self.page.show_bid_and_ask(self._spread_px() >= 2)

    def _spread_px(self) -> float:
        usual = np.median([column.best_ask - column.best_bid for column in self._columns[-COLUMNS_IN_VIEW:]])
        return float(usual / (self.page.y_range.end - self.page.y_range.start) * self.page.heat_px)

    def _load(self, from_s: int, until_s: int, step_s: int) -> None:
        """Replace all that is drawn by what is in [from_s, until_s)."""
        from_s = tile_start(max(from_s, 0), step_s)
        self._columns = self._reader.columns(self._book, step_s, from_s, until_s)
        self._step_s, self._from_s, self._until_s = step_s, from_s, until_s
        self._live_end = until_s == EVER_S
        if self._columns:
            self._tape.load(self._book, step_s, max(from_s, self._columns[0].time_s), until_s)
            self._redraw()

    def _redraw(self) -> None:
        # Sources of prices alone tell them when they like.
        usual_s = self._step_s if self._book.has_book else max(self._step_s, PRICES_USUAL_S)
        self._picture.redraw(self._columns, self._step_s, self._bins_a_row(), usual_s)
        self._picture.show_now()

    def _bins_a_row(self) -> int:
        active = self.page.rows.active
        if active < len(ROWS_OFFERED):
            return ROWS_OFFERED[active]
        return row_for(self.page.y_range.end - self.page.y_range.start, self._columns[-1].bin_step)

    def _append(self) -> None:
        """New columns on the picture. A price that leaves the grid, or a long absence, redraws."""
        last_s = self._columns[-1].time_s
        known = {column.time_s: column for column in self._columns}
        fresh = [column for column in self._news if column.time_s > last_s]
        known.update((column.time_s, column) for column in self._news)
        self._columns = [known[second] for second in sorted(known)]
        if self._picture.append(self._columns, fresh, last_s):
            self._columns = self._columns[-3 * COLUMNS_IN_VIEW :]
            self._picture.show_now()
        else:
            self._redraw()

    def _ask_trades(self) -> None:
        newest = self._columns[-1]
        otherwise = newest.best_bid if self._book.has_book else (newest.best_bid + newest.best_ask) / 2
        self._last = self._reader.last_trade(self._book) or otherwise
        self._tape.ask(max(self._fresh[0], self._columns[-1].time_s) + 1, self._view())

    def _view(self) -> View:
        x, y = self.page.x_range, self.page.y_range
        grid, span_s = self._picture.grid, (x.end - x.start) / 1000
        high_enough = grid.row_height * self.page.heat_px / (y.end - y.start) >= ROW_PX
        interval = interval_for(span_s, self.page.heat_width_px)
        return View(
            int(x.start / 1000), int(x.end / 1000), self.page.profile.kind.active,
            interval if self._footprints and high_enough else None, grid.bins_a_row, grid.bin_step,
        )  # fmt: skip

    def _look_again(self) -> None:
        """Read and draw at once what depends on the view, instead of with the next second."""
        if not self._columns:
            return
        try:
            self._ask_trades()
        except StoreError as error:
            self._error = error
        else:
            self._show_tape()

    def _show_tape(self) -> None:
        x = self.page.x_range
        base = self._book.instrument.partition("-")[0]
        group_s = group_of((x.end - x.start) / 1000, self.page.heat_width_px, self._step_s)
        self._panels.show(self._picture, self._columns[-1], group_s, base, decimals_of(self._book.tick))
        self._show_layers()

    def _show_layers(self) -> None:
        shown = [at in self.page.layers.active for at in range(len(LAYER_LABELS))]
        self.page.show_layers(*shown, footprints=bool(self._tape.bars))

    def _toggle_footprints(self) -> None:
        """Show footprints, close enough to be read; or hide those that are seen."""
        self._footprints = not (self._footprints and self._view().footprint_s is not None)
        if self._footprints and self._view().footprint_s is None:
            x, y, newest = self.page.x_range, self.page.y_range, self._columns[-1]
            end_ms = min(x.end, (newest.time_s + self._step_s + EXTENSION * FOOTPRINT_VIEW_S) * 1000)
            x.update(start=end_ms - FOOTPRINT_VIEW_S * 1000, end=end_ms)
            half = self._picture.grid.row_height * FOOTPRINT_ROWS * self.page.heat_px / look.FRAME_PX[1] / 2
            y.update(start=newest.best_bid - half, end=newest.best_bid + half)
        self._look_again()

    def _fit(self, arguments: Mapping[str, str]) -> None:
        if self._columns:
            sizes = {name: _number(arguments.get(name)) for name in ("lo", "hi")}
            self._picture.fit({name: size for name, size in sizes.items() if size is not None})

    def _moved(self, event: RangesUpdate) -> None:
        """The viewer has panned or zoomed: load what is not there yet, at the resolution that fits."""
        if not self._columns:
            return
        self._moved_ns = self._answered_ns
        from_s, until_s = event.x0 / 1000, event.x1 / 1000
        newest_s = self._columns[-1].time_s + self._step_s if self._live_end else self._fresh[0]
        self._follow = until_s >= newest_s
        self.page.show_bid_and_ask(self._spread_px() >= 2)
        active = self.page.steps.active
        fitting = finest_step(until_s - from_s)
        step_s = fitting if active == STEP_LABELS.index("Auto") else max(STEPS_S[active], fitting)
        margin = (until_s - from_s) / 2
        held = self._from_s <= from_s and until_s <= max(self._until_s, newest_s)
        if step_s != self._step_s or not held:
            self._load(int(from_s - margin), EVER_S if self._follow else int(until_s + margin), step_s)
        self._look_again()

    def _move(self, now_ns: int) -> None:
        """Follow: the newest column keeps its place, and the price stays off the edges."""
        x, y = self.page.x_range, self.page.y_range
        end_s = self._columns[-1].time_s + self._step_s
        ahead = end_s * 1000 + EXTENSION * (x.end - x.start) / (1 + EXTENSION) - x.end
        if ahead > 0:
            x.update(start=x.start + ahead, end=x.end + ahead)
        price, height = self._columns[-1].best_bid, y.end - y.start
        near_edge = not y.start + 0.15 * height <= price <= y.end - 0.15 * height
        if near_edge and now_ns - self._moved_ns > 10_000_000_000:
            y.update(start=price - height / 2, end=price + height / 2)

    def _tell(self, now_ns: int) -> None:
        if not self._columns:
            return
        column, decimals = self._columns[-1], decimals_of(self._book.tick)
        state = health(*self._fresh, now_ns, self._gaps_1h, self._feed)
        markets = venues(self._venues)
        spread = column.best_ask - column.best_bid
        count = round(spread / self._book.tick) if self._book.tick else 0
        ticks = f", {count} tick{'' if count == 1 else 's'}" if count else ""
        lost = (
            f"Store does not answer since {clock(self._answered_ns // 10**9)}. Showing what is on screen;"
            " retrying every 2 s." if self._error else ""
        )  # fmt: skip
        base = self._book.instrument.partition("-")[0]
        self.page.last_line.location = self._last
        data: dict[str, Any] = {
            "last": price_text(self._last, decimals),
            "last_price": self._last,
            "spread": price_text(spread, decimals),
            "tick": f"spread{ticks}",
            "imbalance": "not known" if np.isnan(column.imbalance) else signed(column.imbalance, 2),
            "state": state.state,
            "words": state.words,
            "venues": markets.words,
            "venues_state": markets.state,
            "lost": lost,
            "ladder": f"Book now, {base}" if self._book.has_book else "No book",
            "no_book": self._no_book(),
            "profile_words": f"Volume profile, {KINDS[self.page.profile.kind.active].lower()}",
        } | self._panels.words(column, self._last, base, decimals)
        self.page.status.data = {name: [value] for name, value in data.items()}

    def _no_book(self) -> str:
        if self._book.has_book:
            return ""
        shown = "prices, trades and profile" if self._tape.flow.time_s.size else "prices"
        return f"No public order book for {self._book.instrument}. Showing {shown}."


def _number(text: str | None) -> float | None:
    try:
        found = float(text) if text else None
    except ValueError:
        return None
    return found if found is not None and 0 < found < float("inf") else None
