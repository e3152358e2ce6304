"""How either database is opened and spoken to: addresses, connections, statements for many rows."""
