"""
How the program ends, for shells and other programs.
"""

from __future__ import annotations

import enum
import signal

__all__ = ["ExitStatus"]


class ExitStatus(enum.IntEnum):
    """
    Exit statuses of the program.
    """

    # The connection was closed normally, or by us.
    OK = 0
    # There was no connection.
    CANNOT_CONNECT = 1
    # The command line, or a line of the input, makes no sense.
    USAGE = 2
    # The peer closed the connection with a code that says something is wrong.
    CLOSED = 3
    # The connection was lost without a closing handshake.
    LOST = 4
    # As shells have it for programs that a signal ends.
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM
    # Nobody reads what we write.
    NO_READER = 128 + 13
