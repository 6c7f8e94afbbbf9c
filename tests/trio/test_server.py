"""
Servers on trio: starting, the opening handshake and its hooks, closing.
"""

from __future__ import annotations

import dataclasses
import functools
import http
import logging
import re

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from socketeer.exceptions import ConnectionClosedOK, InvalidStatus, ProtocolError
from socketeer.extensions import Extension, ServerExtensionFactory
from socketeer.trio.client import connect, unix_connect
from socketeer.trio.server import (
    Server,
    ServerConnection,
    basic_auth,
    serve,
    unix_serve,
)
from tests.trio.harness import QUIET, MemoryListener, StreamPeer, serving

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


async def ask(running, *lines, request=REQUEST):
    """
    Send a request; return the status and all of the response.
    """
    peer = StreamPeer(running.listener.connect(), "client")
    await peer.send(request + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
    head = await peer.read_head()
    status = int(head.first_line.split()[1])
    if status != 101:
        await peer.stream.send_eof()
        return status, head, (await peer.read_rest()).decode()
    return status, head, peer


async def echo(connection):
    async for message in connection:
        await connection.send(message)


# Starting.


async def test_listens_on_a_port(real_clock, caplog):
    """
    ``nursery.start()`` returns when clients can connect, and the log tells where.
    """
    caplog.set_level(logging.INFO)
    async with trio.open_nursery() as nursery:
        start = functools.partial(serve, echo, 0, host="127.0.0.1", backlog=10)
        server = await nursery.start(start)
        [listener] = server.listeners
        port = listener.socket.getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as connection:
            await connection.send("hello")
            assert "hello" == await connection.recv()
            assert ("127.0.0.1", port) == connection.remote_address
            [theirs] = server.connections
            assert connection.local_address == theirs.remote_address
        await server.aclose()

    messages = [record.message for record in caplog.records]
    assert f"server listening on 127.0.0.1:{port}" in messages
    assert "server closed" == messages[-1]


async def test_listens_on_a_unix_socket(tmp_path):
    """
    A socket that was left over there is removed; the client needs the path only.
    """
    path = tmp_path / "socket"
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            async with await nursery.start(unix_serve, echo, path):
                async with unix_connect(path) as connection:
                    await connection.send("hello")

                    assert "hello" == await connection.recv()
                    assert str(path) == connection.remote_address
                    assert "localhost" == connection.request.headers["Host"]


async def test_unix_socket_of_the_callers(tmp_path):
    """
    ``listeners`` replaces the path.
    """
    with pytest.raises(ValueError, match="path was not specified"):
        await unix_serve(echo)
    with pytest.raises(ValueError, match="path is incompatible with listeners"):
        await unix_serve(echo, tmp_path / "socket", listeners=[])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "port is required when listeners is not provided"),
        ({"port": 1, "listeners": []}, ValueError, "port is incompatible with"),
        ({"host": "", "listeners": []}, ValueError, "host is incompatible with"),
        ({"backlog": 1, "listeners": []}, ValueError, "backlog is incompatible with"),
        ({"port": 0, "compression": "zip"}, ValueError, "unsupported compression: zip"),
        ({"port": 0, "subprotocols": "x"}, TypeError, "subprotocols must be a list"),
        ({"port": 0, "ssl": True}, TypeError, "ssl argument must be an SSLContext"),
        ({"port": 0, "max_queue": (1, 2)}, ValueError, "high must be greater"),
        ({"port": 0, "speed": 1}, TypeError, "speed"),
    ],
)
async def test_refuses_arguments(real_clock, arguments, error, message):
    """
    That contradict each other, or make no sense: nothing is started.
    """
    with pytest.raises(error, match=message):
        await serve(echo, **arguments)


async def test_a_port_in_use_is_an_error(real_clock):
    """
    It is raised to whoever starts the server.
    """
    async with trio.open_nursery() as nursery:
        server = await nursery.start(functools.partial(serve, host="::1"), echo, 0)
        port = server.listeners[0].socket.getsockname()[1]
        with pytest.raises(OSError, match="[Aa]ddress already in use"):
            await serve(echo, port, host="::1")
        await server.aclose()


# Hooks.


async def test_hooks_answer():
    """
    Functions and coroutine functions, before and after the decision.
    """

    async def process_request(connection, request):
        await trio.sleep(1)
        if request.path == "/health":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        return None

    def process_response(connection, request, response):
        assert connection.response is response
        response.headers["X-Seen"] = request.path

    async with serving(
        process_request=process_request,
        process_response=process_response,
        server_header="test",
    ) as running:
        status, head, body = await ask(
            running, request=REQUEST.replace(b"/ ", b"/health ")
        )
        assert (200, "OK\n", ["/health"]) == (status, body, head.get_all("X-Seen"))
        assert ["test"] == head.get_all("Server")

        status, head, _ = await ask(running)
        assert (101, ["/"]) == (status, head.get_all("X-Seen"))


async def test_process_response_replaces_the_response():
    """
    It may refuse what would have been accepted.
    """

    async def process_response(connection, request, response):
        return connection.respond(418, "no\n")

    async with serving(process_response=process_response, server_header=None) as r:
        status, head, body = await ask(r)

        assert (418, "no\n", []) == (status, body, head.get_all("Server"))


