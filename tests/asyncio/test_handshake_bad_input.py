"""
Bad input gets a clear answer, or none; everybody else is served meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    dial,
    nothing_left_over,
    opening_request,
    serving,
)
from tests.asyncio.harness import settle
from tests.under_test import lib

pytestmark = pytest.mark.anyio

LINE = "GET / HTTP/1.1"

MALFORMED = {
    "another protocol": b"EHLO localhost\r\n\r\n",
    "TLS": bytes.fromhex("16030100050100000100") + b"\r\n\r\n",
    "nothing but line ends": b"\r\n\r\n\r\n\r\n",
    "lines end with LF": opening_request().replace(b"\r\n", b"\n"),
    "no version": opening_request("GET /"),
    "a space too many": opening_request("GET  / HTTP/1.1"),
    "HTTP/2.0": opening_request("GET / HTTP/2.0"),
    "HTTP/1.10": opening_request("GET / HTTP/1.10"),
    "http in lower case": opening_request("GET / http/1.1"),
    "space before the colon": opening_request().replace(b"Host:", b"Host :"),
    "no colon": opening_request().replace(b"Host:", b"Host"),
    "no name": opening_request().replace(b"Host:", b":"),
    "a name that is no token": opening_request(LINE, ("X(Y)", "1")),
    "a folded line": opening_request(LINE, ("X", "1\r\n 2")),
    "NUL in a value": opening_request(LINE, ("X", "1\x002")),
    "CR in a value": opening_request(LINE, ("X", "1\r2")),
    "content": opening_request(LINE, ("Content-Length", "2")) + b"ok",
    "chunked content": opening_request(LINE, ("Transfer-Encoding", "chunked")),
    "wrong Content-Length": opening_request(LINE, ("Content-Length", "-1")),
}

malformed = pytest.mark.parametrize(
    "request_bytes",
    [pytest.param(value, id=name) for name, value in MALFORMED.items()],
)


async def assert_serves(server):
    """
    Assert that a server opens a connection and echoes a message.
    """
    async with connecting(server.uri) as connection:
        await connection.send("still here")
        assert "still here" == await connection.recv()


@malformed
async def test_a_malformed_request_opens_no_connection(request_bytes):
    """
    Whatever the answer is, it is no 101, and the TCP connection ends.
    """

    async def handler(connection):
        raise AssertionError("there is no connection")

    async with serving(handler) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(request_bytes)
            answer = await peer.read_rest()

    assert not answer.startswith(b"HTTP/1.1 101 ")


@pytest.mark.ours
@malformed
async def test_a_malformed_request_is_answered_400(request_bytes):
    """
    Who sent it learns that it was his mistake (RFC 9112, 2.2 and 3).
    """
    async with serving() as server:
        answer = await ask(server.port, request_bytes)

    assert "HTTP/1.1 400 Bad Request" == answer.head.first_line
    assert "close" == answer["Connection"]
    assert str(len(answer.body)) == answer["Content-Length"]
    assert answer.text.startswith("Failed to open a WebSocket connection")


@pytest.mark.ours
@pytest.mark.parametrize("part", [0, 1, 30])
async def test_a_slow_request_is_answered_408(part):
    """
    After `open_timeout` the answer is 408 and the end (RFC 9110, 15.5.9).
    """
    async with serving(open_timeout=0.05) as server:
        answer = await ask(server.port, opening_request()[:part])

    assert "HTTP/1.1 408 Request Timeout" == answer.head.first_line
    assert "close" == answer["Connection"]


async def test_a_slow_request_ends_with_its_time():
    """
    Bytes that trickle do not prolong `open_timeout`.
    """
    request = opening_request()
    async with serving(open_timeout=0.05) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            reading = asyncio.create_task(peer.read_rest())
            sent = 0
            with contextlib.suppress(ConnectionError):
                while not reading.done() and sent < len(request) - 1:
                    await peer.send(request[sent : sent + 1])
                    sent += 1
                    await asyncio.sleep(0.002)
            answer = await reading

    assert not answer.startswith(b"HTTP/1.1 101 ")
    assert sent < len(request) - 1


async def test_open_timeout_includes_the_hooks():
    """
    A hook that does not come to an end is cancelled.
    """
    cancelled = asyncio.Event()

    async def process_request(connection, request):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(process_request=process_request, open_timeout=0.05) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request())
            answer = await peer.read_rest()
            await cancelled.wait()

    assert not answer.startswith(b"HTTP/1.1 101 ")


@pytest.mark.ours
async def test_a_hook_that_takes_too_long_is_answered_503():
    """
    The delay is the server's, so the client may try again.
    """

    async def process_request(connection, request):
        await asyncio.Event().wait()

    async with serving(process_request=process_request, open_timeout=0.05) as server:
        answer = await ask(server.port, opening_request())

    assert "HTTP/1.1 503 Service Unavailable" == answer.head.first_line
    assert "close" == answer["Connection"]


@pytest.mark.ours
async def test_a_head_has_64_kib_at_most():
    """
    Lines that are short enough may still be too many bytes together.
    """
    fields = [("X", "a" * 8000)] * 10
    async with serving() as server:
        answer = await ask(server.port, opening_request(LINE, *fields))

    assert 431 == answer.status
    assert [] == answer.head.get_all("Sec-WebSocket-Accept")


async def test_no_open_timeout_waits():
    """
    With `open_timeout=None` a request may take as long as it takes.
    """
    request = opening_request()
    async with serving(open_timeout=None) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(request[:30])
            await settle()
            await peer.send(request[30:])
            head = await peer.read_head()

    assert "HTTP/1.1 101 Switching Protocols" == head.first_line


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(value, id=name)
        for name, value in {
            **MALFORMED,
            "no upgrade": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST": opening_request("POST / HTTP/1.1"),
            "HEAD": opening_request("HEAD / HTTP/1.1"),
            "long line": opening_request(f"GET /{'a' * 9000} HTTP/1.1"),
            "many fields": opening_request(LINE, *[("X", "a")] * 200),
        }.items()
    ],
)
async def test_bad_input_disturbs_nobody(request_bytes, caplog):
    """
    Connections before and after it work; the log has one line, not an error.
    """
    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as before:
            caplog.clear()
            caplog.set_level(logging.INFO, f"{lib.__name__}.server")
            with contextlib.closing(await dial(server.port)) as peer:
                await peer.send(request_bytes)
                await peer.read_rest()
            await settle()
            records = [*caplog.records]
            await before.send("before")
            assert "before" == await before.recv()
        await assert_serves(server)

    assert set() == {r.levelname for r in records if r.levelno > logging.INFO}
    messages = [record.getMessage() for record in records]
    assert 1 >= len([text for text in messages if text != "connection closed"])


@pytest.mark.ours
@pytest.mark.parametrize(
    "request_bytes",
    [
        MALFORMED["another protocol"],
        opening_request(without=("Upgrade",)),
        opening_request(f"GET /{'a' * 9000} HTTP/1.1"),
    ],
    ids=["malformed", "no upgrade", "long line"],
)
async def test_an_opening_that_fails_is_one_line(request_bytes, caplog):
    """
    One event, one line, at INFO.
    """
    async with nothing_left_over(), serving() as server:
        caplog.clear()
        caplog.set_level(logging.INFO, f"{lib.__name__}.server")
        await ask(server.port, request_bytes)
        await settle()
        records = [*caplog.records]

    assert ["INFO"] == [record.levelname for record in records]


@pytest.mark.parametrize("part", [0, 1, 30, -1])
@pytest.mark.parametrize("end", ["half_close", "close", "reset"])
async def test_an_unfinished_request_is_no_error(part, end, caplog):
    """
    Port scans and clients that change their mind leave nothing above INFO.
    """
    async with nothing_left_over(), serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request()[:part])
            await settle()
            getattr(peer, end)()
            await settle()
        await assert_serves(server)

    assert set() == {r.levelname for r in caplog.records if r.levelno > logging.INFO}


async def test_a_peer_that_is_gone_before_the_answer_is_no_error(caplog):
    """
    A request followed by a reset leaves nothing above INFO.
    """
    asked = asyncio.Event()

    async def process_request(connection, request):
        peer.reset()
        asked.set()
        await settle()

    async with nothing_left_over():
        async with serving(process_request=process_request) as server:
            peer = await dial(server.port)
            await peer.send(opening_request())
            await asked.wait()
            await settle()

    assert set() == {r.levelname for r in caplog.records if r.levelno > logging.INFO}


async def test_many_bad_peers_at_once_disturb_nobody():
    """
    Fifty unfinished requests wait while a connection is served.
    """
    async with serving() as server, contextlib.AsyncExitStack() as stack:
        for _ in range(50):
            peer = await dial(server.port)
            stack.callback(peer.close)
            await peer.send(opening_request()[:-2])
        await assert_serves(server)
