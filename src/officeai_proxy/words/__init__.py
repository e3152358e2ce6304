"""Texts to words, the same for both databases: what an index holds, what a query asks for."""
