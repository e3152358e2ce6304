"""A request body that comes piece by piece goes out as it comes, in chunks or under its length."""

from collections.abc import AsyncIterator

from officeai_proxy.proxy.upstream.connection import Connection


async def upload(
    connection: Connection, body: AsyncIterator[bytes], *, head: bytes, length: int | None
) -> None:
    """Send *head* and every piece of *body*, no faster than the upstream takes them.

    Raises:
        ValueError: the body is longer or shorter than the *length* that the head promised.
    """
    await connection.write_some(head)
    if length is None:
        await _in_chunks(connection, body)
    else:
        await _under_its_length(connection, body, length=length)
    connection.request_is_sent()


async def _in_chunks(connection: Connection, body: AsyncIterator[bytes]) -> None:
    async for piece in body:
        # An empty chunk would mean the end (RFC 9112, section 7.1).
        if piece:
            await connection.write_some(b"%x\r\n%b\r\n" % (len(piece), piece))
    await connection.write_some(b"0\r\n\r\n")


async def _under_its_length(
    connection: Connection, body: AsyncIterator[bytes], *, length: int
) -> None:
    sent = 0
    async for piece in body:
        sent += len(piece)
        if sent > length:
            break
        await connection.write_some(piece)
    if sent != length:
        raise ValueError(f"a request body of {length} bytes came out at {sent} bytes")
