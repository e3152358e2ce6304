"""The hot path: a caller's request goes in, the upstream's bytes come back as they arrive.

One file per step. Nothing here reads the database or waits for it.
"""
