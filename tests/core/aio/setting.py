"""
A transport between a member that takes notes and a socket.
"""

from __future__ import annotations

import asyncio
import random

from tests.asyncio.harness import settle, wait_until
from tests.core.aio.ends import member_class, socket_pair

LARGE = 2_000_000  # bytes; more than the kernel holds


def pattern(size):
    return random.Random(size).randbytes(size)


class Setting:
    """
    A transport that reads and writes, and the socket at the other end.
    """

    def __init__(self, core, high=65_536, low=16_384, pair=None):
        self.member = member_class(core)()
        sock, self.peer = pair or socket_pair()
        self.fd = sock.fileno()
        self.transport = core.aio.transport.SocketTransport(
            core.aio.turn.turn_of(asyncio.get_running_loop()),
            sock,
            self.member,
            high,
            low,
            sock.getpeername(),
        )
        self.transport.start()

    async def read(self, size):
        """
        Read from the other end, at least that many bytes or up to the end.
        """
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < size:
            more = await loop.sock_recv(self.peer, 65_536)
            if not more:
                break
            data += more
        return data

    async def lost(self):
        """
        Wait until the connection is lost; return what the member noted.
        """
        await wait_until(lambda: self.member.is_lost)
        return self.member.events

    async def tear_down(self):
        """
        Close both ends.
        """
        self.transport.abort()
        self.peer.close()
        await settle()
