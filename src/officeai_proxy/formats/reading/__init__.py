"""Files of conversations in, conversations out, one at a time; never the whole file in memory."""
