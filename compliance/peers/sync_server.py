"""
An echo server on threads, for the Autobahn test suite: PORT.
"""

from __future__ import annotations

import signal
import sys

from socketeer.sync.server import ServerConnection, serve

# Bytes: the cases of group 9 send messages of 16 MiB; the default is 1 MiB.
MAX_SIZE = 2**25


def echo(connection: ServerConnection) -> None:
    """
    Send each message back.
    """
    for message in connection:
        connection.send(message)


def main(port: int) -> None:
    """
    Serve until told to stop.
    """
    with serve(echo, "127.0.0.1", port, max_size=MAX_SIZE) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.shutdown())
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
