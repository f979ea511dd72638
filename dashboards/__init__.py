"""Boards and reports: they read ClickHouse through `sql` and import nothing of the flows."""
