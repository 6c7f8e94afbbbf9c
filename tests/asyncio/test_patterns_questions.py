"""
What people ask about servers: patterns C1 to C10 and C12 to C14.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import signal
import socket
import threading

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    dial,
    echo,
    nothing_left_over,
    opening_request,
    read_answer,
    serving,
)
from tests.asyncio.harness import settle, wait_until
from tests.asyncio.program import program
from tests.under_test import websockets

pytestmark = pytest.mark.anyio


async def test_the_path_chooses_what_a_handler_does():
    """
    C1: `request.path` has path and query, as they were on the wire.
    """

    async def handler(connection):
        if connection.request.path == "/blue":
            await connection.send("blue handler")
        else:
            await connection.send(f"not found: {connection.request.path}")

    async with serving(handler) as server:
        async with connecting(f"{server.uri}/blue") as client:
            assert "blue handler" == await client.recv()
        async with connecting(f"{server.uri}/red?shade=1") as client:
            assert "not found: /red?shade=1" == await client.recv()


async def test_headers_of_the_request_in_the_handler():
    """
    C2: `request.headers`, whatever the case of the name.
    """

    async def handler(connection):
        await connection.send(connection.request.headers["Authorization"])
        await connection.send(connection.request.headers["authorization"])

    headers = {"Authorization": "Bearer token"}
    async with serving(handler) as server:
        async with connecting(server.uri, additional_headers=headers) as client:
            assert ["Bearer token"] * 2 == [await client.recv() for _ in range(2)]


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
    await asyncio.sleep(0)
    return health_check(connection, request)


@pytest.mark.parametrize("process_request", [health_check, health_check_later])
async def test_a_health_check_beside_connections(process_request):
    """
    C3, C4: `GET /healthz` is answered 200, everything else is as always.
    """
    async with serving(process_request=process_request) as server:
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        answer = await ask(server.port, request)
        async with connecting(server.uri) as client:
            await client.send("as always")

            assert "as always" == await client.recv()

    assert ("HTTP/1.1 200 OK", "OK\n") == (answer.head.first_line, answer.text)


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
    async with serving(handler, process_request=process_request) as server:
        with pytest.raises(websockets.InvalidStatus):
            await connecting(server.uri)
        async with connecting(server.uri, additional_headers=headers) as client:
            assert "ada" == await client.recv()


async def test_headers_are_set_on_both_sides():
    """
    C5: `process_response=`, `server_header=`, `additional_headers=`.
    """

    def process_response(connection, request, response):
        response.headers["X-Echo"] = request.headers["X-Sent"]

    options = {"process_response": process_response, "server_header": None}
    async with serving(**options) as server:
        async with connecting(
            server.uri,
            additional_headers={"X-Sent": "value"},
            user_agent_header=None,
        ) as client:
            headers = client.response.headers

            assert "value" == headers["X-Echo"]
            assert "Server" not in headers
            assert "User-Agent" not in client.request.headers


async def test_the_address_of_a_client():
    """
    C6: `remote_address[0]`.
    """

    async def handler(connection):
        await connection.send(connection.remote_address[0])

    async with serving(handler) as server, connecting(server.uri) as client:
        assert "127.0.0.1" == await client.recv()
        assert ("127.0.0.1", server.port) == client.remote_address[:2]


async def test_where_to_listen():
    """
    C7: several hosts; the arguments of `loop.create_server()`.
    """
    async with websockets.serve(
        echo,
        host=["127.0.0.1", "127.0.0.2"],
        port=0,
        family=socket.AF_INET,
        backlog=10,
        reuse_address=True,
    ) as server:
        hosts = {sock.getsockname()[0] for sock in server.sockets}

    assert {"127.0.0.1", "127.0.0.2"} == hosts


@pytest.mark.ours
async def test_an_address_that_is_not_there_says_what_to_do():
    """
    C7: an IPv6 address that cannot be bound; the error names the option.
    """
    with pytest.raises(OSError, match=r"host=|family="):
        await websockets.serve(echo, "2001:db8::1", 0)


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
    C8: `close(code, reason)`; the peer learns both.
    """

    async def handler(connection):
        await connection.recv()
        await connection.close(*arguments)

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.send("enough")
            await client.wait_closed()

    assert (code, reason) == (client.close_code, client.close_reason)


BY_EVENT = """
import asyncio, signal

async def handler(connection):
    async for message in connection:
        await connection.send(message)

async def main():
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop.wait()

asyncio.run(main())
print("stopped", flush=True)
"""

BY_CLOSE = """
import asyncio, signal

async def handler(connection):
    async for message in connection:
        await connection.send(message)

async def main():
    loop = asyncio.get_running_loop()
    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        loop.add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()

asyncio.run(main())
print("stopped", flush=True)
"""


