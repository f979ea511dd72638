"""One simulated API served at `/<name>`: `ApiDesk` over HTTP, with connections that an outage cuts."""

import time
from typing import Any

from aiohttp import web

from connectors.simulator import faults as f
from connectors.simulator.api import ApiHalf, World
from connectors.simulator.api_desk import API_FAULTS, ApiDesk


class ApiService:
    """The requests of one API."""

    def __init__(self, half: ApiHalf, world: World, faults: f.Faults) -> None:
        self.desk, self.name, self._faults = ApiDesk(half, world), half.name, faults
        self._cut = 0

    def add_routes(self, app: web.Application) -> None:
        """Everything below the API's name."""
        app.router.add_get(f"/{self.name}{{path:/.*}}", self._on_get, allow_head=False)

    def act(self, command: f.Command) -> None:
        """Carry out a command that is for APIs, of any kind; others are none of its business."""
        if command.kind == "heal":
            self.desk.heal()
        elif command.kind in API_FAULTS:
            self.desk.fault(command.kind, command.count, command.for_s)

    def counters(self) -> dict[str, Any]:
        """What was asked, refused and broken: `ApiDesk.counters`."""
        return self.desk.counters() | {"connections_refused": self._cut}

    async def _on_get(self, request: web.Request) -> web.Response:
        if self._faults.refuses(self.name, time.monotonic()):
            self._cut += 1
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        reply = self.desk.answer(request.raw_path.removeprefix(f"/{self.name}"), request.headers)
        return web.Response(status=reply.status, body=reply.body or None, headers=reply.headers)
