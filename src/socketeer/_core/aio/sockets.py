"""
Read from and write to a socket that does not block.

This is the portable twin of ``_fast/aio/sockets.pyx``, which makes the system
calls on the file descriptor; both must behave alike.
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..outbox import Outbox

__all__ = [
    "READ_SIZE",
    "pending_error",
    "read_into",
    "write_bytes",
    "write_outbox",
    "write_vector",
]

# Bytes taken by one read. Larger reads save system calls for those who send much,
# but let one connection keep the loop busy for longer: with frames of a few bytes,
# these take about 15 ms, and as many as the compiled twin reads would take 60. A
# message of 16 KiB comes in one.
READ_SIZE = 16384 + 64

# How many buffers one call may write; POSIX promises at least 16.
_MAX_BUFFERS = 16


def read_into(sock: socket.socket, fd: int, buffer: bytearray, most: int) -> int:
    """
    Read into a buffer.

    Args:
        sock: The socket.
        fd: Its file descriptor.
        buffer: The buffer.
        most: Bytes to read at most, or 0 for as many as the buffer holds.

    Returns:
        How many bytes were read; 0 at the end of the stream; -1 when nothing
        can be read now.

    Raises:
        OSError: The connection is broken.
    """
    try:
        return sock.recv_into(buffer, most)
    except (BlockingIOError, InterruptedError):
        return -1


def pending_error(sock: socket.socket, fd: int) -> int:
    """
    Return the number of the error that waits to be reported, or 0.
    """
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def write_outbox(sock: socket.socket, fd: int, outbox: Outbox) -> int:
    """
    Write an outbox; return how many bytes went out.

    Raises:
        OSError: The connection is broken.
    """
    return write_bytes(sock, fd, outbox.tail(0))


def write_bytes(sock: socket.socket, fd: int, data: bytes) -> int:
    """
    Write bytes; return how many went out.

    Raises:
        OSError: The connection is broken.
    """
    try:
        return sock.send(data)
    except (BlockingIOError, InterruptedError):
        return 0


def write_vector(sock: socket.socket, chunks: Sequence[bytes | memoryview]) -> int:
    """
    Write the first of several pieces of data; return how many bytes went out.

    Raises:
        OSError: The connection is broken.
    """
    try:
        return sock.sendmsg(chunks[:_MAX_BUFFERS])
    except (BlockingIOError, InterruptedError):
        return 0
