"""Many conversations at once: read for an export as of one moment, or brought in from a file."""
