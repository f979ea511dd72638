"""The simulated venues and APIs on the loopback: every one that has a half, on one port, and what steers them.

`POST /_simulator/fault` takes a `faults.Command` as JSON; `pause`, `resume` and `advance?ms=` (while paused) move the
time; `GET /_simulator/truth?market=&symbol=[&depth=]` is the true book after the last frame sent,
`/_simulator/counters` what was served, refused and broken, by market and by API.
"""

import asyncio
import time
from typing import Any

import msgspec
from aiohttp import web

from connectors.simulator import faults as f
from connectors.simulator.api import ApiHalf, apis
from connectors.simulator.api_desk import API_FAULTS
from connectors.simulator.api_service import ApiService
from connectors.simulator.clock import VenueClock
from connectors.simulator.half import Half, chosen, halves
from connectors.simulator.service import MESSAGE_BYTES_MAX, Options, VenueService
from connectors.simulator.world import SimulatedWorld

HOST = "127.0.0.1"


class Simulator:
    """The venues and the APIs. `async with Simulator(options) as simulator:` serves until it is left; see `ws_url`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.clock = VenueClock(options.past_s, options.manual)
        self.faults = f.Faults(options.faults)
        self.world = SimulatedWorld(options.seed, self.clock)
        self.venues = {
            half.name: VenueService(half, options, self.clock, self.faults, self.world)
            for half in _halves(options)
        }
        self.apis = {half.name: ApiService(half, self.world, self.faults) for half in _apis(options)}
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = options.port

    @property
    def ws_url(self) -> str:
        """Base of the WebSocket URLs."""
        return f"ws://{HOST}:{self.port}"

    @property
    def rest_url(self) -> str:
        """Base of the REST URLs."""
        return f"http://{HOST}:{self.port}"

    def urls(self, market: str) -> tuple[str, str]:
        """Base of a market's WebSocket and of its REST URLs, as connectors want them."""
        base = self.venues[market].half.base()
        return self.ws_url + base, self.rest_url + base

    def api_url(self, name: str) -> str:
        """Base of an API's URLs."""
        return f"{self.rest_url}/{name}"

    async def __aenter__(self) -> "Simulator":
        """Serve. Raises OSError if the port is in use."""
        app = web.Application(client_max_size=MESSAGE_BYTES_MAX)
        for venue in self.venues.values():
            venue.add_routes(app)
        for api in self.apis.values():
            api.add_routes(app)
        app.router.add_post("/_simulator/{act}", self._on_act)
        app.router.add_get("/_simulator/{what}", self._on_ask)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._options.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._tasks = [asyncio.create_task(venue.play()) for venue in self.venues.values()]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for venue in self.venues.values():
            venue.disconnect()
        if self._runner is not None:
            await self._runner.cleanup()

    async def failed(self) -> None:
        """Returns only by raising what ended the play of a market."""
        await asyncio.gather(*self._tasks)

    # ---- commands

    async def advance(self, by_ms: int) -> None:
        """Let time pass while it is paused; returns when everything up to there is on its way.

        Raises:
            ValueError: it is not paused.
        """
        self.clock.advance(by_ms)
        for venue in self.venues.values():
            await venue.caught_up()

    def fault(self, command: f.Command) -> None:
        """Carry out a command. Raises ValueError."""
        of_apis = command.kind in API_FAULTS
        known = [*self.apis] if of_apis else [*self.venues, *self.apis]
        if command.market not in (None, *known):
            raise ValueError(f"expected as market of {command.kind} one of {known}, found {command.market}")
        for name, api in self.apis.items():
            if command.market in (None, name):
                api.act(command)
        if of_apis or (command.kind == "heal" and command.market in self.apis):
            return
        self.faults.command(command, time.monotonic())
        for name, venue in self.venues.items():
            if command.market in (None, name):
                venue.act(command)

    def counters(self) -> dict[str, Any]:
        """What has been served, refused and broken."""
        served: dict[str, VenueService | ApiService] = {**self.venues, **self.apis}
        return {"faults": dict(self.faults.counts)} | {name: x.counters() for name, x in served.items()}

    async def _on_act(self, request: web.Request) -> web.Response:
        act = request.match_info["act"]
        try:
            if act == "fault":
                self.fault(msgspec.json.decode(await request.read(), type=f.Command))
            elif act == "pause":
                self.clock.pause()
            elif act == "resume":
                self.clock.resume()
            elif act == "advance":
                await self.advance(int(request.query.get("ms", "0")))
            else:
                raise web.HTTPNotFound
        except (ValueError, msgspec.MsgspecError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"now_ms": self.clock.now_ms()})

    async def _on_ask(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if what == "counters":
            return web.json_response(self.counters())
        venue = self.venues.get(request.query.get("market", ""))
        symbol, depth = request.query.get("symbol", ""), request.query.get("depth", "0")
        if what != "truth" or venue is None or symbol not in venue.half.symbols or not depth.isdecimal():
            return web.json_response({"error": "expected counters, or truth?market=&symbol="}, status=404)
        return web.json_response(venue.truth(symbol, int(depth) or None))


def _halves(options: Options) -> list[Half]:
    """Those served: they list something of what is asked for.

    Raises:
        ValueError: no half plays a market of that name.
    """
    known = halves()
    if unknown := [x for x in options.markets if x not in known]:
        raise ValueError(f"expected markets among {', '.join(sorted(known))}, found {', '.join(unknown)}")
    found = [known[name] for name in options.markets or sorted(known)]
    return [half(symbols) for half in found if (symbols := chosen(half, options.symbols))]


def _apis(options: Options) -> list[ApiHalf]:
    """Those served. Raises ValueError: no half plays an API of that name."""
    known = apis()
    if unknown := [x for x in options.apis if x not in known]:
        raise ValueError(f"expected APIs among {', '.join(sorted(known))}, found {', '.join(unknown)}")
    return [known[name]() for name in options.apis or sorted(known)]
