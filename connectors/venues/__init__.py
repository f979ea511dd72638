"""One file a venue; `connectors.venue.markets` finds them by scanning this package."""
