"""A loopback exchange over an invented market: everything it sends is simulated, no price in it is real.

It speaks the protocol of a venue on 127.0.0.1, so that the connectors meet it exactly as they meet the venue,
and it knows the true book, so that tests can compare. `symbols`, `prices`, `book` and `market` invent the market
and `faults` decides what goes wrong (all pure and seeded); `binance` says it in the venue's words; `server` is the
one part with sockets and a clock.
"""
