"""The board: a Bokeh server whose pages read the store as user `board`."""
