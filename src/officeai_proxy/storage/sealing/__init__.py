"""Encryption at rest: values on their way into rows are sealed, and opened on their way out."""
