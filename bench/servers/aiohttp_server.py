"""
A server on aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio

from aiohttp import WSMsgType, web

from .common import options, run, tls_context


def handler(compress: bool) -> web.Application:
    """
    Return an application that sends each message back.
    """

    async def echo(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(compress=compress, max_msg_size=0)
        await connection.prepare(request)
        async for message in connection:
            if message.type == WSMsgType.TEXT:
                await connection.send_str(message.data)
            else:
                await connection.send_bytes(message.data)
        return connection

    application = web.Application()
    application.router.add_get("/", echo)
    return application


async def main(chosen: argparse.Namespace) -> None:
    """
    Serve until the process is ended.
    """
    runner = web.AppRunner(handler(chosen.deflate), access_log=None)
    await runner.setup()
    site = web.TCPSite(
        runner, "127.0.0.1", chosen.port, ssl_context=tls_context(chosen.tls)
    )
    await site.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = options()
    run(main(arguments), arguments.loop)
