"""The Grafana boards: generated JSON and what provisions it."""
