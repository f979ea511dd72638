"""Polled APIs, one file each; each lists its `FEEDS`."""
