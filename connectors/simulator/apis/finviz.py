"""The simulated half of FinViz Elite's export. Sources and their dates as in `connectors.feeds.finviz`.

Companies are invented; their prices go with that of BTC.
"""

import csv
import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.apis.series import price
from connectors.simulator.half import DEMO_KEY
from connectors.simulator.symbols import ASSETS

COLUMNS = (
    "No.",
    "Ticker",
    "Company",
    "Sector",
    "Industry",
    "Country",
    "Market Cap",
    "P/E",
    "Price",
    "Change",
    "Volume",
)
# Ticker, company, sector, industry, shares in millions, dollars
COMPANIES = (
    ("SIMA", "Simulated Audio, Inc", "Technology", "Computer Hardware", 118.4, 88.5),
    ("SIMB", "Simulated Bank", "Financial", "Banks - Regional", 900.0, 12.25),
    ("SIMC", "Simulated Care", "Healthcare", "Drug Manufacturers - General", 540.0, 311.0),
    ("SIMD", "Simulated Drilling", "Energy", "Oil & Gas Drilling", 77.0, 7.4),
)
LOGIN = b"<!DOCTYPE html><html><title>Log in</title><form><input type=password></form></html>"
HTML, CSV = MappingProxyType({"Content-Type": "text/html"}), MappingProxyType({"Content-Type": "text/csv"})


def _export(ask: Ask) -> Reply:
    factor, nothing = price(ask, "BTC", "USD") / ASSETS["BTC"].price, "nulls" in ask.faults
    text = io.StringIO()
    lines = csv.writer(text, quoting=csv.QUOTE_MINIMAL)
    lines.writerow("Mkt Cap" if x == "Market Cap" and "renamed_column" in ask.faults else x for x in COLUMNS)
    for at, (ticker, company, sector, industry, shares, usd) in enumerate(COMPANIES, 1):
        told = usd * factor
        lines.writerow([
            at, ticker, company, sector, industry, "USA", "" if nothing else f"{shares * told:.2f}",
            "" if nothing else f"{15 + at:.2f}", f"{told:.2f}", f"{(factor - 1) * 100:.2f}%", 100_000 * at,
        ])  # fmt: skip
    return Reply(200, text.getvalue().encode(), CSV)


class Finviz(ApiHalf):
    """One export, at both paths that are known."""

    name = "finviz"
    keys = MappingProxyType({DEMO_KEY: "elite"})
    windows = MappingProxyType({"elite": (Window(1, "minute"),)})

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """The export, old and new."""
        return {"/export.ashx": _export, "/export": _export}

    def key(self, ask: Ask) -> str:
        """In the query."""
        return ask.query.get("auth", "")

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """A wrong token meets the login page."""
        del retry_after_s
        match fault:
            case "bad_key" | "plan_expired":
                return Reply(200, LOGIN, HTML)
            case "limited":
                return Reply(429, b"Too many requests", HTML)
            case _:
                return Reply(410, b"Gone", HTML)


APIS = (Finviz,)
