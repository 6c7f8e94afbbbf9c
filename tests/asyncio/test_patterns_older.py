"""
Programs written for older generations of the API: A7, C1 to C3, C5, C10, C11.

Today's forms of the same patterns are in the other modules. A warning that a
form is deprecated is allowed here, nothing else.
"""

from __future__ import annotations

import asyncio
import functools
import http

import pytest
import uvloop

from tests.asyncio.exchange import (
    ask,
    connecting,
    echo,
    nothing_left_over,
    opening_request,
    serving,
)
from tests.asyncio.harness import HANG, settle
from tests.under_test import websockets

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.ours,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Pair:
    """
    Handlers of two arguments that are no plain functions.
    """

    async def __call__(self, connection, path):
        await connection.send(path)

    async def handler(self, connection, path):
        await connection.send(path)


async def tell_path(connection, path):
    """
    Send the path of the request.
    """
    await connection.send(path)


async def tell_path_after(greeting, connection, path):
    """
    Send the path behind a greeting bound before.
    """
    await connection.send(greeting + path)


@pytest.mark.parametrize(
    "handler",
    [
        tell_path,
        Pair(),
        Pair().handler,
        functools.partial(tell_path_after, ""),
        lambda connection, path: tell_path(connection, f"{path}"),
    ],
    ids=["function", "object", "method", "partial", "lambda"],
)
async def test_a_handler_of_two_arguments_gets_the_path(handler):
    """
    A7: the second argument is the request path, with its query.
    """
    async with nothing_left_over(), serving(handler) as server:
        async with connecting(f"{server.uri}/chat?room=1") as client:
            assert "/chat?room=1" == await client.recv()
            await client.wait_closed()

    assert 1000 == client.close_code


