"""
What people ask about servers, on trio: patterns C1 to C14, on real sockets.

What has no meaning here: older names and forms (in C1, C2, C3, C5 and C10), which
there never were for trio, and the loop's ways to start a server (C11).
"""

from __future__ import annotations

import functools
import http
import signal
import subprocess
import sys
import threading

import pytest
import trio

from socketeer.datastructures import Headers
from socketeer.exceptions import ConnectionClosedOK, InvalidStatus
from socketeer.http11 import Response
from socketeer.trio.client import connect
from socketeer.trio.server import serve
from tests.trio.harness import connecting, echo, eventually, raw_client, serving_tcp

pytestmark = pytest.mark.usefixtures("real_clock")


async def test_the_path_chooses_what_a_handler_does():
    """
    C1: `request.path` has path and query, as they were on the wire.
    """

    async def handler(connection):
        if connection.request.path == "/blue":
            await connection.send("blue handler")
        else:
            await connection.send(f"not found: {connection.request.path}")

    async with serving_tcp(handler) as server:
        async with connecting(server, "/blue") as client:
            assert "blue handler" == await client.recv()
        async with connecting(server, "/red?shade=1") as client:
            assert "not found: /red?shade=1" == await client.recv()


async def test_headers_of_the_request_in_the_handler():
    """
    C2: `request.headers`, whatever the case of the name.
    """

    async def handler(connection):
        await connection.send(connection.request.headers["Authorization"])
        await connection.send(connection.request.headers["authorization"])

    headers = {"Authorization": "Bearer token"}
    async with serving_tcp(handler) as server:
        async with connecting(server, additional_headers=headers) as client:
            assert ["Bearer token"] * 2 == [await client.recv() for _ in range(2)]


async def answer_of(server, path):
    """
    Return the status line and the body of the answer to a request.
    """
    async with raw_client(server, opens=False) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await client.read_head()
        return head.first_line, await client.read_rest()


def health_check(connection, request):
    """
    Answer a load balancer; leave everything else to the handshake.
    """
    if request.path == "/healthz":
        return connection.respond(http.HTTPStatus.OK, "OK\n")
    return None


async def health_check_later(connection, request):
    """
    Do the same as a coroutine.
    """
    await trio.lowlevel.checkpoint()
    return health_check(connection, request)


@pytest.mark.parametrize("process_request", [health_check, health_check_later])
async def test_a_health_check_beside_connections(process_request):
    """
    C3, C4: `GET /healthz` is answered 200, everything else is as always.
    """
    async with serving_tcp(process_request=process_request) as server:
        assert ("HTTP/1.1 200 OK", b"OK\n") == await answer_of(server, "/healthz")
        async with connecting(server) as client:
            await client.send("as always")
            assert "as always" == await client.recv()


async def test_process_request_uses_headers():
    """
    C3: who has no token is refused before there is a connection.
    """

    def process_request(connection, request):
        if request.headers.get("Authorization") != "Bearer secret":
            return connection.respond(401, "token, please\n")
        connection.user = "ada"
        return None

    async def handler(connection):
        await connection.send(connection.user)

    headers = {"Authorization": "Bearer secret"}
    async with serving_tcp(handler, process_request=process_request) as server:
        with pytest.raises(InvalidStatus):
            async with connecting(server):
                pass
        async with connecting(server, additional_headers=headers) as client:
            assert "ada" == await client.recv()


async def test_headers_are_set_on_both_sides():
    """
    C5: `process_response=`, `server_header=`, `additional_headers=`.
    """

    def process_response(connection, request, response):
        response.headers["X-Echo"] = request.headers["X-Sent"]

    options = {"process_response": process_response, "server_header": None}
    async with (
        serving_tcp(**options) as server,
        connecting(
            server, additional_headers={"X-Sent": "value"}, user_agent_header=None
        ) as client,
    ):
        assert "value" == client.response.headers["X-Echo"]
        assert "Server" not in client.response.headers
        assert "User-Agent" not in client.request.headers


async def test_the_address_of_a_client():
    """
    C6: `remote_address[0]`.
    """

    async def handler(connection):
        await connection.send(connection.remote_address[0])

    async with serving_tcp(handler) as server, connecting(server) as client:
        assert "127.0.0.1" == await client.recv()
        assert server.listeners[0].socket.getsockname() == client.remote_address


async def test_where_to_listen():
    """
    C7: `host=`, `port`, `backlog=` and, for several addresses, `listeners=`.
    """
    listeners = [
        *await trio.open_tcp_listeners(0, host="127.0.0.1"),
        *await trio.open_tcp_listeners(0, host="127.0.0.2"),
    ]
    async with trio.open_nursery() as nursery:
        start = functools.partial(serve, echo, listeners=listeners)
        async with await nursery.start(start) as server:
            for listener in server.listeners:
                host, port = listener.socket.getsockname()
                await (await trio.open_tcp_stream(host, port)).aclose()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), 1000, ""),
        ((4000,), 4000, ""),
        ((1008, "not allowed"), 1008, "not allowed"),
    ],
)
async def test_closing_a_connection(arguments, code, reason):
    """
    C8: `aclose(code, reason)`; the peer learns both.
    """

    async def handler(connection):
        await connection.aclose(*arguments)

    async with serving_tcp(handler) as server, connecting(server) as client:
        await client.wait_closed()

    assert (code, reason) == (client.close_code, client.close_reason)


