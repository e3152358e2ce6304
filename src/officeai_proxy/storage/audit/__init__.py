"""The audit log: a chain of rows, each added to its end, and whether it holds."""
