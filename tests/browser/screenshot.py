"""README's picture, made anew: `make screenshot` runs the demo and photographs the board in headless Chromium."""

import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.test_board import CHROMIUM, FLAGS
from tests.integration.pipeline import spawn

PORT = 5017
LIVE_S = 45
PATH = Path(__file__).resolve().parents[2] / "dashboards" / "board" / "screenshot.png"


def main() -> int:
    with tempfile.TemporaryDirectory() as data_dir:
        demo = spawn(
            "demo",
            "--data-dir",
            data_dir,
            "--board-port",
            PORT,
            "--symbols",
            "BTCUSDT,ETHUSDT,SOLUSDT",
            "--past",
            "15m",
        )
        try:
            url = f"http://127.0.0.1:{PORT}/"
            _wait_for(url)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                page = browser.new_page(viewport={"width": 1600, "height": 900})
                page.goto(f"{url}?i=BTC-USDT-PERP%20binance_futures")
                time.sleep(LIVE_S)
                page.screenshot(path=PATH)
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()
    print(PATH)
    return 0


def _wait_for(url: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(url).close()
            return
        except urllib.error.URLError:
            time.sleep(1)
    raise TimeoutError(f"the board does not answer at {url}")


if __name__ == "__main__":
    sys.exit(main())