@pytest.mark.parametrize("source", [BY_EVENT, BY_CLOSE], ids=["event", "close"])
async def test_a_server_is_stopped_by_sigterm(source):
    """
    C9: clients see 1001, the process ends by itself and without complaint.
    """
    async with program(source) as process:
        port = int(await process.stdout.readline())
        async with connecting(f"ws://127.0.0.1:{port}") as client:
            await client.send("before")
            assert "before" == await client.recv()
            process.send_signal(signal.SIGTERM)
            await client.wait_closed()
        out, err = await process.communicate()

    assert 1001 == client.close_code
    assert (b"stopped\n", b"", 0) == (out, err, process.returncode)


async def test_stopping_keeps_connections_open():
    """
    C10: `close(close_connections=False)`; the last client ends the server.
    """
    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as client:
            server.server.close(close_connections=False)
            await settle()
            await client.send("still here")

            assert "still here" == await client.recv()
        await server.server.wait_closed()


async def test_small_answers_on_the_same_port():
    """
    C12: pages come from `process_request`, with headers of their own.
    """

    def process_request(connection, request):
        if request.path == "/":
            response = connection.respond(200, "<h1>chat</h1>")
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "text/html"
            return response
        return None

    async with serving(process_request=process_request) as server:
        answer = await ask(server.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with connecting(f"{server.uri}/chat") as client:
            await client.send("hello")

            assert "hello" == await client.recv()

    assert ("text/html", "<h1>chat</h1>") == (answer["Content-Type"], answer.text)


async def test_a_response_made_by_hand_with_a_body_of_bytes():
    """
    C12: `Response(status, reason, headers, body)` is sent as it is.
    """
    icon = bytes(range(256))

    def process_request(connection, request):
        headers = websockets.Headers([("Content-Length", "256"), ("X-Icon", "yes")])
        return websockets.Response(200, "Fine", headers, icon)

    async with serving(process_request=process_request, server_header=None) as server:
        answer = await ask(server.port, opening_request())

    assert "HTTP/1.1 200 Fine" == answer.head.first_line
    assert [("Content-Length", "256"), ("X-Icon", "yes")] == list(answer.head.lines)
    assert icon == answer.body


def drain(sock):
    """
    Read a socket to its end, in a thread, as fast as possible.
    """
    with contextlib.suppress(OSError):
        while sock.recv(2**20):
            pass


@pytest.mark.ours
async def test_a_firehose_does_not_starve_others():
    """
    C13: `send()` in a loop yields to others, though the peer reads fast.
    """
    served = asyncio.Event()
    sent = 0

    async def handler(connection):
        nonlocal sent
        if connection.request.path != "/firehose":
            await echo(connection)
            return
        while not served.is_set() and sent < 200_000:
            await connection.send("water")
            sent += 1

    async with serving(handler, compression=None) as server:
        other = await connecting(server.uri)
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request("GET /firehose HTTP/1.1"))
            await peer.read_head()
            peer.sock.setblocking(True)
            reading = threading.Thread(target=drain, args=(peer.sock,))
            reading.start()
            for _ in range(10):
                await other.send("me, too")
                assert "me, too" == await other.recv()
            served.set()
            await other.close()
            await wait_until(lambda: not server.server.connections)
            peer.sock.shutdown(socket.SHUT_RDWR)
            reading.join()

    assert 200_000 > sent


async def test_a_blocking_call_belongs_into_a_thread():
    """
    C13: `asyncio.to_thread()` in a handler; others are served meanwhile.
    """
    finish = threading.Event()

    async def handler(connection):
        if connection.request.path == "/slow":
            await asyncio.to_thread(finish.wait)
            await connection.send("finished")
        else:
            await echo(connection)

    async with nothing_left_over(), serving(handler) as server:
        async with (
            connecting(f"{server.uri}/slow") as waiting,
            connecting(server.uri) as other,
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

    async with serving(handler) as server, connecting(server.uri) as client:
        await client.send("one")
        await client.send("two")

        assert "one" == await client.recv()
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.recv()


async def test_a_handler_that_does_not_await_its_work_closes_at_once():
    """
    C14: tasks started and not awaited do not keep a connection open.
    """
    tasks = []

    async def handler(connection):
        tasks.append(asyncio.create_task(echo(connection)))

    async with nothing_left_over():
        async with serving(handler) as server, connecting(server.uri) as client:
            with pytest.raises(websockets.ConnectionClosedOK):
                await client.recv()
        await asyncio.wait(tasks)

    assert [None] == [task.exception() for task in tasks]


@pytest.mark.ours
async def test_every_answer_ends_the_tcp_connection():
    """
    C12: there is one request on a connection; a second one is not answered.
    """
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving(process_request=health_check) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(request + request)
            answer = await read_answer(peer)

    assert "OK\n" == answer.text
