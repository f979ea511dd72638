"""`isotherm backfill`: what it fetches and says, from simulated venues."""

import asyncio
import json
import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from connectors.access import Access, access
from connectors.backfill import Progress, Result
from connectors.commands import Instant
from connectors.feed import feed
from connectors.fetched import Series, Span
from connectors.file_log import FileLog
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from flows.backfill import Job, Teller, fetch, summary, text_of
from isotherm import main

NOW_NS = 1_795_365_930_000_000_000
MINUTE_NS = 60_000_000_000


def way_to(name: str, url: str, *symbols: str) -> Access:
    return access(feed(name), {f"ISOTHERM_{name}_URL".upper(): url}, symbols=symbols)


def test_an_unknown_symbol_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []

    async def work() -> tuple[Job, list[Result]]:
        async with Simulator(Options(markets=("binance_spot",), symbols=("BTCUSDT", "ETHUSDT"))) as simulator:
            url = simulator.urls("binance_spot")[1]
            way = way_to("binance_spot_rest", url, "BTCUSDT", "NOPEUSDT", "ETHUSDT")
            begin_ns = simulator.clock.now_ms() // 60_000 * MINUTE_NS - 300 * MINUTE_NS
            job = Job(way, 60, trades=True, span=Span(begin_ns, begin_ns + 200 * MINUTE_NS), again=False)
            with_log = FileLog(tmp_path / "log")
            found = await fetch(job, with_log, tmp_path, lambda: 0.5, said.append)
            with_log.close()
            return job, found

    job, results = asyncio.run(work())
    told = summary(job, results)
    assert (told["bars"], told["missing"], told["holes"]) == (400, 0, {})
    assert told["trades"] == 2 * 800 and told["requests"] == 2 * (1 + 4)
    assert list(told["errors"]) == ["NOPEUSDT"] and "-1121" in told["errors"]["NOPEUSDT"]
    assert said and said[0].startswith("BTCUSDT: 200 bars in 1 requests")
    assert json.loads(json.dumps(told)) == told


def test_holes_and_spans_are_told_as_times() -> None:
    job = Job(way_to("kraken_rest", "http://127.0.0.1:1"), 60, False, Span(NOW_NS, NOW_NS + MINUTE_NS), False)
    result = Result(series=Series("kraken_rest", "BTC/USD", 60), span=job.span, missing=1, holes=[job.span])
    told = summary(job, [result])
    assert told["holes"] == {"BTC/USD": [["2026-11-22T16:45:30Z", "2026-11-22T16:46:30Z"]]}
    assert told["missing"] == 1 and "trades" not in told and told["to"] == text_of(NOW_NS + MINUTE_NS)


def test_progress_is_said_once_a_second() -> None:
    said: list[str] = []
    now = [0.0]
    teller = Teller(said.append, lambda: now[0])
    for at in range(30):
        now[0] = at / 10
        progress = Progress(Series("a", "BTCUSDT", 60), at * 10, at, NOW_NS + at, Span(NOW_NS, NOW_NS + 100))
        teller.tell(progress)
    assert [x.split(",")[0] for x in said] == [
        f"BTCUSDT: {n} bars in {n // 10} requests" for n in (0, 100, 200)
    ]
    assert said[1].endswith("2026-11-22T16:45:30Z reached (10% of the span)")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-22", 1_795_305_600_000_000_000),
        ("2026-11-22T16:45:30Z", NOW_NS),
        ("2026-11-22T18:45:30+02:00", NOW_NS),
        ("2026-11-22T16:45:30.250000", NOW_NS + 250_000_000),
        ("yesterday", None), ("1890-01-01", None), ("2026-13-01", None), ("", None),
    ],
)  # fmt: skip
def test_times_are_dates_or_rfc_3339(text: str, ns: int | None) -> None:
    if ns is not None:
        assert Instant().convert(text, None, None) == ns
        return
    with pytest.raises(click.BadParameter, match="expected a time such as"):
        Instant().convert(text, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["kraken", "--from", "2026-11-01", "--interval", "7m"],
            "expected as interval of kraken_rest one of 1m, 5m",
        ),
        (["kraken", "--from", "2026-11-02", "--to", "2026-11-01"], "expected --from before --to"),
        (["atlantis", "--from", "2026-11-01"], "is not one of"),
        (["kraken", "--from", "soon"], "expected a time such as 2026-11-01"),
        (["kraken"], "expected --from"),
    ],
)
def test_what_a_user_gets_wrong_is_said_in_a_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    found = CliRunner().invoke(main, ["backfill", *arguments, "--data-dir", str(tmp_path / "d")])
    assert found.exit_code == 2 and message in found.output
    assert not (tmp_path / "d").exists()


def test_help_has_examples() -> None:
    found = CliRunner().invoke(main, ["backfill", "--help"])
    assert found.exit_code == 0 and "isotherm backfill binance_spot --symbols BTCUSDT,ETHUSDT" in found.output


@pytest.mark.slow
def test_backfilled_bars_are_in_the_store_once(tmp_path: Path) -> None:
    span = ["--from", "2026-11-01T00:00:00Z", "--to", "2026-11-01T02:00:00Z"]
    fetching = ["backfill", "binance_spot", "--symbols", "BTCUSDT", *span]
    counting = ["sql", "SELECT count(), uniqExact(open_ns), any(source) FROM market.bars FORMAT TSV"]

    async def work() -> list[str]:
        async with Simulator(Options(markets=("binance_spot",), symbols=("BTCUSDT",))) as simulator:
            url = simulator.urls("binance_spot")[1]
            environ = os.environ | {"ISOTHERM_BINANCE_SPOT_REST_URL": url}
            told = []
            for arguments in (fetching, [*fetching, "--again"], counting):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "isotherm", *arguments, "--data-dir", str(tmp_path), env=environ,
                    stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                out, _ = await process.communicate()
                assert process.returncode == 0
                told.append(out.decode())
            return told

    first, again, counted = asyncio.run(work())
    assert [json.loads(x)["bars"] for x in (first, again)] == [120, 120]
    assert counted.split() == ["120", "120", "rest"]
