"""Who may come in: keys, what they use, and visits of the page; digests, never a secret."""
