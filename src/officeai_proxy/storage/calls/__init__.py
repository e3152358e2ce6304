"""The call log, and the numbers that are made of it."""
