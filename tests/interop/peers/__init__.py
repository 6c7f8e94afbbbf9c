"""
Other implementations, as servers and as clients, behind one small interface.

``peer.serve(program, ...)`` is an asynchronous context manager that gives the
URL of a server. Programs are named by the path:

==============  =============================================================
``/echo``       sends back each message
``/fragments``  sends back each message in fragments of ``size`` bytes
``/ping``       sends a ping, and when the pong comes, a message about it
``/close``      closes at once, with ``code`` and ``reason``
``/listen``     receives, and remembers how the connection was closed
``/report``     sends how the last connection to ``/listen`` was closed
==============  =============================================================

``await peer.run(url, steps, ...)`` connects as a client, takes the steps, and
closes. It returns the results of those steps that have one, and the
subprotocol:

=====================================  ======================================
``("send", message)``                  send it
``("fragments", [bytes, ...], text)``  send one message in fragments
``("receive",)``                       result: the next message
``("ping", text)``                     send a ping; result: payload of the pong
``("close", code, reason)``            begin the closing handshake
``("closed",)``                        result: code and reason, from the other
=====================================  ======================================
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

__all__ = ["TIMEOUT", "Deflate", "Result", "pieces_of"]

# Seconds for a test. The time limit of pytest-timeout is a signal, which does
# not interrupt uvloop while it waits.
TIMEOUT = 30


@dataclasses.dataclass(frozen=True)
class Deflate:
    """What an endpoint asks for when it negotiates permessage-deflate."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    def asked_for(self):
        """Return the options that were set, by name."""
        options = dataclasses.asdict(self)
        return {name: value for name, value in options.items() if value}


class Result(NamedTuple):
    """What came of a script."""

    results: list
    subprotocol: str | None


def pieces_of(message, size):
    """Cut a message into fragments of this many bytes."""
    data = message.encode() if isinstance(message, str) else message
    return [data[i : i + size] for i in range(0, len(data), size)]
