"""Topics become tables: read, decode, write with the offsets in one database transaction."""
