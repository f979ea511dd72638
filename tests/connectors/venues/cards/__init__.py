"""One card a market: `cards/<market>.py` holds `CARD`. `test_conformance` runs them all and misses those not there."""