STOPPED_BY_SIGTERM = """
import signal, trio
from socketeer.trio.server import serve

async def handler(connection):
    async for message in connection:
        await connection.send(message)

async def main():
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            async with await nursery.start(serve, handler, 0) as server:
                print(server.listeners[0].socket.getsockname()[1], flush=True)
                await anext(aiter(signals))

trio.run(main)
print("stopped", flush=True)
"""


async def test_a_server_is_stopped_by_sigterm():
    """
    C9: clients see 1001, the process ends by itself and without complaint.
    """
    with subprocess.Popen(  # noqa: ASYNC220 - starting it takes no time
        [sys.executable, "-c", STOPPED_BY_SIGTERM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            port = int(await trio.to_thread.run_sync(process.stdout.readline))
            uri = f"ws://127.0.0.1:{port}"
            async with connect(uri, proxy=None) as client:
                await client.send("before")
                assert "before" == await client.recv()
                process.send_signal(signal.SIGTERM)
                await client.wait_closed()
            out, err = await trio.to_thread.run_sync(process.communicate)
        finally:
            process.kill()

    assert 1001 == client.close_code
    assert (b"stopped\n", b"", 0) == (out, err, process.returncode)


async def test_stopping_keeps_connections_open():
    """
    C10: `aclose(close_connections=False)`; the last client ends the server.
    """
    closed = trio.Event()

    async def close():
        await server.aclose(close_connections=False)
        closed.set()

    async with serving_tcp() as server, trio.open_nursery() as nursery:
        async with connecting(server) as client:
            await eventually(lambda: server.connections)
            nursery.start_soon(close)
            await eventually(lambda: server.closing)
            await client.send("still here")
            assert "still here" == await client.recv()
            assert not closed.is_set()
        await closed.wait()


async def test_ways_to_run_a_server():
    """
    C11: `nursery.start()`, which returns the server; `nursery.start_soon()`, or
    `await serve()`, which ends by cancellation.
    """
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listener.socket.getsockname()
    run = functools.partial(serve, echo, listeners=[listener])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await (await trio.open_tcp_stream(host, port)).aclose()
        nursery.cancel_scope.cancel()
    with trio.move_on_after(0.01) as scope:
        await serve(echo, 0, host="127.0.0.1")

    assert scope.cancelled_caught


async def test_small_answers_on_the_same_port():
    """
    C12: pages come from `process_request`, with headers of their own; also bytes.
    """
    icon = bytes(range(256))

    def process_request(connection, request):
        if request.path == "/":
            response = connection.respond(200, "<h1>chat</h1>")
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "text/html"
            return response
        if request.path == "/icon":
            headers = Headers([("Content-Length", "256")])
            return Response(200, "Fine", headers, icon)
        return None

    async with serving_tcp(process_request=process_request) as server:
        assert ("HTTP/1.1 200 OK", b"<h1>chat</h1>") == await answer_of(server, "/")
        assert ("HTTP/1.1 200 Fine", icon) == await answer_of(server, "/icon")
        async with connecting(server, "/chat") as client:
            await client.send("hello")
            assert "hello" == await client.recv()


async def test_a_firehose_does_not_starve_others():
    """
    C13: `send()` in a loop lets others run, though the peer reads fast.
    """
    finish = trio.Event()

    async def handler(connection):
        if connection.request.path != "/firehose":
            await echo(connection)
            return
        while not finish.is_set():
            await connection.send("water")

    async def drink(client):
        async for _ in client:
            pass

    async with (
        serving_tcp(handler, compression=None) as server,
        trio.open_nursery() as nursery,
        connecting(server, "/firehose") as thirsty,
        connecting(server) as other,
    ):
        nursery.start_soon(drink, thirsty)
        for number in range(10):
            await other.send(f"{number}")
            assert f"{number}" == await other.recv()
        finish.set()


async def test_a_blocking_call_belongs_into_a_thread():
    """
    C13: `trio.to_thread.run_sync()` in a handler; others are served meanwhile.
    """
    finish = threading.Event()

    async def handler(connection):
        if connection.request.path == "/slow":
            await trio.to_thread.run_sync(finish.wait)
            await connection.send("finished")
        else:
            await echo(connection)

    async with (
        serving_tcp(handler) as server,
        connecting(server, "/slow") as waiting,
        connecting(server) as other,
    ):
        await other.send("meanwhile")
        assert "meanwhile" == await other.recv()
        finish.set()
        assert "finished" == await waiting.recv()


async def test_a_handler_without_a_loop_closes_after_one_message():
    """
    C14: returning closes; a handler must loop to get more.
    """

    async def handler(connection):
        await connection.send(await connection.recv())

    async with serving_tcp(handler) as server, connecting(server) as client:
        await client.send("one")
        await client.send("two")

        assert "one" == await client.recv()
        with pytest.raises(ConnectionClosedOK):
            await client.recv()


async def test_a_handler_that_does_not_wait_for_its_tasks_closes_at_once():
    """
    C14: tasks started elsewhere do not keep a connection open.
    """
    ended = trio.Event()

    async def work(connection):
        await echo(connection)
        ended.set()

    async with trio.open_nursery() as nursery:

        async def handler(connection):
            nursery.start_soon(work, connection)

        async with serving_tcp(handler) as server, connecting(server) as client:
            with pytest.raises(ConnectionClosedOK):
                await client.recv()
        await ended.wait()
