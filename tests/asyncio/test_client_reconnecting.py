"""
`async for connection in connect(...)`: again and again, with pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import socket

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.asyncio.raw import RawListener
from tests.under_test import OURS, lib, submodule

pytestmark = pytest.mark.anyio


def at_once():
    """
    Return delays of no time, without end.
    """
    return itertools.repeat(0.0)


def refusing(*statuses):
    """
    Return a hook that answers with statuses, one after the other; None accepts.
    """
    left = list(statuses)

    def process_request(connection, request):
        status = left.pop(0) if left else None
        return None if status is None else connection.respond(status, "")

    return process_request


async def test_the_program_goes_on():
    """
    The connection it had is closed with 1000, and there is another one.
    """
    seen = []
    async with nothing_left_over(), serving() as server:
        async for connection in connecting(server.uri):
            seen.append(connection)
            await connection.send("hello")
            assert "hello" == await connection.recv()
            if len(seen) == 3:
                await connection.close()
                break

    assert 3 == len(set(seen))
    assert [(1000, "")] * 3 == [(c.close_code, c.close_reason) for c in seen]


async def test_the_server_closes():
    """
    The program may just continue.
    """

    async def farewell(connection):
        await connection.send("hello")
        await connection.close(1012)

    received = []
    async with nothing_left_over(), serving(farewell) as server:
        async for connection in connecting(server.uri, reconnect_delays=at_once):
            try:
                async for message in connection:
                    received.append(message)
            except lib.ConnectionClosed:
                if len(received) < 3:
                    continue
                break

    assert ["hello"] * 3 == received


async def test_errors_that_may_pass(caplog):
    """
    The server is overloaded for a while; each delay is logged.
    """
    caplog.set_level(logging.INFO)
    hook = refusing(500, 502, 503, 504)
    async with nothing_left_over(), serving(process_request=hook) as server:
        async for connection in connecting(server.uri, reconnect_delays=at_once):
            await connection.close()
            break

    lines = [r.getMessage() for r in caplog.records if r.name.endswith(".client")]
    assert [
        "connect failed; reconnecting in 0.0 seconds: "
        f"{lib.InvalidStatus.__module__}.InvalidStatus: "
        f"server rejected WebSocket connection: HTTP {status}"
        for status in (500, 502, 503, 504)
    ] == [line for line in lines if "reconnecting" in line]


async def test_errors_that_will_not_pass():
    """
    They are raised.
    """
    hook = refusing(503, 401)
    async with nothing_left_over(), serving(process_request=hook) as server:
        with pytest.raises(lib.InvalidStatus) as raised:
            async for _ in connecting(server.uri, reconnect_delays=at_once):
                raise AssertionError("there is no connection")

    assert 401 == raised.value.response.status_code


async def test_a_server_that_is_slow_or_hangs_up():
    """
    Both may pass.
    """
    listener = RawListener()
    attempts = 0

    async def serve():
        nonlocal attempts
        with contextlib.closing(await listener.accept()):
            attempts += 1
            await asyncio.sleep(0.05)
        with contextlib.closing(await listener.accept()) as peer:
            attempts += 1
            await peer.read_head()
        while True:
            with contextlib.closing(await listener.accept()) as peer:
                attempts += 1
                # On a busy machine, this may be slow, too.
                with contextlib.suppress(OSError, EOFError):
                    await peer.open_as_server()
                    await peer.read_rest()
                    return

    task = asyncio.create_task(serve())
    with contextlib.closing(listener):
        async with nothing_left_over():
            async for connection in connecting(
                f"ws://127.0.0.1:{listener.port}",
                open_timeout=0.03,
                close_timeout=0.01,
                reconnect_delays=at_once,
            ):
                await connection.close()
                break
            await task

    assert attempts >= 3


async def test_a_judge_of_ones_own():
    """
    `process_exception` decides: go on, raise this, raise another.
    """
    hook = refusing(401, 402, 403)
    judged = []

    def judge(exc):
        judged.append(exc.response.status_code)
        return LookupError("no") if judged[-1] == 403 else None

    async with serving(process_request=hook) as server:
        with pytest.raises(LookupError, match="no") as raised:
            async for _ in connecting(
                server.uri, reconnect_delays=at_once, process_exception=judge
            ):
                raise AssertionError("there is no connection")

    assert [401, 402, 403] == judged
    assert isinstance(raised.value.__cause__, lib.InvalidStatus)


@pytest.mark.ours
async def test_delays_are_waited_for():
    """
    One after each failure; when they run out, the failure is raised.
    """
    delays = [0.03, 0.02]
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        uri = f"ws://127.0.0.1:{sock.getsockname()[1]}"
        started_at = loop.time()
        async with nothing_left_over():
            with pytest.raises(ConnectionRefusedError):
                async for _ in connecting(uri, reconnect_delays=lambda: delays):
                    raise AssertionError("there is no connection")
        assert loop.time() - started_at > 0.05


@pytest.mark.ours
async def test_a_connection_that_was_lost_costs_a_delay():
    """
    One that the program has closed does not.
    """

    async def close(connection):
        if connection.request.path == "/lost":
            await connection.close(1012)
        else:
            await connection.wait_closed()

    async def run(path, limit):
        count = 0
        async for connection in connecting(
            f"{server.uri}{path}", reconnect_delays=lambda: [0.0]
        ):
            count += 1
            if count == limit:
                await connection.close()
                break
            if path == "/closed":
                await connection.close()
            await connection.wait_closed()

    async with nothing_left_over(), serving(close) as server:
        await run("/closed", 4)
        with pytest.raises(lib.ConnectionClosedError, match="1012"):
            await run("/lost", 4)


async def test_exceptions_of_the_program():
    """
    They end the loop, and are not taken for those of connecting.
    """
    async with nothing_left_over(), serving() as server:
        with pytest.raises(OSError, match="mine"):
            async for connection in connecting(server.uri):
                await connection.ping()
                raise OSError("mine")
        await connection.wait_closed()

    assert 1011 == connection.close_code


async def test_cancelling_the_wait():
    """
    Nothing is left.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        uri = f"ws://127.0.0.1:{sock.getsockname()[1]}"
        async with nothing_left_over():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.03):
                    async for _ in connecting(
                        uri, reconnect_delays=lambda: itertools.repeat(60.0)
                    ):
                        raise AssertionError("there is no connection")


async def test_where_it_was_redirected_to():
    """
    The object remembers.
    """
    requests = []

    def hook(connection, request):
        requests.append(request.path)
        if request.path == "/":
            response = connection.respond(302, "")
            response.headers["Location"] = "/new"
            return response
        return None

    async with serving(echo, process_request=hook) as server:
        async for connection in connecting(f"{server.uri}/"):
            if len(requests) == 4:
                await connection.close()
                break

    assert ["/", "/new", "/new", "/new"] == requests


async def test_the_signature():
    """
    The same names and defaults; ours takes all iterables as delays.
    """
    parameters = inspect.signature(lib.connect).parameters
    client = submodule("asyncio.client")

    assert parameters["process_exception"].default is client.process_exception
    assert submodule("client").backoff is parameters["reconnect_delays"].default
    assert parameters["proxy"].default is True
    assert not OURS or client.process_exception is submodule("client").process_exception
