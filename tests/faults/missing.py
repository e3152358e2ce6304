"""What a fault needs and this machine does not have or does not allow; said where it is skipped."""


class Missing(Exception):
    """The fault cannot be made here; the message says why."""
