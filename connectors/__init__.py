"""Venues and APIs into raw topics: everything up to and including the topic log."""
