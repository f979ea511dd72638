"""The simulated half of Alpha Vantage. Sources and their dates as in `connectors.feeds.alpha_vantage`.

All failures have status 200. Companies and news are invented; their prices go with that of BTC.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.apis.series import bars, digits, pair, price, renamed
from connectors.simulator.half import DEMO_KEY
from connectors.simulator.symbols import ASSETS

SIZE = 100  # of a compact series
TICKERS = MappingProxyType({"SIMA": 88.5, "SIMB": 12.25, "SIMC": 311.0, "SIMD": 7.4})
PREMIUM = "to instantly unlock all premium endpoints"
WORDS: Mapping[ApiFault, tuple[str, str]] = MappingProxyType({
    "bad_key": ("Error Message", "the parameter apikey is invalid or missing. Please claim your free API key on "
                "(https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds."),
    "plan_expired": ("Information", f"Thank you for using Alpha Vantage! This is a premium endpoint. You may "
                     f"subscribe to any of the premium plans {PREMIUM}"),
    "limited": ("Information", "Thank you for using Alpha Vantage! Please consider spreading out your free API "
                f"requests more sparingly (1 request per second). You may subscribe to any of the premium plans to "
                f"lift the free key rate limit (25 requests per day), raise the per-second burst limit, and {PREMIUM}"),
})  # fmt: skip
DAY_USED = (
    "We have detected your API key as {key} and our standard API rate limit is 25 requests per day. Please "
    "subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to instantly remove all daily "
    "rate limits."
)
INVALID = (
    "Invalid API call. Please retry or visit the documentation (https://www.alphavantage.co/documentation/)."
)


def _said(found: Mapping[str, Any]) -> Reply:
    return Reply(200, msgspec.json.encode(found))


def _text(time_ms: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime(form)


def _rate(ask: Ask) -> Reply:
    base, quote = ask.query.get("from_currency", ""), ask.query.get("to_currency", "")
    if base not in ASSETS or quote not in ASSETS:
        return _said({"Error Message": f"{INVALID} for CURRENCY_EXCHANGE_RATE."})
    places, middle, nothing = digits(base, quote), price(ask, base, quote), "nulls" in ask.faults
    rate = {
        "1. From_Currency Code": base, "2. From_Currency Name": base,
        "3. To_Currency Code": quote, "4. To_Currency Name": quote,
        "5. Exchange Rate": f"{middle:.8f}", "6. Last Refreshed": _text(ask.world.now_ms), "7. Time Zone": "UTC",
        "8. Bid Price": "-" if nothing else f"{middle * 0.99995:.{places + 1}f}",
        "9. Ask Price": "-" if nothing else f"{middle * 1.00005:.{places + 1}f}",
    }  # fmt: skip
    return _said({"Realtime Currency Exchange Rate": renamed(ask, rate, "5. Exchange Rate", "5. Rate")})


def _series(ask: Ask) -> Reply:
    """Newest first."""
    base, quote = ask.query.get("from_symbol", ""), ask.query.get("to_symbol", "")
    minutes = ask.query.get("interval", "").removesuffix("min")
    is_daily = ask.query["function"] == "FX_DAILY"
    if pair(base + quote) is None or not (is_daily or minutes in ("1", "5", "15", "30", "60")):
        return _said({"Error Message": f"{INVALID} for {ask.query['function']}."})
    interval_s = 86_400 if is_daily else int(minutes) * 60
    to_ms = ask.world.now_ms + 1
    told = bars(ask, base, quote, interval_s, to_ms - SIZE * interval_s * 1000, to_ms)
    form, places = "%Y-%m-%d" if is_daily else "%Y-%m-%d %H:%M:%S", digits(base, quote)
    meta = {
        "1. Information": "Forex Prices", "2. From Symbol": base, "3. To Symbol": quote,
        "4. Output Size": "Compact", "5. Last Refreshed": _text(ask.world.now_ms), "6. Time Zone": "UTC",
    }  # fmt: skip
    names = ("open", "high", "low", "close")
    values = {
        _text(bar.open_ms, form): renamed(
            ask,
            {f"{at}. {x}": f"{getattr(bar, x):.{places}f}" for at, x in enumerate(names, 1)},
            "4. close",
            "4. last",
        )
        for bar in reversed(told)
    }
    title = "Time Series FX (Daily)" if is_daily else f"Time Series FX ({minutes}min)"
    return _said({"Meta Data": meta, title: values})


def _movers(ask: Ask) -> Reply:
    factor, nothing = price(ask, "BTC", "USD") / ASSETS["BTC"].price, "nulls" in ask.faults
    movers = [
        renamed(ask, {
            "ticker": ticker, "price": f"{usd * factor:.2f}", "change_amount": f"{usd * (factor - 1):.2f}",
            "change_percentage": None if nothing else f"{(factor - 1) * 100:.4f}%", "volume": f"{1000 * at}",
        }, "ticker", "symbol")
        for at, (ticker, usd) in enumerate(TICKERS.items(), 1)
    ]  # fmt: skip
    last = _text(ask.world.now_ms) + " US/Eastern"
    return _said({
        "metadata": "Top gainers, losers, and most actively traded US tickers", "last_updated": last,
        "top_gainers": movers[:2], "top_losers": movers[2:], "most_actively_traded": movers,
    })  # fmt: skip


def _news(ask: Ask) -> Reply:
    nothing = "nulls" in ask.faults
    hour_ms = ask.world.now_ms // 3_600_000 * 3_600_000
    article = {
        "title": "A simulated article", "url": f"https://news.example/{hour_ms}",
        "time_published": _text(hour_ms, "%Y%m%dT%H%M%S"), "authors": [], "summary": None if nothing else "Invented.",
        "banner_image": None, "source": "Simulated", "source_domain": "news.example",
        "topics": [{"topic": "Financial Markets", "relevance_score": "0.9"}],
        "overall_sentiment_score": None if nothing else 0.2, "overall_sentiment_label": "Somewhat-Bullish",
        "ticker_sentiment": [{
            "ticker": "CRYPTO:BTC", "relevance_score": "0.8", "ticker_sentiment_score": "0.25",
            "ticker_sentiment_label": "Somewhat-Bullish",
        }],
    }  # fmt: skip
    return _said({"items": "1", "feed": [renamed(ask, article, "time_published", "published")]})


ANSWERS: Mapping[str, Callable[[Ask], Reply]] = MappingProxyType({
    "CURRENCY_EXCHANGE_RATE": _rate, "FX_DAILY": _series, "FX_INTRADAY": _series,
    "TOP_GAINERS_LOSERS": _movers, "NEWS_SENTIMENT": _news,
})  # fmt: skip


def _query(ask: Ask) -> Reply:
    answer = ANSWERS.get(ask.query.get("function", ""))
    return answer(ask) if answer else _said({"Error Message": "This API function does not exist."})


class AlphaVantage(ApiHalf):
    """Rates, bars of forex, movers, news."""

    name = "alpha_vantage"
    keys = MappingProxyType({DEMO_KEY: "free", f"{DEMO_KEY}-premium": "premium"})
    windows = MappingProxyType(
        {"free": (Window(5, "minute"), Window(25, "day")), "premium": (Window(75, "minute"),)}
    )

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """One path."""
        return {"/query": _query}

    def key(self, ask: Ask) -> str:
        """In the query."""
        return ask.query.get("apikey", "")

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """Words, with status 200."""
        del retry_after_s
        if fault == "gone":
            return Reply(410, b"Gone", {"Content-Type": "text/plain"})
        name, words = WORDS[fault]
        return _said({name: words})

    def limited(self, window: Window, retry_after_s: int) -> Reply:
        """Of the day, with the key."""
        if window.span != "day":
            return self.refusal("limited", retry_after_s)
        return _said({"Information": DAY_USED.format(key=DEMO_KEY)})


APIS = (AlphaVantage,)
