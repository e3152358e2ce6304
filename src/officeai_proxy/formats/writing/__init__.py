"""Conversations to the bytes of a file, a passage at a time, in memory that does not grow."""
