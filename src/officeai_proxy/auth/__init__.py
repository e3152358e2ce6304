"""Who is calling and what that key may do: a header in, a `Caller` out; never a database."""
