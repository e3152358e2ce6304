"""Keys in, what is sealed with them and opened again out; plain functions of bytes, no files."""
