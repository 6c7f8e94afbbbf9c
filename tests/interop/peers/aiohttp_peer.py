"""The Python package ``aiohttp``."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from aiohttp import WSMsgType, web

from . import TIMEOUT, Result

__all__ = ["AiohttpPeer"]


async def send(socket, message):
    """Send text or bytes."""
    if isinstance(message, str):
        await socket.send_str(message)
    else:
        await socket.send_bytes(message)


async def echo(socket, _options):
    """Send back each message."""
    async for message in socket:
        await send(socket, message.data)


async def ping(socket, _options):
    """Send a ping, and tell when the pong has come."""
    await socket.ping(b"from the server")
    message = await socket.receive()
    if message.type is WSMsgType.PONG:
        await socket.send_str(f"pong {bytes(message.data).decode()}")
    await socket.receive()


async def close(socket, options):
    """Close at once."""
    await socket.close(code=options["code"], message=options["reason"].encode())


async def listen(socket, options):
    """Receive, and remember how the connection was closed."""
    message = await socket.receive()
    if message.type is WSMsgType.CLOSE:
        options["closes"].append(f"{message.data} {message.extra}")


async def report(socket, options):
    """Tell how the last connection was closed."""
    await socket.send_str(options["closes"][-1])


PROGRAMS = {
    f"/{program.__name__}": program for program in (echo, ping, close, listen, report)
}


class AiohttpPeer:
    """
    Servers and clients of ``aiohttp``.

    Its servers take window bits and context takeover from the offer of the
    client; they have no such options of their own. Its clients choose one of
    these parameters only, ``server_max_window_bits``.
    """

    def __init__(self):
        self.closes = []

    @contextlib.asynccontextmanager
    async def serve(self, program, *, deflate=None, subprotocols=(), **options):
        """Serve a program; give its URL."""
        if deflate is not None and deflate.asked_for():
            raise AssertionError("servers of aiohttp have no options for deflate")

        async def handle(request):
            socket = web.WebSocketResponse(
                compress=deflate is not None,
                protocols=subprotocols,
                autoping=program != "/ping",
                max_msg_size=0,
            )
            await socket.prepare(request)
            await PROGRAMS[program](socket, {"closes": self.closes, **options})
            await socket.close()
            return socket

        application = web.Application()
        application.router.add_get(program, handle)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with asyncio.timeout(TIMEOUT):
                yield f"ws://127.0.0.1:{runner.addresses[0][1]}{program}"
        finally:
            await runner.cleanup()

    async def run(self, url, steps, *, deflate=None, subprotocols=()):
        """Run a script as a client."""
        compress = 0
        if deflate is not None:
            compress = deflate.asked_for().get("server_max_window_bits", 15)
        pings = any(name == "ping" for name, *_ in steps)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                url,
                compress=compress,
                protocols=subprotocols,
                autoping=not pings,
                max_msg_size=0,
            ) as socket,
        ):
            results = [await step(socket, *values) for values in steps]
        results = [result for result in results if result is not None]
        return Result(results, socket.protocol)


async def step(socket, name, *values):
    """Take a step of a script."""
    match name, *values:
        case "send", message:
            await send(socket, message)
        case ("receive",):
            return (await socket.receive()).data
        case "ping", data:
            await socket.ping(data.encode())
            message = await socket.receive()
            if message.type is not WSMsgType.PONG:
                raise AssertionError(f"expected a pong, got {message}")
            return bytes(message.data).decode()
        case "close", code, reason:
            await socket.close(code=code, message=reason.encode())
        case ("closed",):
            message = await socket.receive()
            return [message.data, message.extra]
        case _:
            raise AssertionError(f"no such step: {name}")
    return None
