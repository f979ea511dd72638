"""The board in a real browser, over a replayed recording: what a viewer sees, and what their hands do."""

import io
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from sql.client import connect
from sql.data_dir import embedded_store, running
from tests.integration.pipeline import replay, spawn

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WINDOW = {"x": 0, "y": 90, "width": 1600, "height": 780}
HEAT = {"x": 0, "y": 90, "width": 1000, "height": 600}
PROFILE = {"x": 1202, "y": 130, "width": 100, "height": 560}
VOLUME = {"x": 0, "y": 705, "width": 1000, "height": 76}
SUMS = {"x": 0, "y": 800, "width": 860, "height": 70}
BUY, SELL = "2FD6A3", "FF6A5E"
READY_S = 60


@pytest.fixture(scope="module")
def data_dir(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("board")
    replay(path, "binance_futures", "BTCUSDT", recordings / "binance/usdm_btcusdt_20240808.gz")
    with running(path):
        yield path


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def board(data_dir: Path, port: int) -> Iterator[str]:
    process = start(data_dir, port)
    yield f"http://127.0.0.1:{port}/"
    end(process)


@pytest.fixture
def errors() -> list[str]:
    """What the console of `page` has said."""
    return []


@pytest.fixture
def page(errors: list[str]) -> Iterator[Page]:
    """A window of 1600x900 in which any error on the console fails the test."""
    if not shutil.which(CHROMIUM):
        reason = f"no browser to look at the board with: expected Chromium at {CHROMIUM} (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(
            viewport={"width": 1600, "height": 900}, timezone_id="Asia/Tokyo", reduced_motion="reduce"
        )
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(60_000)
        yield page
        browser.close()
    assert errors == []


def test_what_a_viewer_sees(board: str, page: Page, tmp_path: Path) -> None:
    open_board(page, board)
    heat = pixels(page, tmp_path / "depth.png")
    # The ramp's blues, walls at its end, the path's white, dots of both aggressors.
    for name, colour, least in (("wall", "FFF4B0", 2000), ("path", "F2F5F9", 500)):
        assert near(heat, colour).sum() > least, name
    blue = (heat[..., 2] > 100) & (heat[..., 0] < 60)
    green, red = near(heat, "23A17D", 25), near(heat, "BD5149", 25)
    assert blue.mean() > 0.1
    assert green.sum() > 100
    assert red.sum() > 100
    assert page.inner_text("#words").startswith("Recorded data: the newest is from 09 Aug 2024 00:00:00 UTC")
    assert page.inner_text("#last") == page.inner_text("#tag") == "61,659.8"
    assert "61,800.0" in page.inner_text("#walls")
    assert page.locator("#tape tr").count() > 10


def test_controls_act(board: str, page: Page, tmp_path: Path) -> None:
    open_board(page, board)
    before = pixels(page)
    button(page, "10")
    page.wait_for_function("new URL(location).searchParams.get('row') === '10'")
    grouped = until_other(page, before)
    # Rows of 10 bins: far fewer changes from one line of pixels to the next.
    assert changes_down(grouped) < changes_down(before) / 2
    button(page, "Ember")
    embers = until_other(page, grouped)
    assert (embers[..., 0] > embers[..., 2] + 40).mean() > (
        grouped[..., 0] > grouped[..., 2] + 40
    ).mean() + 0.02
    button(page, "10 s")
    coarse = until_other(page, embers)
    assert not np.array_equal(coarse, embers)
    page.screenshot(path=tmp_path / "controls.png")
    address = page.url
    page.goto(address)  # a link is the layout
    page.wait_for_function("document.getElementById('last').textContent !== ''")
    assert page.locator("button.bk-active").all_inner_texts() == [
        "Local", "10", "10 s", "Heat", "Trades", "Levels", "CVD", "Session", "Ember",
    ]  # fmt: skip


