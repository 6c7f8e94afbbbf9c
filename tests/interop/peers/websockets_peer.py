"""The Python package ``websockets``."""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from . import TIMEOUT, Result, pieces_of

__all__ = ["WebsocketsPeer"]


async def echo(connection, _options):
    """Send back each message."""
    async for message in connection:
        await connection.send(message)


async def fragments(connection, options):
    """Send back each message in fragments."""
    async for message in connection:
        pieces = pieces_of(message, options["size"])
        await connection.send(pieces, text=isinstance(message, str))


async def ping(connection, _options):
    """Send a ping, and tell when the pong has come."""
    await (await connection.ping("from the server"))
    await connection.send("pong from the server")
    await connection.wait_closed()


async def close(connection, options):
    """Close at once."""
    await connection.close(options["code"], options["reason"])


async def listen(connection, options):
    """Receive, and remember how the connection was closed."""
    await connection.wait_closed()
    options["closes"].append(f"{connection.close_code} {connection.close_reason}")


async def report(connection, options):
    """Tell how the last connection was closed."""
    await connection.send(options["closes"][-1])


PROGRAMS = {
    f"/{program.__name__}": program
    for program in (echo, fragments, ping, close, listen, report)
}


class WebsocketsPeer:
    """Servers and clients of ``websockets``."""

    def __init__(self):
        self.closes = []

    @contextlib.asynccontextmanager
    async def serve(self, program, *, deflate=None, subprotocols=(), **options):
        """Serve a program; give its URL."""

        async def handler(connection):
            await PROGRAMS[program](connection, {"closes": self.closes, **options})

        extensions = []
        if deflate is not None:
            extensions = [ServerPerMessageDeflateFactory(**deflate.asked_for())]
        async with (
            asyncio.timeout(TIMEOUT),
            serve(
                handler,
                "127.0.0.1",
                0,
                compression=None,
                extensions=extensions or None,
                subprotocols=list(subprotocols) or None,
                max_size=None,
            ) as server,
        ):
            port = server.sockets[0].getsockname()[1]
            yield f"ws://127.0.0.1:{port}{program}"

    async def run(self, url, steps, *, deflate=None, subprotocols=()):
        """Run a script as a client."""
        extensions = []
        if deflate is not None:
            # True offers the parameter without a value, as browsers do.
            options = {"client_max_window_bits": True, **deflate.asked_for()}
            extensions = [ClientPerMessageDeflateFactory(**options)]
        async with connect(
            url,
            compression=None,
            extensions=extensions or None,
            subprotocols=list(subprotocols) or None,
            max_size=None,
        ) as connection:
            results = [await step(connection, *values) for values in steps]
        results = [result for result in results if result is not None]
        return Result(results, connection.subprotocol)


async def step(connection, name, *values):
    """Take a step of a script."""
    match name, *values:
        case "send", message:
            await connection.send(message)
        case "fragments", pieces, text:
            await connection.send(pieces, text=text)
        case ("receive",):
            return await connection.recv()
        case "ping", data:
            await (await connection.ping(data))
            return data
        case "close", code, reason:
            await connection.close(code, reason)
        case ("closed",):
            await connection.wait_closed()
            return [connection.close_code, connection.close_reason]
        case _:
            raise AssertionError(f"no such step: {name}")
    return None
