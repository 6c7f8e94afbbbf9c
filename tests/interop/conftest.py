"""The peers, and our own two ends, as fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from socketeer.asyncio.server import serve

from .peers import TIMEOUT
from .peers.aiohttp_peer import AiohttpPeer
from .peers.node_peer import INSTALLED, NodePeer, NodeProcess
from .peers.websockets_peer import WebsocketsPeer


@pytest.fixture(scope="session")
def node_peer(node):
    """Start the processes of ``ws``, which serve all tests."""
    if not INSTALLED.is_dir():
        reason = "run 'npm ci' in tests/interop first"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with (
        NodeProcess(node, "ws_server.mjs") as server,
        NodeProcess(node, "ws_client.mjs") as client,
    ):
        yield NodePeer(server.read(), client)


def make_peer(request):
    """Return the peer that a parameter names."""
    if request.param == "ws":
        return request.getfixturevalue("node_peer")
    return {"websockets": WebsocketsPeer, "aiohttp": AiohttpPeer}[request.param]()


@pytest.fixture(params=["websockets", "aiohttp", "ws"])
def peer(request):
    """Talk to each of the other implementations."""
    return make_peer(request)


# aiohttp sends each message in one frame.
@pytest.fixture(params=["websockets", "ws"])
def fragmenting_peer(request):
    """Talk to those that can send a message in fragments."""
    return make_peer(request)


# Neither servers nor clients of aiohttp have options for all parameters.
@pytest.fixture(params=["websockets", "ws"])
def configurable_peer(request):
    """Talk to those that can be told what to ask for, and what to grant."""
    return make_peer(request)


@pytest.fixture
def serving():
    """Serve with Socketeer; the context manager gives the URL."""

    @contextlib.asynccontextmanager
    async def serving(handler, **options):
        async with (
            asyncio.timeout(TIMEOUT),
            serve(handler, "127.0.0.1", 0, **options) as server,
        ):
            port = server.sockets[0].getsockname()[1]
            yield f"ws://127.0.0.1:{port}/"

    return serving
