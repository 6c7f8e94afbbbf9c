"""
Unix sockets of servers, in whatever room.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from .typing import PathLike

__all__ = ["bind_unix"]


def bind_unix(path: PathLike) -> socket.socket:
    """
    Return a Unix socket bound to a path.

    A socket that stands there already, left over from another process, is removed.

    Raises:
        OSError: The path cannot be bound.
    """
    path = os.fspath(path)
    if path[:1] not in ("\0", b"\0"):
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.remove(path)
        except FileNotFoundError:
            pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise OSError(
                errno.EADDRINUSE, f"Address {path!r} is already in use"
            ) from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock
