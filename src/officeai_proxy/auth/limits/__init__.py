"""How much a key may do: requests and tokens in a minute, calls at once; never a database.

`ledger` is what the hot path asks; `sharing` tells other hosts and hears from them.
"""
