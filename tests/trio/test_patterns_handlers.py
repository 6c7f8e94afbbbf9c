"""
Handlers as tutorials write them, and first programs, on trio: patterns A1 to A9 and
D1 to D4, on real sockets.

What has no meaning here: handlers of two arguments (A7), an older form that there
never was for trio; ``gather()``, tasks and futures (A4 to A6) are nurseries and
cancel scopes.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
import math

import pytest
import trio

from socketeer.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
)
from socketeer.trio.client import connect
from tests.trio.harness import connecting, eventually, raw_client, serving_tcp, url

pytestmark = pytest.mark.usefixtures("real_clock")


def errors(caplog):
    """
    Return the records above INFO.
    """
    return [record for record in caplog.records if record.levelno > logging.INFO]


# A. Handlers.


async def test_a_consumer_iterates_over_messages(caplog):
    """
    A1: str for Text, bytes for Binary; the loop ends when the peer closes.
    """
    received, ended = [], trio.Event()

    async def handler(connection):
        async for message in connection:
            received.append(message)
        ended.set()

    async with serving_tcp(handler) as server:
        async with connecting(server) as client:
            await client.send("text")
            await client.send(b"binary")
        await ended.wait()

    assert ["text", b"binary"] == received
    assert [] == errors(caplog)


@pytest.mark.parametrize("end", ["close", "vanish"])
async def test_a_consumer_that_calls_recv_ends_by_connection_closed(end):
    """
    A2: `while True: await recv()` is left by an exception that tells how it ended.
    """
    received, ended = [], []

    async def handler(connection):
        try:
            while True:
                received.append(await connection.recv())
        except ConnectionClosed as error:
            ended.append(error)

    async with serving_tcp(handler) as server, raw_client(server) as client:
        await client.send_frame("81", b"one")
        await client.send_frame("81", b"two")
        if end == "close":
            await client.send_close(1000)
            await client.read_close()
        await client.stream.aclose()
        await eventually(lambda: ended)

    assert ["one", "two"] == received
    [error] = ended
    closed_ok = isinstance(error, ConnectionClosedOK)
    assert (end == "close") == closed_ok
    assert (1000 if closed_ok else None) == (error.rcvd and error.rcvd.code)


@pytest.mark.parametrize("catches", [True, False])
@pytest.mark.parametrize("end", ["close", "vanish"])
async def test_a_producer_ends_by_connection_closed(end, catches, caplog):
    """
    A3: `while True: await send(...)`, with `except ConnectionClosed: break` or
    without; a handler that ends by it has not failed.
    """
    ended = trio.Event()

    async def handler(connection):
        try:
            while True:
                try:
                    await connection.send("news")
                except ConnectionClosed:
                    if catches:
                        break
                    raise
        finally:
            ended.set()

    async with serving_tcp(handler) as server, raw_client(server) as client:
        await client.read_frame()
        if end == "close":
            await client.send_close(1000)
        await client.stream.aclose()
        await ended.wait()

    assert [] == errors(caplog)


class Chat:
    """
    A consumer and a producer as in the tutorials, with a channel between.
    """

    def __init__(self):
        self.received = []
        self.tell, self.outgoing = trio.open_memory_channel(math.inf)
        self.ended = trio.Event()

    async def consumer(self, connection):
        async for message in connection:
            self.received.append(message)

    async def producer(self, connection):
        async for message in self.outgoing:
            try:
                await connection.send(message)
            except ConnectionClosed:
                break

    async def both_until_both_end(self, connection):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.consumer, connection)
            nursery.start_soon(self.producer, connection)
        self.ended.set()

    async def both_until_one_ends(self, connection):
        async def run(function):
            await function(connection)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, self.consumer)
            nursery.start_soon(run, self.producer)
        self.ended.set()


async def test_both_until_both_end(caplog):
    """
    A4: a nursery; both notice the end.
    """
    chat = Chat()
    async with serving_tcp(chat.both_until_both_end) as server:
        async with connecting(server) as client:
            await client.send("up")
            chat.tell.send_nowait("down")
            assert "down" == await client.recv()
        chat.tell.send_nowait("too late")
        await chat.ended.wait()

    assert ["up"] == chat.received
    assert [] == errors(caplog)


@pytest.mark.parametrize("first", ["consumer", "producer"])
async def test_both_until_one_ends(first, caplog):
    """
    A5: when one ends, the other one is canceled, and the connection closes.
    """
    chat = Chat()
    async with serving_tcp(chat.both_until_one_ends) as server:
        async with connecting(server) as client:
            await client.send("up")
            chat.tell.send_nowait("down")
            assert "down" == await client.recv()
            if first == "producer":
                chat.tell.close()
                with pytest.raises(ConnectionClosedOK):
                    await client.recv()
        await chat.ended.wait()

    assert 1000 == client.close_code
    assert ["up"] == chat.received
    assert [] == errors(caplog)


async def test_both_in_one_loop_lose_nothing():
    """
    A6: `recv()` canceled again and again while messages arrive; none is lost.
    """
    received, ended = [], trio.Event()

    async def handler(connection):
        try:
            while True:
                with trio.move_on_after(0.0001):
                    received.append(await connection.recv())
                    continue
                await connection.send(f"{len(received)}")
        except ConnectionClosed:
            ended.set()

    sent = [str(number) for number in range(200)]
    async with serving_tcp(handler) as server:
        async with connecting(server) as client:
            for text in sent:
                await client.send(text)
            while await client.recv() != "200":
                pass
        await ended.wait()

    assert sent == received


async def test_a_timeout_for_each_message():
    """
    A6: ``move_on_after`` around ``recv()``, and the connection goes on.
    """

    async def handler(connection):
        while True:
            with trio.move_on_after(0.01) as scope:
                await connection.send((await connection.recv()).upper())
            if scope.cancelled_caught:
                await connection.send("are you there?")

    async with serving_tcp(handler) as server, connecting(server) as connection:
        assert "are you there?" == await connection.recv()
        await connection.send("yes")
        async for message in connection:
            if message == "YES":
                break


class Greeter:
    """
    Handlers that are no plain functions.
    """

    async def __call__(self, connection):
        await connection.send("object")

    async def method(self, connection):
        await connection.send("method")


async def greet(greeting, connection):
    """
    Send a greeting bound before.
    """
    await connection.send(greeting)


@pytest.mark.parametrize(
    ("handler", "greeting"),
    [
        (Greeter(), "object"),
        (Greeter().method, "method"),
        (functools.partial(greet, "partial"), "partial"),
        (lambda connection: connection.send("lambda"), "lambda"),
    ],
)
async def test_handlers_of_all_kinds(handler, greeting):
    """
    A9: bound arguments, callable objects, methods.
    """
    async with serving_tcp(handler) as server, connecting(server) as client:
        assert greeting == await client.recv()


async def test_a_handler_that_returns_closes_with_1000(caplog):
    """
    A8: returning is the normal end.
    """

    async def handler(connection):
        pass

    async with serving_tcp(handler) as server, connecting(server) as client:
        await client.wait_closed()

    assert (1000, "") == (client.close_code, client.close_reason)
    assert [] == errors(caplog)


async def test_a_handler_that_raises_closes_with_1011(caplog):
    """
    A8: the peer learns of an internal error, the log has the traceback once.
    """

    async def handler(connection):
        raise ValueError("a secret of the house")

    async with serving_tcp(handler) as server, connecting(server) as client:
        await client.wait_closed()

    assert (1011, "") == (client.close_code, client.close_reason)
    [record] = errors(caplog)
    assert ("ERROR", "connection handler failed") == (
        record.levelname,
        record.getMessage(),
    )
    assert "a secret of the house" == str(record.exc_info[1])


async def test_json_messages():
    """
    A1: a small protocol, dispatched by type.
    """

    async def handler(connection):
        async for message in connection:
            match json.loads(message):
                case {"type": "add", "a": a, "b": b}:
                    await connection.send(json.dumps({"sum": a + b}))
                case _:
                    await connection.aclose(1003, "unknown event")

    async with serving_tcp(handler) as server, connecting(server) as connection:
        await connection.send(json.dumps({"type": "add", "a": 1, "b": 2}))
        assert {"sum": 3} == json.loads(await connection.recv())
        await connection.send("{}")
        with pytest.raises(ConnectionClosedError, match="1003"):
            await connection.recv()


# D. First steps.


async def hello(connection):
    """
    Read a name, send a greeting, return.
    """
    await connection.send(f"Hello {await connection.recv()}!")


async def test_the_hello_server_closes_with_1000():
    """
    D1: after the greeting the connection is closed normally.
    """
    async with serving_tcp(hello) as server, raw_client(server) as client:
        await client.send_frame("81", b"Ada")

        assert b"Hello Ada!" == (await client.read_frame()).payload
        assert (1000, "") == await client.read_close()
        await client.send_close(1000)
        assert b"" == await client.read_rest()


async def test_the_hello_client(monkeypatch):
    """
    D2: `async with connect(...)`. There is no other way on trio.
    """
    monkeypatch.setenv("no_proxy", "*")
    async with serving_tcp(hello) as server:
        async with connect(url(server)) as connection:
            await connection.send("Ada")
            assert "Hello Ada!" == await connection.recv()

    assert 1000 == connection.close_code


async def test_the_time_server_on_the_wire():
    """
    D3: what a browser gets: one unmasked text frame for each time.
    """

    async def show_time(connection):
        while True:
            await connection.send(dt.datetime.now(tz=dt.UTC).isoformat())
            await trio.sleep(0.001)

    origin = ("Origin", "http://localhost")
    async with serving_tcp(show_time) as server, raw_client(server, origin) as client:
        frames = [await client.read_frame() for _ in range(3)]
        await client.send_close(1001)
        assert (1001, "") == await client.read_close()

    assert [0x81] * 3 == [frame.head for frame in frames]
    times = [dt.datetime.fromisoformat(frame.payload.decode()) for frame in frames]
    assert times == sorted(times)


async def test_pings_and_closing_need_no_care():
    """
    D4: a handler that only receives answers pings and the closing handshake.
    """

    async def handler(connection):
        async for _ in connection:
            pass

    async with serving_tcp(handler) as server, raw_client(server) as client:
        await client.send_frame("89", b"are you there?")
        pong = await client.read_frame()
        await client.send_close(1000, "bye")

        assert (0x8A, b"are you there?") == (pong.head, pong.payload)
        assert (1000, "bye") == await client.read_close()
        assert b"" == await client.read_rest()


async def test_keepalive_needs_no_care():
    """
    D4: pings go out by themselves, one after the other, while all is quiet.
    """

    async def handler(connection):
        async for _ in connection:
            pass

    pings = []
    async with (
        serving_tcp(handler, ping_interval=0.005) as server,
        raw_client(server) as client,
    ):
        for _ in range(3):
            pings.append(await client.read_frame())
            await client.send_frame("8a", pings[-1].payload)
        await client.send_close(1000)

    assert [0x89] * 3 == [ping.head for ping in pings]
    assert 3 == len({ping.payload for ping in pings})
