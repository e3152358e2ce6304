"""The only SQL of the project: SQLite or PostgreSQL behind repositories that speak in `model`."""
