"""A built-in upstream with canned answers, for the first minute with this program."""
