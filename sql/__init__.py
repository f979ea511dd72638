"""Everything about the store: schema, migration, client and the embedded server."""