async def test_receiver_and_producer_of_two_arguments():
    """
    A7: both get connection and path; the first that ends ends the handler.
    """
    received = []

    async def receiver(connection, path):
        async for message in connection:
            received.append((path, message))

    async def producer(connection, path):
        while True:
            await connection.send(path)
            await asyncio.sleep(0.001)

    async def handler(connection, path):
        tasks = [
            asyncio.ensure_future(receiver(connection, path)),
            asyncio.ensure_future(producer(connection, path)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async with serving(handler) as server:
        async with connecting(f"{server.uri}/chat") as client:
            await client.send("up")
            assert "/chat" == await client.recv()
            await settle()

    assert [("/chat", "up")] == received


async def test_the_path_of_a_connection():
    """
    C1: `connection.path`, on both sides.
    """

    async def handler(connection):
        await connection.send(connection.path)

    async with serving(handler) as server:
        async with connecting(f"{server.uri}/blue") as client:
            assert "/blue" == await client.recv()
            assert "/blue" == client.path


async def test_the_headers_of_a_connection():
    """
    C2: `connection.request_headers` and `connection.response_headers`.
    """

    async def handler(connection):
        await connection.send(connection.request_headers["Authorization"])
        await connection.send(connection.response_headers["Upgrade"])

    headers = {"Authorization": "Bearer token"}
    async with serving(handler) as server:
        async with connecting(server.uri, additional_headers=headers) as client:
            assert "Bearer token" == await client.recv()
            assert "websocket" == await client.recv()
            assert "Bearer token" == client.request_headers["Authorization"]
            assert "websocket" == client.response_headers["Upgrade"]


def health_check(path, request_headers):
    """
    Answer a load balancer in the older form.
    """
    if path == "/healthz":
        return http.HTTPStatus.OK, [("X-Host", request_headers["Host"])], b"OK\n"
    return None


async def health_check_later(path, request_headers):
    """
    Do the same as a coroutine.
    """
    await asyncio.sleep(0)
    return health_check(path, request_headers)


async def assert_checks_health(server):
    """
    Assert that a server answers /healthz, and opens connections beside.
    """
    answer = await ask(server.port, opening_request("GET /healthz HTTP/1.1"))
    assert ("HTTP/1.1 200 OK", b"OK\n") == (answer.head.first_line, answer.body)
    assert "localhost" == answer["X-Host"]
    async with connecting(server.uri) as client:
        await client.send("as always")
        assert "as always" == await client.recv()


@pytest.mark.parametrize("process_request", [health_check, health_check_later])
async def test_process_request_of_path_and_headers(process_request):
    """
    C3: a function or coroutine `(path, request_headers)` returns three values.
    """
    async with serving(process_request=process_request) as server:
        await assert_checks_health(server)


@pytest.mark.parametrize("option", ["create_protocol", "create_connection"])
@pytest.mark.parametrize("form", ["function", "coroutine"])
async def test_process_request_overridden_in_a_class(option, form):
    """
    C3: a subclass overrides `process_request(self, path, request_headers)`.
    """

    class Function(websockets.ServerConnection):
        def process_request(self, path, request_headers):
            return health_check(path, request_headers)

    class Coroutine(websockets.ServerConnection):
        async def process_request(self, path, request_headers):
            return await health_check_later(path, request_headers)

    connection_class = Function if form == "function" else Coroutine
    async with serving(**{option: connection_class}) as server:
        await assert_checks_health(server)


async def test_create_protocol_makes_the_connections():
    """
    C3: the handler gets an instance of the class.
    """
    seen = []

    class Connection(websockets.ServerConnection):
        pass

    async def handler(connection):
        seen.append(type(connection))

    async with serving(handler, create_protocol=Connection) as server:
        async with connecting(server.uri) as client:
            await client.wait_closed()

    assert [Connection] == seen


def headers_for(path, request_headers):
    """
    Choose headers of the response by those of the request.
    """
    return {"X-Path": path, "X-Key": request_headers["Sec-WebSocket-Version"]}


@pytest.mark.parametrize(
    ("extra_headers", "expected"),
    [
        ({"X-Path": "any"}, [("X-Path", "any")]),
        ([("X-A", "1"), ("X-A", "2")], [("X-A", "1"), ("X-A", "2")]),
        (
            websockets.Headers([("X-A", "1"), ("X-A", "2")]),
            [("X-A", "1"), ("X-A", "2")],
        ),
        (headers_for, [("X-Path", "/blue"), ("X-Key", "13")]),
        (lambda path, headers: [("X-Path", path)], [("X-Path", "/blue")]),
        (lambda path, headers: None, []),
    ],
    ids=["mapping", "pairs", "Headers", "function", "lambda", "nothing"],
)
async def test_extra_headers_of_a_server(extra_headers, expected):
    """
    C5: added to the response that opens a connection.
    """
    async with serving(extra_headers=extra_headers) as server:
        async with connecting(f"{server.uri}/blue") as client:
            headers = list(client.response.headers.raw_items())

    assert expected == [pair for pair in headers if pair[0].startswith("X")]


@pytest.mark.parametrize(
    "extra_headers",
    [{"X-A": "1"}, [("X-A", "1")], websockets.Headers({"X-A": "1"})],
    ids=["mapping", "pairs", "Headers"],
)
async def test_extra_headers_of_a_client(extra_headers):
    """
    C5: the older name of `additional_headers=`.
    """

    async def handler(connection):
        await connection.send(connection.request.headers["X-A"])

    async with serving(handler) as server:
        async with connecting(server.uri, extra_headers=extra_headers) as client:
            assert "1" == await client.recv()


async def test_close_of_a_server_may_be_awaited():
    """
    C10: `await server.close(close_connections=False)` of older programs.

    It returns when the last connection has ended, so that a program whose
    last statement it is keeps its connections open.
    """

    async def main(server):
        await server.close(close_connections=False)

    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as client:
            closing = asyncio.create_task(main(server.server))
            await settle()
            await client.send("still here")

            assert "still here" == await client.recv()
            assert not closing.done()
        await closing


async def test_a_cancelled_await_of_close_does_not_stop_the_closing():
    """
    C10: whoever waits may be cancelled; the server closes nevertheless.
    """

    async def main(server):
        await server.close(close_connections=False)

    server = await websockets.serve(echo, "127.0.0.1", 0)
    uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with connecting(uri) as client:
        closing = asyncio.create_task(main(server))
        await settle()
        closing.cancel()
        await asyncio.wait([closing])

        assert closing.cancelled()
        assert websockets.State.OPEN is client.state
    async with asyncio.timeout(1):
        await server.wait_closed()


async def test_close_of_a_server_need_not_be_awaited():
    """
    C10: a forgotten await is none; nothing warns.
    """
    async with nothing_left_over(), serving() as server:
        server.server.close()
        await server.server.wait_closed()

        assert not server.server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await connecting(server.uri)


LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
]


async def converse(server, loop):
    """
    Exchange a message with a server and stop the loop.
    """
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(HANG):
            async with connecting(f"ws://127.0.0.1:{port}") as client:
                await client.send("hello")
                return await client.recv()
    finally:
        loop.stop()


@pytest.fixture(params=LOOPS)
def loop(request):
    """
    Return a loop that is current, and not running.
    """
    loop = request.param()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


def test_serve_before_the_loop_runs(loop):
    """
    C11: `run_until_complete(serve(...))`, then `run_forever()`.
    """
    start_server = websockets.serve(echo, "127.0.0.1", 0)

    server = loop.run_until_complete(start_server)
    conversation = loop.create_task(converse(server, loop))
    loop.run_forever()
    server.close()
    loop.run_until_complete(server.wait_closed())

    assert "hello" == conversation.result()
    assert isinstance(server, websockets.Server)
