"""The simulated halves of polled APIs, one file each; each lists its `APIS`."""
