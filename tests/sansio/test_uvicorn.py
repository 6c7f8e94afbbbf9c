"""
`ServerProtocol` in its place in uvicorn, which drives that of websockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
import types

import pytest
import websockets.asyncio.client

import socketeer
from socketeer.asyncio.client import connect

uvicorn = pytest.importorskip("uvicorn")

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

ADAPTER = "uvicorn.protocols.websockets.websockets_sansio_impl"

# What the adapter imports of websockets.
MODULES = [
    "datastructures",
    "exceptions",
    "extensions",
    "extensions.permessage_deflate",
    "frames",
    "http11",
    "server",
]

# Ours and another one's.
CLIENTS = {"socketeer": connect, "websockets": websockets.asyncio.client.connect}


@pytest.fixture(scope="module")
def adapter():
    """
    Import uvicorn's adapter with our modules under the names of websockets'.
    """
    with pytest.MonkeyPatch.context() as patch:
        package = types.ModuleType("websockets")
        # The version whose interface ours is.
        package.__version__ = websockets.__version__
        patch.setitem(sys.modules, "websockets", package)
        for name in MODULES:
            ours = importlib.import_module(f"socketeer.{name}")
            patch.setitem(sys.modules, f"websockets.{name}", ours)
        patch.delitem(sys.modules, ADAPTER, raising=False)
        module = importlib.import_module(ADAPTER)
        assert module.ServerProtocol is socketeer.ServerProtocol
        yield module.WebSocketsSansIOProtocol
        sys.modules.pop(ADAPTER)


async def application(scope, receive, send):
    """
    Echo; do what the path says.
    """
    assert "websocket.connect" == (await receive())["type"]
    if scope["path"] == "/forbidden":
        await send({"type": "websocket.close"})
        return
    await send(
        {
            "type": "websocket.accept",
            "subprotocol": next(iter(scope["subprotocols"]), None),
            "headers": [(b"x-query", scope["query_string"])],
        }
    )
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "close":
            await send({"type": "websocket.close", "code": 4000, "reason": "bye"})
            continue
        reply = {key: event[key] for key in ("text", "bytes") if event.get(key)}
        await send({"type": "websocket.send", **reply})


@contextlib.asynccontextmanager
async def serving(adapter):
    """
    Run uvicorn; return its URI.
    """
    config = uvicorn.Config(
        application, port=0, ws=adapter, lifespan="off", log_config=None, loop="none"
    )
    server = uvicorn.Server(config)
    async with asyncio.timeout(20):
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}"
        server.should_exit = True
        await running


@pytest.fixture(params=CLIENTS)
def connecting(request):
    """
    Connect with either client.
    """
    return CLIENTS[request.param]


async def test_uvicorn_echoes(adapter, connecting):
    """
    Text and binary, short and long, compressed.
    """
    messages = ["hello", "é" * 70_000, b"\x00\xff", b"x" * 70_000]
    async with serving(adapter) as uri, connecting(f"{uri}/?a=b") as client:
        for message in messages:
            await client.send(message)
        assert messages == [await client.recv() for _ in messages]
        assert 0 <= await (await client.ping())

        assert "b" == client.response.headers["X-Query"].partition("=")[2]
        assert (
            "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        )


async def test_uvicorn_puts_fragments_together(adapter, connecting):
    """
    With a ping between them.
    """

    async def fragments():
        yield "a"
        await client.ping()
        yield "b"

    async with serving(adapter) as uri, connecting(uri) as client:
        await client.send(fragments())
        assert "ab" == await client.recv()


async def test_uvicorn_negotiates_and_refuses(adapter, connecting):
    """
    Subprotocols are the application's; so is a 403.
    """
    async with serving(adapter) as uri:
        async with connecting(uri, subprotocols=["chat"]) as client:
            assert "chat" == client.subprotocol
        with pytest.raises(Exception, match="HTTP 403"):
            async with connecting(f"{uri}/forbidden"):
                pass


async def test_uvicorn_closes(adapter, connecting):
    """
    Codes and reasons pass in both directions.
    """
    async with serving(adapter) as uri:
        async with connecting(uri) as client:
            await client.send("close")
            await client.wait_closed()
            assert (4000, "bye") == (client.close_code, client.close_reason)
        async with connecting(uri) as client:
            await client.close(4001, "mine")
            assert (4001, "mine") == (client.close_code, client.close_reason)


async def test_uvicorn_fails_what_is_too_big(adapter, connecting):
    """
    With 1009, as the protocol says.
    """
    async with serving(adapter) as uri, connecting(uri) as client:
        await client.send(b"x" * (2**24 + 1))
        await client.wait_closed()

        assert 1009 == client.close_code
