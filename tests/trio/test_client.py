"""
Clients on trio: the request, the answer, and where they connect to.
"""

from __future__ import annotations

import contextlib

import pytest
import trio
from trio.testing import memory_stream_pair

from socketeer.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from socketeer.trio.client import ClientConnection, connect, unix_connect
from socketeer.trio.server import serve
from tests.trio.harness import QUIET, StreamPeer, connecting, serving, serving_tcp


@contextlib.asynccontextmanager
async def answering(answer):
    """
    Give a stream to a server that reads a request and answers with these bytes, or
    switches protocols.
    """
    ours, theirs = memory_stream_pair()
    peer = StreamPeer(theirs, "server")

    async def run():
        if answer is None:
            await peer.open_as_server()
        else:
            await peer.read_head()
            await peer.send(answer)
            await peer.stream.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield ours, peer


async def test_requests_as_told():
    """
    All options of the handshake reach the request.
    """
    async with serving(subprotocols=["b"]) as running:
        async with connect(
            "ws://ada:secret@test/path?query",
            stream=running.listener.connect(),
            origin="https://origin",
            subprotocols=["a", "b"],
            additional_headers={"X-Mine": "1"},
            user_agent_header="test",
            **QUIET,
        ) as connection:
            headers = connection.request.headers

            assert "/path?query" == connection.request.path
            assert "Basic YWRhOnNlY3JldA==" == headers["Authorization"]
            assert "https://origin" == headers["Origin"]
            assert "1" == headers["X-Mine"]
            assert "test" == headers["User-Agent"]
            assert "b" == connection.subprotocol
            assert 101 == connection.response.status_code
            theirs = await running.accepted.receive()
            assert list(headers.raw_items()) == list(theirs.request.headers.raw_items())


async def test_compresses_by_default():
    """
    And not with ``compression=None``.
    """
    async with serving(compression="deflate") as running:
        for options, count in [({}, 1), ({"compression": None}, 0)]:
            stream = running.listener.connect()
            async with connect("ws://test/", stream=stream, **options) as connection:
                assert count == len(connection.protocol.extensions)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", InvalidStatus),
        (b"HTTP/1.1 101 OK\r\n\r\n", InvalidHandshake),
        (b"nonsense\r\n\r\n", InvalidMessage),
        (b"", InvalidMessage),
    ],
)
async def test_raises_what_the_server_did_wrong(answer, error):
    """
    The stream is closed then.
    """
    async with answering(answer) as (stream, peer):
        with pytest.raises(error):
            async with connect("ws://test/", stream=stream):
                pytest.fail("connected")

        assert b"" == await peer.stream.receive_some()


async def test_messages_may_come_with_the_answer():
    """
    In the same read; none is lost.
    """
    async with answering(None) as (stream, peer):
        open_as_server = peer.open_as_server

        async def open_and_send():
            send, peer.send = (
                peer.send,
                lambda data: send(data + peer.frame("81", b"x")),
            )
            await open_as_server()
            peer.send = send

        peer.open_as_server = open_and_send
        async with connect("ws://test/", stream=stream, **QUIET) as connection:
            assert "x" == await connection.recv()
            await peer.stream.aclose()


async def test_connecting_times_out():
    """
    ``open_timeout`` limits all of it.
    """
    ours, _theirs = memory_stream_pair()
    with pytest.raises(TimeoutError, match="timed out during opening handshake"):
        async with connect("ws://test/", stream=ours, open_timeout=4):
            pytest.fail("connected to nobody")

    assert 4 == trio.current_time()


@pytest.mark.parametrize(
    ("uri", "arguments", "error", "message"),
    [
        ("http://test/", {}, InvalidURI, "scheme isn't ws or wss"),
        ("ws://test/", {"ssl": True}, ValueError, "incompatible with a ws:// URI"),
        ("ws://test/", {"compression": "zip"}, ValueError, "unsupported compression"),
        ("ws://test/", {"subprotocols": "x"}, TypeError, "must be a list"),
        ("ws://test/", {"speed": 1}, TypeError, "unexpected keyword argument 'speed'"),
    ],
)
async def test_refuses_arguments(uri, arguments, error, message):
    """
    When it is made, not when it is used.
    """
    with pytest.raises(error, match=message):
        connect(uri, **arguments)


async def test_a_bad_limit_leaves_no_stream_open():
    """
    Limits are checked when the connection is made.
    """
    ours, theirs = memory_stream_pair()
    with pytest.raises(ValueError, match="high must be greater"):
        async with connect("ws://test/", stream=ours, max_queue=(1, 2)):
            pytest.fail("connected")

    assert b"" == await theirs.receive_some()


async def test_is_not_reentrant():
    """
    One object, one connection at a time.
    """
    async with serving() as running:
        connector = connect("ws://test/", stream=running.listener.connect(), **QUIET)
        async with connector:
            with pytest.raises(RuntimeError, match="isn't reentrant"):
                await connector.__aenter__()


async def test_may_be_entered_and_left_in_different_tasks():
    """
    As fixtures of tests do; a nursery inside would not allow it.
    """
    async with serving() as running:
        connector = connect("ws://test/", stream=running.listener.connect(), **QUIET)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector.__aenter__)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector.__aexit__, None, None, None)

        connection = await running.accepted.receive()
        assert 1000 == connection.protocol.close_rcvd.code


async def test_makes_connections_as_told():
    """
    ``create_connection`` may be a class.
    """

    class Mine(ClientConnection):
        pass

    async with serving() as running:
        stream = running.listener.connect()
        async with connect(
            "ws://test/", stream=stream, create_connection=Mine, **QUIET
        ) as connection:
            assert isinstance(connection, Mine)
            connection.user = "ada"
            assert 1 == len({connection, connection})


async def test_host_and_port_override_the_uri(real_clock):
    """
    The name in the request stays that of the URI.
    """

    async def handler(connection):
        await connection.send(connection.request.headers["Host"])

    async with trio.open_nursery() as nursery:
        async with await nursery.start(_serve_locally, handler) as server:
            port = server.listeners[0].socket.getsockname()[1]
            async with connect(
                "ws://nowhere.invalid:81/",
                host="127.0.0.1",
                port=port,
                local_address="127.0.0.1",
                happy_eyeballs_delay=None,
                proxy=None,
            ) as connection:
                assert "nowhere.invalid:81" == await connection.recv()


async def _serve_locally(handler, task_status):
    await serve(handler, 0, host="127.0.0.1", task_status=task_status)


async def test_nobody_listens(real_clock, tmp_path):
    """
    That is an OSError.
    """
    with pytest.raises(OSError, match="connect|such file"):
        async with connect("ws://127.0.0.1:1/", proxy=None):
            pytest.fail("connected to nobody")
    with pytest.raises(OSError, match="connect|such file"):
        async with unix_connect(tmp_path / "socket"):
            pytest.fail("connected to nobody")


async def test_headers_of_an_iterator_are_sent_again(real_clock):
    """
    To each server that an object connects to.
    """
    seen = []

    async def handler(connection):
        seen.append(connection.request.headers.get("X-Token"))

    async with serving_tcp(handler) as server:
        connecter = connecting(server, additional_headers=iter([("X-Token", "secret")]))
        for _ in range(2):
            async with connecter as connection:
                await connection.wait_closed()

    assert ["secret", "secret"] == seen
