"""Full-text search: the index beside the messages, what it is asked, and what it finds."""
