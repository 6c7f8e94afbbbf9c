"""
Servers for the program's clients, and clients for its servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from click.testing import CliRunner

from socketeer.asyncio.server import serve
from tests.asyncio.harness import HANG


async def talk(connection):
    """
    Send back messages; do what some of them say.
    """
    async for message in connection:
        if message == "binary":
            await connection.send(b"\x00\xff")
        elif message == "path":
            await connection.send(connection.request.path)
        elif isinstance(message, str) and message.startswith("header "):
            values = connection.request.headers.get_all(message[7:])
            await connection.send(repr(values))
        elif isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message[6:]), "as you say")
        elif message == "abort":
            connection.transport.abort()
        else:
            await connection.send(message)


@contextlib.asynccontextmanager
async def talking(handler=talk, **options):
    """
    Run a server; return its URI.
    """
    async with (
        asyncio.timeout(HANG),
        serve(handler, "127.0.0.1", 0, **options) as server,
    ):
        scheme = "wss" if options.get("ssl") else "ws"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.fixture
def invoke():
    """
    Run the program in this process.
    """
    # Imported late, so that tests of its absence can come first.
    from socketeer.cli.program import program  # noqa: PLC0415

    def invoke(*arguments, **options):
        return CliRunner().invoke(program, list(arguments), **options)

    return invoke


@pytest.fixture
def environment(tmp_path):
    """
    An environment for processes: no colours, no proxies, a history of its own.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
    }
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "NO_COLOR": "1"}