@pytest.mark.parametrize("name", ["process_request", "process_response"])
@pytest.mark.parametrize("result", [ZeroDivisionError(), "no response"])
async def test_failing_hooks_are_errors_of_the_server(caplog, name, result):
    """
    The client gets a 500, the log a traceback.
    """

    def hook(*args):
        if isinstance(result, Exception):
            raise result
        return result

    async with serving(**{name: hook}) as running:
        status, _, body = await ask(running)

        assert 500 == status
        assert body.endswith("See server log for more information.\n")
        [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert f"{name} failed" == record.message


async def test_selects_a_subprotocol():
    """
    The hook gets the connection.
    """
    connections = []

    def select_subprotocol(connection, subprotocols):
        connections.append(connection)
        return subprotocols[-1]

    async with serving(
        subprotocols=["a", "b"], select_subprotocol=select_subprotocol
    ) as running:
        _, head, _ = await ask(running, b"Sec-WebSocket-Protocol: a, b")
        assert ["b"] == head.get_all("Sec-WebSocket-Protocol")
        connection = await running.accepted.receive()
        assert [connection] == connections
        assert "b" == connection.subprotocol


@pytest.mark.parametrize(
    ("options", "lines", "status"),
    [
        ({"origins": ["https://good"]}, [b"Origin: https://good"], 101),
        ({"origins": [re.compile("https://.*")]}, [b"Origin: https://good"], 101),
        ({"origins": ["https://good"]}, [b"Origin: https://evil"], 403),
        ({"origins": [None]}, [], 101),
        ({"subprotocols": ["a"]}, [], 400),
        ({}, [], 101),
    ],
)
async def test_decides_by_its_options(options, lines, status):
    """
    The options of the handshake reach the protocol.
    """
    async with serving(**options) as running:
        assert status == (await ask(running, *lines))[0]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"POST / HTTP/1.1\r\n", 405),
        (b"GET / HTTP/1.0\r\n", 505),
        (b"nonsense\r\n", 400),
    ],
)
async def test_answers_what_is_no_handshake(request_line, status):
    """
    The protocol knows the answers; the room sends them.
    """
    async with serving() as running:
        assert status == (await ask(running, request=request_line))[0]


async def test_compresses():
    """
    By default, and as the program wants for each message.
    """
    async with serving(compression="deflate") as running:
        peer = await running.raw_client(
            ("Sec-WebSocket-Extensions", "permessage-deflate")
        )
        connection = await running.accepted.receive()
        await connection.send("x" * 100)
        await connection.send("x" * 100, compress=False)
        await connection.send("short")

        assert [0xC1, 0x81, 0x81] == [(await peer.read_frame()).head for _ in range(3)]


async def test_authenticates():
    """
    ``basic_auth`` is the one of the other rooms.
    """
    hook = basic_auth(realm="test", credentials=("ada", "secret"))
    async with serving(process_request=hook) as running:
        status, head, _ = await ask(running)
        assert 401 == status
        assert 'Basic realm="test"' in head.get_all("WWW-Authenticate")[0]
        status, _, _ = await ask(running, b"Authorization: Basic YWRhOnNlY3JldA==")
        assert 101 == status
        assert "ada" == (await running.accepted.receive()).username


async def test_makes_connections_as_told(caplog):
    """
    ``create_connection`` may be a class; if it fails, the client is let go.
    """

    class Mine(ServerConnection):
        async def send(self, message, **options):
            await super().send(message.upper(), **options)

    async with serving(echo, create_connection=Mine) as running:
        peer = await running.raw_client()
        await peer.send_frame("81", b"hello")
        assert b"HELLO" == (await peer.read_frame()).payload

    async with serving(create_connection=lambda *args, **kwargs: 1 / 0) as running:
        with pytest.raises(EOFError):
            await running.raw_client()
        assert "opening handshake failed" in [r.message for r in caplog.records]


async def test_other_extensions_see_frames():
    """
    An extension of the program's own gets each data frame.
    """

    class Reverse(Extension):
        name = "x-reverse"

        def decode(self, frame, *, max_size=None):
            return dataclasses.replace(frame, data=frame.data[::-1])

        def encode(self, frame):
            return dataclasses.replace(frame, data=frame.data[::-1])

    class Factory(ServerExtensionFactory):
        name = "x-reverse"

        def process_request_params(self, params, accepted_extensions):
            return [], Reverse()

    async with serving(extensions=[Factory()]) as running:
        peer = await running.raw_client(("Sec-WebSocket-Extensions", "x-reverse"))
        connection = await running.accepted.receive()
        await peer.send_frame("81", b"abc")
        assert "cba" == await connection.recv()
        await connection.send("abc")
        assert b"cba" == (await peer.read_frame()).payload


# Deadlines.


async def test_a_slow_request_times_out():
    """
    The client is told so.
    """
    async with serving(open_timeout=3) as running:
        peer = StreamPeer(running.listener.connect(), "client")
        await peer.send(b"GET / HTTP/1.1\r\n")

        assert "HTTP/1.1 408 Request Timeout" == (await peer.read_head()).first_line
        assert 3 == trio.current_time()


