"""A loopback exchange over an invented market: everything it sends is simulated, no price in it is real.

It speaks the protocols of the venues on 127.0.0.1, so that the connectors meet it exactly as they meet them, and it
knows the true books, so that tests can compare. `symbols`, `prices`, `book` and `market` invent the market and `faults`
decides what goes wrong; `half` says what the simulated half of a venue is, one file each, and `best` helps those that
tell of the best levels only (all pure and seeded). `service` plays one market to its clients; `server`, with all of
them on one port, and `service` are the parts with sockets and a clock.
"""
