"""One viewer's depth page: what it shows of which book, and how new columns reach it without a redraw."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.events import ButtonClick, RangesUpdate
from numpy.typing import NDArray

from dashboards.board import look
from dashboards.board.columns import (
    COLUMNS_IN_VIEW,
    ROWS_OFFERED,
    STEPS_S,
    TILE_COLUMNS,
    Column,
    finest_step,
    grid_for,
    holes,
    matrix,
    on_rows,
    resting,
    row_for,
    tile_start,
)
from dashboards.board.health import Feed, Venue, age, clock, health, size_text, venues
from dashboards.board.intensity import EMPTY, Scale, default_handles, scale_for
from dashboards.board.page import STEP_LABELS, DepthPage
from dashboards.board.queries import TradeSums
from dashboards.board.reader import Reader
from sql.client import StoreError

EVER_S = 2**32 - 1
# How far back a column may still be corrected.
CORRECTED = 3
DOTS_SHOWN = 150
DOTS_NAMED = 5
EXTENSION = 0.07  # of the view, right of the newest column
HEAT_PX = 740
WALLS_NAMED = 12


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
        self._trades = _no_trades()
        self._last = float("nan")
        self._fresh = (0, 0)
        self._gaps_1h = 0
        self._feed: Feed | None = None
        self._venues: list[Venue] = []
        self._error: StoreError | None = None
        self._answered_ns = 0
        self._moved_ns = 0
        self._follow = True
        self.page = DepthPage(Scale(), _price_format(self._book.tick))
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
            self._ask_trades(from_s)
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
            self._show_dots()
            if self._follow:
                self._move(now_ns)
        self._tell(now_ns)

    def _set_controls(self, name: str, arguments: Mapping[str, str]) -> None:
        page = self.page
        page.books.options = [(key, f"{book.instrument} · {book.venue}") for key, book in self._books.items()]
        page.books.value = name
        for group, key in ((page.rows, "row"), (page.steps, "col"), (page.ramps, "ramp"), (page.zone, "tz")):
            if arguments.get(key) in group.labels:
                group.active = group.labels.index(arguments[key])

    def _interest(self, name: str) -> tuple[int, bool]:
        """What a page without a wish opens at: the newest data, of those as new Bitcoin."""
        return self._books[name].newest_s // 60, name.startswith("BTC-")

    def _connect(self) -> None:
        page = self.page
        page.books.on_change("value", lambda _a, _o, name: self._change_book(name))
        page.rows.on_change("active", lambda _a, _o, _n: self._reload(fit=True))
        page.steps.on_change("active", lambda _a, _o, _n: self._change_step())
        page.go_live.on_event(ButtonClick, lambda _event: self._open_newest())
        page.fit.on_event(ButtonClick, lambda _event: self._fit({}))
        page.heat.on_event(RangesUpdate, self._moved)

    def _change_book(self, name: str) -> None:
        self._book = self._books[name]
        self.page.heat.yaxis[0].formatter.format = _price_format(self._book.tick)
        self._open_newest()
        self._fit({})

    def _change_step(self) -> None:
        self._open_newest()

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

    def _frame_prices(self) -> None:
        """Prices in view: the path with some room, at least 200 bins, at most what the newest book reaches."""
        inside = [c for c in self._columns if c.time_s * 1000 >= self.page.x_range.start]
        traded = self._trades.price[self._trades.time_ms >= self.page.x_range.start]
        low = min([*traded, *(column.best_bid for column in inside)])
        high = max([*traded, *(column.best_ask for column in inside)])
        # At 0.75 a newest price at either end stays where following leaves it alone.
        half = max((high - low) * 0.75, 100 * self._grid.bin_step)
        middle, newest = (low + high) / 2, self._columns[-1]
        reach = len(newest.bid) * newest.bin_step / 2
        if half > reach:  # beyond it nothing of the newest book is known
            half, middle = reach, newest.best_bid
        self.page.y_range.update(start=middle - half, end=middle + half)
        self.page.show_bid_and_ask(self._spread_px() >= 2)

    def _spread_px(self) -> float:
        usual = np.median([column.best_ask - column.best_bid for column in self._columns[-COLUMNS_IN_VIEW:]])
        return float(usual / (self.page.y_range.end - self.page.y_range.start) * HEAT_PX)

    def _load(self, from_s: int, until_s: int, step_s: int) -> None:
        """Replace all that is drawn by the columns in [from_s, until_s)."""
        from_s = tile_start(max(from_s, 0), step_s)
        self._columns = self._reader.columns(self._book, step_s, from_s, until_s)
        self._step_s, self._from_s, self._until_s = step_s, from_s, until_s
        self._live_end = until_s == EVER_S
        if self._columns:
            self._trades = _no_trades()
            self._ask_trades(max(from_s, self._columns[0].time_s))
            self._redraw()

    def _reload(self, fit: bool) -> None:
        if self._columns:
            self._redraw()
            if fit:
                self._fit({})

    def _redraw(self) -> None:
        """Everything anew from the loaded columns, in one step: the old image stays until the new one is there."""
        bins_a_row = self._bins_a_row()
        self._grid = grid_for(self._columns, bins_a_row)
        finest = self._columns[-1]
        self._scale = scale_for(finest.bid + finest.ask)
        self.page.use_scale(self._scale)
        self._live_start = tile_start(self._columns[-1].time_s, self._step_s)
        starts = range(
            tile_start(self._columns[0].time_s, self._step_s), self._live_start, self._step_s * TILE_COLUMNS
        )
        self.page.tiles.data = _images([self._tile(start) for start in starts])
        self._live_image = self._image(self._live_start)
        self.page.live.data = _images([self._placed(self._live_image, self._live_start)])
        self.page.path.data = _path(self._columns, self._step_s)
        self._show_holes()
        self._threshold = _threshold(self._trades.size)
        self._show_dots()
        self._show_now()

    def _bins_a_row(self) -> int:
        active = self.page.rows.active
        if active < len(ROWS_OFFERED):
            return ROWS_OFFERED[active]
        return row_for(self.page.y_range.end - self.page.y_range.start, self._columns[-1].bin_step)

    def _image(self, start_s: int) -> NDArray[np.uint8]:
        sizes = matrix(self._columns, self._grid, start_s, TILE_COLUMNS, self._step_s)
        image = self._scale.index(sizes)
        # What has not happened yet is not missing.
        image[:, max((self._columns[-1].time_s - start_s) // self._step_s + 1, 0) :] = EMPTY
        return image

    def _tile(self, start_s: int) -> dict[str, Any]:
        return self._placed(self._image(start_s), start_s)

    def _placed(self, image: NDArray[np.uint8], start_s: int) -> dict[str, Any]:
        width_ms = image.shape[1] * self._step_s * 1000
        height = self._grid.high - self._grid.low
        return {"image": image, "x": start_s * 1000, "y": self._grid.low, "dw": width_ms, "dh": height}

    def _append(self) -> None:
        """Patch the live tile by column; a full one is frozen. A price that leaves the grid redraws."""
        last_s = self._columns[-1].time_s
        known = {column.time_s: column for column in self._columns}
        fresh = [column for column in self._news if column.time_s > last_s]
        known.update((column.time_s, column) for column in self._news)
        self._columns = [known[second] for second in sorted(known)]
        tile_s = TILE_COLUMNS * self._step_s
        if (self._news and not self._grid.holds(self._columns[-1])) or self._columns[
            -1
        ].time_s >= self._live_start + 2 * tile_s:
            self._redraw()
            return
        if self._columns[-1].time_s >= self._live_start + tile_s:
            self.page.tiles.stream(
                _images([self._tile(self._live_start)]), rollover=3 * COLUMNS_IN_VIEW // TILE_COLUMNS
            )
            self._live_start += tile_s
            self._live_image = self._image(self._live_start)
            self.page.live.data = _images([self._placed(self._live_image, self._live_start)])
        else:
            self._patch()
        if fresh:
            added = _path(self._columns[-len(fresh) - 1 :], self._step_s, continued=True)
            self.page.path.stream(added, rollover=8 * COLUMNS_IN_VIEW)
            if fresh[0].time_s - last_s > self._step_s or len(fresh) > 1:
                self._show_holes()
        self._columns = self._columns[-3 * COLUMNS_IN_VIEW :]
        self._show_now()

    def _patch(self) -> None:
        image = self._image(self._live_start)
        changed = np.flatnonzero((image != self._live_image).any(axis=0))
        self._live_image = image
        rows = slice(0, self._grid.rows)
        patches = [((0, rows, slice(int(at), int(at) + 1)), image[:, at : at + 1].ravel()) for at in changed]
        if patches:
            self.page.live.patch({"image": patches})

    def _show_holes(self) -> None:
        found = holes([column.time_s for column in self._columns], self._step_s)
        self.page.gaps.data = {
            "left": [start * 1000 for start, _ in found],
            "right": [end * 1000 for _, end in found],
            "middle": [(start + end) * 500 for start, end in found],
            "label": [f"gap {age(end - start)}" for start, end in found],
        }

    def _show_now(self) -> None:
        """The newest book: ladder, walls, and the image that extends it to the right."""
        page, column, grid = self.page, self._columns[-1], self._grid
        bid, ask = (np.nan_to_num(on_rows(column, sizes, grid)) for sizes in (column.bid, column.ask))
        sizes, centres = np.maximum(bid, ask), grid.centres()
        filled = np.flatnonzero(sizes > 0)
        clip = np.percentile(sizes[filled], 97) if filled.size else 1.0
        page.ladder.data = {
            "y": centres[filled],
            "right": np.sqrt(np.clip(sizes[filled] / clip, 0, 1)) * 0.94,
            "height": np.full(len(filled), grid.row_height * 0.86),
            "colour": np.where(bid[filled] >= ask[filled], look.BUY, look.SELL),
        }
        walls = self._walls(sizes, centres)
        middle = (column.best_bid + column.best_ask) / 2
        page.walls.data = {
            "y": centres[walls],
            "label": [size_text(float(sizes[row])) for row in walls],
            "price": centres[walls] - grid.row_height / 2,
            "side": ["bid" if bid[row] >= ask[row] else "ask" for row in walls],
            "from_mid": centres[walls] - grid.row_height / 2 - middle,
        }
        end_s = column.time_s + self._step_s
        image = self._scale.index(resting(column, grid))[:, np.newaxis]
        placed = self._placed(image, end_s) | {"dw": COLUMNS_IN_VIEW * self._step_s * 1000}
        page.extension.data = _images([placed])
        page.now_line.location = end_s * 1000

    def _walls(self, sizes: NDArray[np.float32], centres: NDArray[np.float64]) -> list[int]:
        """Rows of the largest sizes in view, far enough apart to be read."""
        low, high = self.page.y_range.start, self.page.y_range.end
        apart = 12 / HEAT_PX * (high - low)
        chosen: list[int] = []
        for row in np.argsort(-sizes)[: 20 * WALLS_NAMED]:
            legible = all(abs(centres[row] - centres[other]) >= apart for other in chosen)
            if legible and sizes[row] > 0 and low + apart < centres[row] < high - apart:
                chosen.append(int(row))
            if len(chosen) == WALLS_NAMED:
                break
        return chosen

    def _ask_trades(self, from_s: int) -> None:
        """Read the sums from `from_s` on; those before stay."""
        new = self._reader.trades(self._book, self._step_s, from_s, self._until_s)
        kept = self._trades.time_ms < from_s * 1000
        self._trades = _joined(self._trades, kept, new)
        self._last = self._reader.last_trade(self._book) or self._columns[-1].best_bid

    def _show_dots(self) -> None:
        sums = self._trades
        shown = sums.size >= self._threshold
        size = sums.size[shown]
        largest = set(np.argsort(-size)[:DOTS_NAMED].tolist())
        # 30 px for the size that 1 % of the dots exceed, but no more than 6 px for the smallest.
        scale = 30 / np.sqrt(np.percentile(size, 99)) if size.size else 1.0
        if self._threshold:
            scale = min(scale, 6 / np.sqrt(self._threshold))
        data = {
            "x": sums.time_ms[shown],
            "y": sums.price[shown],
            "size": np.clip(scale * np.sqrt(size), 4, 30),
            "colour": np.where(sums.buy[shown], look.BUY, look.SELL),
            "label": [size_text(float(s)) if at in largest else "" for at, s in enumerate(size)],
            "amount": size,
        }
        if not np.array_equal(data["x"], self.page.dots.data["x"]) or not np.array_equal(
            data["size"], self.page.dots.data["size"]
        ):
            self.page.dots.data = data

    def _fit(self, arguments: Mapping[str, str]) -> None:
        """Handles as the URL says, else over the cells in view; the histogram under them."""
        if not self._columns:
            return
        page, step_s = self.page, self._step_s
        inside = [c for c in self._columns if page.x_range.start <= c.time_s * 1000 <= page.x_range.end]
        sample = (inside or self._columns)[:: max(len(inside) // 120, 1)]
        sizes = matrix(
            sample, self._grid, sample[0].time_s, 1 + (sample[-1].time_s - sample[0].time_s) // step_s, step_s
        )
        centres = self._grid.centres()
        sizes = sizes[(centres >= page.y_range.start) & (centres <= page.y_range.end)]
        index = self._scale.index(sizes)
        edges = np.arange(1, 256, 3)
        counts, _ = np.histogram(index[(index > 0) & (index < 255)], edges)
        page.histogram.data = {
            "left": edges[:-1], "right": edges[1:], "index": edges[:-1] + 1,
            "top": np.sqrt(counts / max(counts.max(), 1)) * 0.93,
        }  # fmt: skip
        used = np.flatnonzero(counts)
        if used.size:
            page.histogram_figure.x_range.update(
                start=float(max(edges[used[0]] - 6, 0)), end=float(edges[used[-1]] + 9)
            )
        low, high = default_handles(sizes)
        low, high = _number(arguments.get("lo"), low), _number(arguments.get("hi"), high)
        page.handles.update(start=self._scale.position(low), end=self._scale.position(max(high, low * 1.1)))

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
        if step_s == self._step_s and self._from_s <= from_s and until_s <= max(self._until_s, newest_s):
            return
        self._load(int(from_s - margin), EVER_S if self._follow else int(until_s + margin), step_s)

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
        column, decimals = self._columns[-1], _decimals(self._book.tick)
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
        data = {
            "last": f"{self._last:,.{decimals}f}",
            "last_price": self._last,
            "spread": f"{spread:,.{decimals}f}",
            "tick": f"spread{ticks}",
            "imbalance": _signed(column.imbalance),
            "state": state.state,
            "words": state.words,
            "venues": markets.words,
            "venues_state": markets.state,
            "lost": lost,
            "trades": f", {self._threshold:g} {base} and more" if self._trades.size.size else ": none yet",
            "ladder": f"Book now, {base}",
        }
        self.page.status.data = {name: [value] for name, value in data.items()}


def _images(placed: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [tile[name] for tile in placed] for name in ("image", "x", "y", "dw", "dh")}


def _path(columns: list[Column], step_s: int, continued: bool = False) -> dict[str, NDArray[np.float64]]:
    """Best prices, each over its interval, broken where columns are missing.

    `continued`: the first column has been drawn before.
    """
    rows: list[tuple[float, float, float, float]] = []
    before = None
    nothing = (float("nan"),) * 3
    for column in columns:
        if before is not None and column.time_s - before.time_s > step_s:
            end_ms = (before.time_s + step_s) * 1000.0
            rows += [(end_ms, (before.best_bid + before.best_ask) / 2, before.best_bid, before.best_ask),
                     (end_ms, *nothing)]  # fmt: skip
        if before is not None or not continued:
            middle = (column.best_bid + column.best_ask) / 2
            rows.append((column.time_s * 1000.0, middle, column.best_bid, column.best_ask))
        before = column
    table = np.array(rows, np.float64).reshape(-1, 4)
    return {name: table[:, at] for at, name in enumerate(("x", "mid", "bid", "ask"))}


def _no_trades() -> TradeSums:
    nothing = np.empty(0)
    return TradeSums(nothing, nothing, nothing, np.empty(0, np.bool_))


def _joined(old: TradeSums, kept: NDArray[np.bool_], new: TradeSums) -> TradeSums:
    pairs = ((old.time_ms, new.time_ms), (old.price, new.price), (old.size, new.size))
    return TradeSums(
        *(np.concatenate([a[kept], b]) for a, b in pairs), np.concatenate([old.buy[kept], new.buy])
    )


def _threshold(sizes: NDArray[np.float64]) -> float:
    """A round size that about DOTS_SHOWN of `sizes` reach."""
    if len(sizes) <= DOTS_SHOWN:
        return 0.0
    exact = float(np.partition(sizes, -DOTS_SHOWN)[-DOTS_SHOWN])
    decade = 10.0 ** np.floor(np.log10(exact))
    return float(max(factor * decade for factor in (1, 2, 3, 5) if factor * decade <= exact))


def _decimals(tick: float) -> int:
    text = f"{tick:.10f}".rstrip("0") if tick > 0 else "0.01"
    return len(text.partition(".")[2])


def _price_format(tick: float) -> str:
    return "0,0" + ("." + "0" * _decimals(tick) if _decimals(tick) else "")


def _signed(ratio: float) -> str:
    return "not known" if np.isnan(ratio) else f"{ratio:+.2f}".replace("-", "\N{MINUS SIGN}")


def _number(text: str | None, otherwise: float) -> float:
    try:
        found = float(text) if text else otherwise
    except ValueError:
        return otherwise
    return found if 0 < found < float("inf") else otherwise
