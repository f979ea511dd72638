"""The command of this package: `simulate`. `isotherm` hangs it into its own."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace

import click

from connectors.commands import Failure, Span
from connectors.feed import feeds
from connectors.simulator import faults
from connectors.simulator.half import DEMO_KEY, halves
from connectors.simulator.server import HOST, Simulator
from connectors.simulator.service import Options


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.", show_default=True
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="Of the market and its faults."
)
@click.option(
    "--symbols", default="", help="Comma-separated, such as BTCUSDT,BTC/USD.  [default: each venue's]"
)
@click.option(
    "--fault", "chances", multiple=True, metavar="KIND=P", help=f"By chance: {', '.join(faults.CHANCES)}."
)
@click.option(
    "--past", "past_s", type=Span(), default="15m", show_default=True, help="Played before the present."
)
def simulate(port: int, seed: int, symbols: str, chances: tuple[str, ...], past_s: float) -> None:
    """Serve invented markets and polled APIs that speak like the real ones, on this machine alone.

    Nothing it sends is real. The lines it prints, set in the environment, send `isotherm connect` and `isotherm
    backfill` there. Prices reach back five years; forex is traded around the clock. APIs count requests by key and
    refuse what is beyond the limits of the key's plan.

    \b
    isotherm simulate --seed 7
    isotherm simulate --symbols BTCUSDT --past 5m --fault gap=0.001 --fault disconnect=0.01
    """
    options = Options(
        seed=seed,
        symbols=_symbols(symbols),
        past_s=int(past_s),
        port=port,
        faults=_chances(seed, chances),
    )
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        raise Failure(f"expected to serve on {HOST}:{port}, found: {error}; choose another --port") from None


async def _serve(options: Options) -> None:
    async with Simulator(options) as simulator:
        click.echo(
            f"# simulated markets: {', '.join(simulator.venues)}; faults and counters: {simulator.rest_url}"
        )
        for market in simulator.venues:
            ws_url, rest_url = simulator.urls(market)
            click.echo(f"export ISOTHERM_{market.upper()}_WS={ws_url}")
            click.echo(f"export ISOTHERM_{market.upper()}_REST={rest_url}")
        click.echo(f"# simulated APIs: {', '.join(simulator.apis)}; the key of all that want one: {DEMO_KEY}")
        for name, url in _feed_urls(simulator).items():
            click.echo(f"export ISOTHERM_{name.upper()}_URL={url}")
        serving = asyncio.ensure_future(simulator.failed())
        for stop in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(stop, serving.cancel)
        with suppress(asyncio.CancelledError):
            await serving


def _feed_urls(simulator: Simulator) -> dict[str, str]:
    """Where polled feeds are answered: at their API, or, of a venue's history, at the venue."""
    urls = {}
    for name, feed in sorted(feeds().items()):
        if name in simulator.apis:
            urls[name] = simulator.api_url(name)
        elif feed.venue in simulator.venues:
            urls[name] = simulator.urls(feed.venue)[1]
    return urls


def _symbols(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(x.strip().upper() for x in text.split(",") if x.strip()))
    listed = dict.fromkeys(x.symbol for half in halves().values() for x in half.listed)
    if unknown := [x for x in names if x not in listed]:
        raise Failure(f"expected symbols among {', '.join(listed)}, found {', '.join(unknown)}")
    return names


def _chances(seed: int, texts: tuple[str, ...]) -> faults.Options:
    options = faults.Options(seed=seed)
    for text in texts:
        name, _, number = text.partition("=")
        try:
            if name not in faults.CHANCES:
                raise ValueError(f"unknown kind {name!r}")
            options = replace(options, **{name: float(number)})  # type: ignore[arg-type]
        except ValueError as error:
            raise Failure(
                f"expected --fault KIND=P with P in [0, 1] and KIND one of {', '.join(faults.CHANCES)}, "
                f"found {text!r}: {error}"
            ) from None
    return options