def test_the_tape_is_seen(board: str, page: Page, tmp_path: Path) -> None:
    open_board(page, board)
    page.wait_for_function("document.getElementById('poc').textContent.length > 3")
    page.wait_for_function("document.getElementById('sums_words').textContent.startsWith('CVD')")
    steady(page, WINDOW)
    page.screenshot(path=tmp_path / "tape.png")
    assert page.inner_text("#poc") == "61,640.0"
    assert page.inner_text("#volume") == "2.4k"
    assert page.inner_text("#sums_words").startswith("CVD +73.8 BTC")
    assert [page.inner_text(f"#{name}") for name in ("funding", "interest", "liquidated")] == ["no data"] * 3
    profile = pixels(page, clip=PROFILE)
    assert near(profile, BUY, 40).sum() > 1000
    assert near(profile, SELL, 40).sum() > 1000
    volume = pixels(page, clip=VOLUME)
    assert near(volume, BUY, 40).sum() > 100
    assert near(pixels(page, clip=SUMS), "9CC3F0", 40).sum() > 300
    # The three busiest rows lie on their prices, against the axis of the heatmap.
    wide = (near(profile, BUY, 60) | near(profile, SELL, 60)).sum(axis=1)
    low, high = page.evaluate(
        "() => { const r = Bokeh.documents[0].get_model_by_name('heat').y_range; return [r.start, r.end] }"
    )
    box = page.locator("#profile").bounding_box()
    assert box is not None
    for price in (61_601, 61_641, 61_701):
        at = round(box["y"] + box["height"] * (high - price) / (high - low)) - PROFILE["y"]
        assert wide[at - 1 : at + 2].max() > 60 > 3 * np.median(wide), price


def test_keys_act_on_the_tape(board: str, page: Page, tmp_path: Path) -> None:
    open_board(page, board)
    before = pixels(page)
    cells = (
        "Math.max(...Bokeh.documents[0].get_model_by_name('heat').renderers"
        ".map(r => (r.data_source.data.sell_end ?? []).length))"
    )
    page.keyboard.press("f")
    page.wait_for_function(f"{cells} > 20")
    close = until_other(page, before)
    page.screenshot(path=tmp_path / "footprint.png")
    span = "() => { const r = Bokeh.documents[0].get_model_by_name('heat').x_range; return r.end - r.start }"
    assert page.evaluate(span) == 80_000
    page.keyboard.press("f")
    page.wait_for_function(f"{cells} === 0")
    lit = until_other(page, close)
    page.keyboard.press("v")
    page.wait_for_function("new URL(location).searchParams.get('profile') === '4 h'")
    page.keyboard.press("h")
    page.wait_for_function("new URL(location).searchParams.get('layers') === 'Trades Levels'")
    dark = until_other(page, lit)
    assert (dark[..., 2] > 100).mean() < (close[..., 2] > 100).mean() / 2
    top = page.evaluate("Bokeh.documents[0].get_model_by_name('heat').y_range.end")
    page.mouse.move(1150, 400)
    page.mouse.wheel(0, 300)
    page.wait_for_function(f"Bokeh.documents[0].get_model_by_name('heat').y_range.end > {top}")


def test_handles_colour_in_the_browser(board: str, page: Page) -> None:
    open_board(page, board)
    before, shown = pixels(page), page.inner_text("#range")
    ends = page.evaluate(
        "() => { const range = Bokeh.documents[0].get_model_by_name('histogram').toolbar.tools"
        ".find(tool => tool.type === 'RangeTool').x_range; return [range.start, range.end] }"
    )
    axis = page.evaluate(
        "() => { const r = Bokeh.documents[0].get_model_by_name('histogram').x_range; return [r.start, r.end] }"
    )
    box = page.locator("#histogram").bounding_box()
    assert box is not None
    at = box["x"] + 6 + (box["width"] - 12) * (ends[0] - axis[0]) / (axis[1] - axis[0])
    middle = box["y"] + box["height"] / 3
    page.mouse.move(at, middle)
    page.mouse.down()
    page.mouse.move(at - 40, middle, steps=5)
    page.mouse.up()
    lower = until_other(page, before)
    assert page.inner_text("#range") != shown
    # A lower end shows smaller sizes: more of the picture is lit.
    assert (lower[..., 2] > 60).mean() > (before[..., 2] > 60).mean() + 0.02
    page.wait_for_function("new URL(location).searchParams.has('lo')")


def test_time_zones(board: str, page: Page) -> None:
    open_board(page, board)
    hover = "new Date(2024, 7, 9).getTimezoneOffset()"
    assert page.evaluate(hover) == -540
    noon = "isotherm.time(Date.UTC(2024, 7, 8, 12), [], {})"
    assert [page.evaluate(noon.format(zone)) for zone in (0, 1)] == ["21:00", "12:00"]
    before = pixels(page, clip={"x": 0, "y": 870, "width": 1140, "height": 30})
    button(page, "UTC")
    page.wait_for_function("document.getElementById('clock').textContent.endsWith('UTC')")
    until_other(page, before, clip={"x": 0, "y": 870, "width": 1140, "height": 30})


