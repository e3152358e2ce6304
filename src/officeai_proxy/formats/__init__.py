"""What conversations look like in files: bytes and values, no database, no network."""
