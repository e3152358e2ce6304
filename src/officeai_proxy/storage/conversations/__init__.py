"""Conversations, their messages and users: listed, read, changed, deleted, each in its walls."""