def test_new_columns_arrive_and_a_gap_is_a_hole(
    board: str, page: Page, data_dir: Path, tmp_path: Path
) -> None:
    open_board(page, board)
    before, end_ms = pixels(page), x_end(page)
    continue_book(data_dir, seconds=[*range(1, 20), *range(30, 40)])
    page.wait_for_function(f"({X_END}) > {end_ms} + 38000")
    after = until_other(page, before)
    page.screenshot(path=tmp_path / "gap.png")
    assert page.evaluate(
        "() => Bokeh.documents[0].get_model_by_name('heat').renderers"
        ".flatMap(r => Array.from(r.data_source.data.label ?? [])).includes('gap 10 s')"
    )
    assert near(after, "4A5769", 12).sum() > 1000  # the hatch
    assert page.evaluate(
        "() => { const heat = Bokeh.documents[0].get_model_by_name('heat');"
        " return heat.renderers.some(r => r.glyph.type === 'Text' && r.glyph.y.value === heat.y_range.start) }"
    )


def test_a_browser_comes_back(page: Page, errors: list[str], data_dir: Path, port: int) -> None:
    process = start(data_dir, port)
    open_board(page, f"http://127.0.0.1:{port}/")
    end(process)
    page.wait_for_function(
        "document.getElementById('lost').textContent.startsWith('Connection to the board lost')"
    )
    process = start(data_dir, port)
    try:
        page.wait_for_function("document.getElementById('words').textContent.startsWith('Recorded data')")
        page.wait_for_function("getComputedStyle(document.getElementById('lost')).display === 'none'")
        errors.clear()  # of the time without a connection
        steady(page)
        assert errors == []
        page.close()
    finally:
        end(process)


def test_a_port_in_use_is_told(board: str, data_dir: Path, port: int) -> None:
    second = spawn("board", "--data-dir", data_dir, "--port", port)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"port {port}" in told
    assert "Traceback" not in told


X_END = "Bokeh.documents[0].get_model_by_name('heat').x_range.end"


def x_end(page: Page) -> float:
    return float(page.evaluate(X_END))


def start(data_dir: Path, port: int) -> subprocess.Popen[str]:
    process = spawn("board", "--data-dir", data_dir, "--port", port)
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return process
    process.kill()
    raise AssertionError(f"the board did not start: {process.communicate()[1]}")


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


def open_board(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_function("document.getElementById('words').textContent.startsWith('Recorded data')")
    page.wait_for_function("Bokeh.documents[0].is_idle")
    steady(page)


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.mouse.move(1590, 5)


def pixels(page: Page, path: Path | None = None, clip: dict[str, int] | None = None) -> np.ndarray:
    """int[height, width, 3] of the heatmap; the whole window goes to `path`."""
    if path:
        page.screenshot(path=path)
    shot = page.screenshot(clip=clip or HEAT)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def steady(page: Page, clip: dict[str, int] | None = None) -> np.ndarray:
    """The picture once it has stopped changing."""
    before = pixels(page, clip=clip)
    for _ in range(40):
        page.wait_for_timeout(250)
        after = pixels(page, clip=clip)
        if np.array_equal(before, after):
            return after
        before = after
    raise AssertionError("the picture does not come to rest over data that does not change")


def until_other(page: Page, before: np.ndarray, clip: dict[str, int] | None = None) -> np.ndarray:
    for _ in range(60):
        if not np.array_equal(pixels(page, clip=clip), before):
            return steady(page, clip)
        page.wait_for_timeout(250)
    raise AssertionError("the picture did not change")


def near(image: np.ndarray, colour: str, distance: int = 6) -> np.ndarray:
    rgb = np.array([int(colour[at : at + 2], 16) for at in (0, 2, 4)])
    return np.abs(image - rgb).max(axis=2) <= distance


def changes_down(image: np.ndarray) -> int:
    return int((np.abs(np.diff(image, axis=0)).max(axis=2) > 8).sum())


def continue_book(data_dir: Path, seconds: list[int]) -> None:
    """Repeat the newest column so many seconds later."""
    store = connect(*embedded_store(data_dir, "writer"))
    names = [
        row[0]
        for row in store.query(
            "SELECT name FROM system.columns WHERE database = 'market' AND table = 'depth_1s'"
        )
    ]
    (row,) = store.query(
        f"SELECT {', '.join(names).replace('time,', 'toUnixTimestamp(time),', 1)} FROM market.depth_1s"
        " ORDER BY depth_1s.time DESC LIMIT 1"
    )
    newest = dict(zip(names, row, strict=True))
    rows = {}
    for name, value in newest.items():
        repeated = [value + after if name == "time" else value for after in seconds]
        rows[name] = (
            [np.array(value, np.float32)] * len(seconds) if name in ("bid", "ask")
            else repeated if isinstance(value, str) else np.array(repeated)
        )  # fmt: skip
    store.insert("depth_1s", rows)
    store.close()
