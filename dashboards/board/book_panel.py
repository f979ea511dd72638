"""The order book on the page: columns as images of 8-bit indices, the path of the price, and the book as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.board.columns import (
    COLUMNS_IN_VIEW,
    TILE_COLUMNS,
    Column,
    Grid,
    grid_for,
    holes,
    matrix,
    on_rows,
    resting,
    tile_start,
)
from dashboards.board.health import age, size_text
from dashboards.board.intensity import EMPTY, Scale, default_handles, scale_for
from dashboards.board.page import DepthPage
from dashboards.board.sources import bring

ROWS_NAMED = 12


class BookPanel:
    """Draws columns on the sources of a page; `grid`, `scale` and `holes` are those of the last redraw."""

    def __init__(self, page: DepthPage) -> None:
        self._page = page
        self.scale = Scale()
        self.grid: Grid
        self.holes: list[tuple[int, int]] = []

    def redraw(self, columns: Sequence[Column], step_s: int, bins_a_row: int, usual_s: int) -> None:
        """Everything anew, in one step: the old image stays until the new one is there.

        Two columns more than `usual_s` apart have a hole between them.
        """
        self._columns, self._step_s, self._usual_s = columns, step_s, usual_s
        self.grid = grid_for(columns, bins_a_row)
        finest = columns[-1]
        self.scale = scale_for(finest.bid + finest.ask)
        self._page.use_scale(self.scale)
        self._live_start = tile_start(columns[-1].time_s, step_s)
        starts = range(tile_start(columns[0].time_s, step_s), self._live_start, step_s * TILE_COLUMNS)
        self._page.tiles.data = _images([self._placed(self._image(start), start) for start in starts])
        self._begin_live()
        self._page.path.data = _path(columns, usual_s)
        self._show_holes()

    def append(self, columns: Sequence[Column], fresh: Sequence[Column], last_s: int) -> bool:
        """Patch the live tile by column; a full one is frozen. False: a redraw is due, nothing was done.

        `columns` are all, `fresh` of them those after `last_s`, the newest that was drawn.
        """
        tile_s, newest = TILE_COLUMNS * self._step_s, columns[-1]
        if newest.time_s >= self._live_start + 2 * tile_s or not self.grid.holds(newest):
            return False
        self._columns = columns
        if newest.time_s >= self._live_start + tile_s:
            frozen = self._placed(self._image(self._live_start), self._live_start)
            self._page.tiles.stream(_images([frozen]), rollover=3 * COLUMNS_IN_VIEW // TILE_COLUMNS)
            self._live_start += tile_s
            self._begin_live()
        else:
            self._patch()
        if fresh:
            added = _path(columns[-len(fresh) - 1 :], self._usual_s, continued=True)
            self._page.path.stream(added, rollover=8 * COLUMNS_IN_VIEW)
            if fresh[0].time_s - last_s > self._usual_s or len(fresh) > 1:
                self._show_holes()
        return True

    def show_now(self) -> None:
        """The newest book: ladder, names of its largest rows, and the image that extends it to the right."""
        page, column, grid = self._page, self._columns[-1], self.grid
        bid, ask = (np.nan_to_num(on_rows(column, sizes, grid)) for sizes in (column.bid, column.ask))
        sizes, centres = np.maximum(bid, ask), grid.centres()
        filled = np.flatnonzero(sizes > 0)
        clip = np.percentile(sizes[filled], 97) if filled.size else 1.0
        page.ladder.data = {
            "y": centres[filled],
            "right": (np.sqrt(np.clip(sizes[filled] / clip, 0, 1)) * 0.94).astype(np.float32),
            "side": np.where(bid[filled] >= ask[filled], 1, -1).astype(np.int8),
        }
        page.ladder_rows.glyph.height = grid.row_height * 0.86
        named = self._largest(sizes, centres)
        bring(page.named, {"y": centres[named], "label": [size_text(float(sizes[row])) for row in named]})
        end_s = column.time_s + self._step_s
        image = self.scale.index(resting(column, grid))[:, np.newaxis]
        placed = self._placed(image, end_s) | {"dw": COLUMNS_IN_VIEW * self._step_s * 1000}
        page.extension.data = _images([placed])
        page.now_line.location = end_s * 1000

    def fit(self, wanted: Mapping[str, float]) -> None:
        """Handles at the sizes `lo` and `hi` of `wanted`, else over the cells in view; the histogram under them."""
        page, step_s = self._page, self._step_s
        inside = [c for c in self._columns if page.x_range.start <= c.time_s * 1000 <= page.x_range.end]
        sample = (inside or self._columns)[:: max(len(inside) // 120, 1)]
        count = 1 + (sample[-1].time_s - sample[0].time_s) // step_s
        sizes = matrix(sample, self.grid, sample[0].time_s, count, step_s)
        centres = self.grid.centres()
        sizes = sizes[(centres >= page.y_range.start) & (centres <= page.y_range.end)]
        index = self.scale.index(sizes)
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
        low, high = wanted.get("lo", low), wanted.get("hi", high)
        page.handles.update(start=self.scale.position(low), end=self.scale.position(max(high, low * 1.1)))

    def _image(self, start_s: int) -> NDArray[np.uint8]:
        sizes = matrix(self._columns, self.grid, start_s, TILE_COLUMNS, self._step_s)
        image = self.scale.index(sizes)
        # What has not happened yet is not missing.
        image[:, max((self._columns[-1].time_s - start_s) // self._step_s + 1, 0) :] = EMPTY
        return image

    def _placed(self, image: NDArray[np.uint8], start_s: int) -> dict[str, Any]:
        width_ms = image.shape[1] * self._step_s * 1000
        height = self.grid.high - self.grid.low
        return {"image": image, "x": start_s * 1000, "y": self.grid.low, "dw": width_ms, "dh": height}

    def _begin_live(self) -> None:
        self._live_image = self._image(self._live_start)
        self._page.live.data = _images([self._placed(self._live_image, self._live_start)])

    def _patch(self) -> None:
        image = self._image(self._live_start)
        changed = np.flatnonzero((image != self._live_image).any(axis=0))
        self._live_image = image
        rows = slice(0, self.grid.rows)
        patches = [((0, rows, slice(int(at), int(at) + 1)), image[:, at : at + 1].ravel()) for at in changed]
        if patches:
            self._page.live.patch({"image": patches})

    def _show_holes(self) -> None:
        self.holes = holes([column.time_s for column in self._columns], self._usual_s)
        self._page.gaps.data = {
            "left": [start * 1000 for start, _ in self.holes],
            "right": [end * 1000 for _, end in self.holes],
            "middle": [(start + end) * 500 for start, end in self.holes],
            "label": [f"gap {age(end - start)}" for start, end in self.holes],
        }

    def _largest(self, sizes: NDArray[np.float32], centres: NDArray[np.float64]) -> list[int]:
        """Rows of the largest sizes in view, far enough apart to be read."""
        low, high = self._page.y_range.start, self._page.y_range.end
        apart = 12 / self._page.heat_px * (high - low)
        chosen: list[int] = []
        for row in np.argsort(-sizes)[: 20 * ROWS_NAMED]:
            legible = all(abs(centres[row] - centres[other]) >= apart for other in chosen)
            if legible and sizes[row] > 0 and low + apart < centres[row] < high - apart:
                chosen.append(int(row))
            if len(chosen) == ROWS_NAMED:
                break
        return chosen


def _images(placed: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [tile[name] for tile in placed] for name in ("image", "x", "y", "dw", "dh")}


def _path(columns: Sequence[Column], step_s: int, continued: bool = False) -> dict[str, NDArray[np.float64]]:
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
