"""Plain classes and compiled functions that take data and return data: no I/O, no clock."""