async def test_a_slow_hook_times_out():
    """
    That is not the client's fault.
    """

    async def process_request(connection, request):
        await trio.sleep_forever()

    async with serving(open_timeout=3, process_request=process_request) as running:
        status, _, body = await ask(running)

        assert (503, 3) == (status, trio.current_time())
        assert "server timeout" in body


async def test_a_refused_client_has_to_go():
    """
    It has ``close_timeout`` to close its side, then it is cut.
    """
    async with serving(origins=[], close_timeout=5) as running:
        peer = StreamPeer(running.listener.connect(), "client")
        await peer.send(REQUEST + b"\r\n")
        await peer.read_rest()
        await trio.sleep(6)

        with pytest.raises(trio.BrokenResourceError):
            await peer.send(b"still here")


async def test_a_client_that_vanishes_is_forgotten(caplog):
    """
    Before, amid and after its request, without noise.
    """
    caplog.set_level(logging.WARNING)
    async with serving() as running:
        for data in [b"", b"GET / HT", REQUEST]:
            peer = StreamPeer(running.listener.connect(), "client")
            await peer.send(data)
            await peer.stream.aclose()
            await wait_all_tasks_blocked()

        assert set() == running.server.openings == running.server.connections
        assert [] == caplog.records


# Closing.


async def test_closes_gracefully():
    """
    No new clients; those in the handshake get a 503; those that are connected 1001;
    handlers end by themselves.
    """
    ended = []

    async def handler(connection):
        with pytest.raises(ConnectionClosedOK):
            while True:
                await connection.recv()
        await trio.sleep(30)
        ended.append(connection)

    async with serving(handler) as running:
        peer = await running.raw_client()
        early = StreamPeer(running.listener.connect(), "client")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.server.aclose)
            nursery.start_soon(running.server.aclose)
            assert (
                "HTTP/1.1 503 Service Unavailable"
                == (await early.read_head()).first_line
            )
            await early.stream.aclose()
            await peer.close_after_close()

        assert 1 == len(ended)
        assert trio.current_time() >= 30
        with pytest.raises(trio.BrokenResourceError):
            running.listener.connect()


async def test_closes_with_another_code():
    """
    1012 tells clients of a restart; what cannot be sent closes nothing.
    """
    async with serving(echo) as running:
        peer = await running.raw_client()
        for code, reason in [(1005, ""), (999, ""), (1001, "x" * 124)]:
            with pytest.raises(ProtocolError):
                await running.server.aclose(code=code, reason=reason)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                functools.partial(running.server.aclose, code=1012, reason="update")
            )
            assert (1012, "update") == await peer.read_close()
            await peer.stream.aclose()


async def test_drains():
    """
    With ``close_connections=False``, connections live until they end.
    """
    async with serving(echo) as running:
        peer = await running.raw_client()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.server.aclose, False)
            await wait_all_tasks_blocked()
            await peer.send_frame("81", b"still here")
            assert b"still here" == (await peer.read_frame()).payload
            await peer.send_close(1000)
            await peer.read_close()
            await peer.stream.aclose()


async def test_a_handshake_that_ends_while_closing_is_refused():
    """
    A hook was still thinking when the server began to close.
    """

    async def process_response(connection, request, response):
        await trio.sleep(5)

    async with serving(process_response=process_response) as running:
        async with trio.open_nursery() as nursery:

            async def client():
                assert 503 == (await ask(running))[0]

            nursery.start_soon(client)
            await wait_all_tasks_blocked()
            await running.server.aclose()


async def test_canceled_closing_closes_at_once():
    """
    Handlers are canceled, clients are cut.
    """

    async def handler(connection):
        await trio.sleep_forever()

    async with serving(handler) as running:
        peer = await running.raw_client()
        with trio.move_on_after(2):
            await running.server.aclose(close_connections=False)
        assert (1001, "") == await peer.read_close()


async def test_a_server_that_never_served_closes():
    """
    Its listeners are its own.
    """
    listener = MemoryListener()
    async with Server([listener], echo):
        pass

    with pytest.raises(trio.BrokenResourceError):
        listener.connect()


async def test_connections_are_those_that_are_open():
    """
    A new set each time.
    """
    async with serving() as running:
        assert set() == running.server.connections
        peer = await running.raw_client()
        connection = await running.accepted.receive()
        assert {connection} == running.server.connections
        assert running.server is connection.server
        await peer.send_close(1000)
        await wait_all_tasks_blocked()
        assert set() == running.server.connections
        assert {connection} == running.server.all_connections


async def test_refusals_reach_our_client():
    """
    Both ends are ours.
    """

    def process_request(connection, request):
        return connection.respond(403, "no\n")

    async with serving(process_request=process_request) as running:
        with pytest.raises(InvalidStatus) as raised:
            async with connect(
                "ws://test/", stream=running.listener.connect(), **QUIET
            ):
                pytest.fail("connected")

        assert b"no\n" == raised.value.response.body
