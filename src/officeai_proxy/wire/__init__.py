"""What goes over the wire, in and out of Python values: pure functions on bytes, never any I/O."""
