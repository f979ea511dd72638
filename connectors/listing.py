"""What a venue's REST interface says of the instruments followed."""

import structlog

from connectors.rest import Rest, RestError
from connectors.telemetry import State, Telemetry
from connectors.venue import Instrument, Market, Request

UNKNOWN = (400, 404)  # statuses of a request that names a symbol the venue does not know

_log = structlog.get_logger(__name__)


class Listing:
    """The instruments of `symbols`, as the venue tells them."""

    def __init__(self, market: Market, symbols: list[str], rest: Rest) -> None:
        self._market, self._symbols, self._rest = market, symbols, rest

    async def fetch(self) -> list[Instrument]:
        """All of those symbols that the venue knows; [] of a market that tells none by request.

        Raises:
            RestError, ParseError: it does not answer, or not as documented.
        """
        if self._market.live.instruments is None:
            return []
        requests = self._market.live.instruments(self._symbols)
        if len(requests) > 1:
            return [each for request in requests for each in await self._one(request)]
        try:
            return await self._asked(requests)
        except RestError as error:
            if error.status not in UNKNOWN or len(self._symbols) == 1:
                raise
        # One unknown symbol spoils the request for all of them.
        alone = [self._market.live.instruments([symbol]) for symbol in self._symbols]
        return [each for requests in alone for request in requests for each in await self._one(request)]

    async def _one(self, request: Request) -> list[Instrument]:
        """The answer to a request about one symbol; [] if the venue does not know it."""
        try:
            return await self._asked([request])
        except RestError as error:
            if error.status not in UNKNOWN:
                raise
            return []

    async def _asked(self, requests: list[Request]) -> list[Instrument]:
        bodies = [(await self._rest.get(request)).body for request in requests]
        told = [each for body in bodies for each in self._market.instruments(body)]
        return [each for each in told if each.symbol in self._symbols]

    def known(self, instruments: list[Instrument], telemetry: Telemetry) -> list[str]:
        """The symbols that are among the instruments, where there are any; the others are down."""
        if not instruments:
            return self._symbols
        known = {instrument.symbol for instrument in instruments}
        for symbol in self._symbols:
            if symbol not in known:
                telemetry.feed(self._market.name, symbol).become(State.DOWN, "unknown to the venue")
                _log.error("the venue does not know this symbol", venue=self._market.name, symbol=symbol)
        return [symbol for symbol in self._symbols if symbol in known]
