"""From the hot path to the store: a journal on disk, and one recorder per host that empties it."""
