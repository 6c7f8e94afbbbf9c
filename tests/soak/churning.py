"""
The clients' process: connections that open, talk, and break somewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from socketeer.asyncio.client import connect
from socketeer.exceptions import WebSocketException
from tests.soak.measuring import Complaints, report, run

__all__: list[str] = []

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)

# A masked text frame of 100 bytes.
FRAME = b"\x81\xe4" + bytes(4) + b"x" * 100


class Churn:
    """
    Opens connections, one after another, in as many tasks as asked for.

    Args:
        port: Where the server listens.
        context: For TLS.
        life: How long a connection lives on average, seconds.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None, life: float) -> None:
        self.port = port
        self.context = context
        self.life = life

    def connect(self) -> Any:
        """
        Return what opens a connection.
        """
        scheme = "wss" if self.context else "ws"
        return connect(
            f"{scheme}://localhost:{self.port}",
            host="127.0.0.1",
            proxy=None,
            ssl=self.context,
            ping_interval=3,
            ping_timeout=3,
            close_timeout=2,
        )

    async def pause(self) -> None:
        """
        Wait for as long as a connection lives.
        """
        await asyncio.sleep(min(random.expovariate(1 / self.life), 5 * self.life))

    async def talk(self, connection: Any) -> None:
        """
        Say something, listen, and be silent for a while.
        """
        for size in (10, 3000, random.randrange(100_000)):
            await connection.send("x" * size)
            while await connection.recv() == "news" * 100:
                pass
        await self.pause()

    async def close(self) -> None:
        """
        End in good order.
        """
        async with self.connect() as connection:
            await self.talk(connection)

    async def abort(self) -> None:
        """
        End in no order.
        """
        async with self.connect() as connection:
            await self.talk(connection)
            await connection.send("y" * random.randrange(200_000))
            connection.transport.abort()

    async def be_ended(self) -> None:
        """
        Let the server end it.
        """
        async with self.connect() as connection:
            await self.talk(connection)
            words = ["close", "abort", "garbage", "return"]
            await connection.send(random.choice(words))
            async with asyncio.timeout(10):
                async for _ in connection:
                    pass

    async def ping(self) -> None:
        """
        Send pings, and have the server send some.
        """
        async with self.connect() as connection:
            await connection.send("ping")
            await (await connection.ping())
            await self.pause()

    async def give_up(self) -> None:
        """
        Cancel what is going on, wherever it is.
        """

        async def parts() -> AsyncIterator[str]:
            for _ in range(1000):
                yield "part"
                await asyncio.sleep(0.01)

        async def send() -> None:
            async with self.connect() as connection:
                await connection.send(parts())

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.random() * 0.2):
                await send()
        await self.pause()

    async def raw(self) -> None:
        """
        Break in the middle of something, without the library.
        """
        cut = random.choice(
            [
                REQUEST[: random.randrange(len(REQUEST))],
                REQUEST + FRAME[: random.randrange(1, len(FRAME))],
                REQUEST + random.randbytes(50),
                REQUEST + FRAME * 10 + b"\x88\x80" + bytes(4),
            ]
        )
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self.context,
            server_hostname="localhost" if self.context else None,
        )
        try:
            writer.write(cut)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.random() * 4):
                    await reader.read(1000)
            if random.random() < 0.5:
                writer.transport.abort()
        finally:
            writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
        await self.pause()

    async def run(self) -> None:
        """
        Go on for ever.
        """
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.close,
            self.abort,
            self.be_ended,
            self.ping,
            self.give_up,
            self.raw,
        ]
        # Not all at once.
        await asyncio.sleep(random.random() * self.life)
        while True:
            with contextlib.suppress(
                WebSocketException, OSError, EOFError, TimeoutError
            ):
                await random.choice(kinds)()


async def main() -> None:
    """
    Churn for a while.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--authority")
    options = parser.parse_args()
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    asyncio.get_running_loop().slow_callback_duration = 60
    context = None
    if options.authority:
        context = ssl.create_default_context(cafile=options.authority)
    churn = Churn(options.port, context, options.connections / options.rate)
    tasks = [asyncio.create_task(churn.run()) for _ in range(options.connections)]
    await report(options.seconds, options.interval, complaints)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=20)


if __name__ == "__main__":
    run(main())
