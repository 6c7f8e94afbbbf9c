"""
Handlers as tutorials write them: patterns A1 to A6, A8 and A9.

``websockets`` is the library under test, as in programs that were written for
it; `conn` and `ws` of the tutorials are spelled out.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

import pytest

from tests.asyncio.exchange import connecting, nothing_left_over, serving
from tests.asyncio.harness import settle
from tests.asyncio.raw import RawPeer
from tests.under_test import websockets

pytestmark = pytest.mark.anyio


def errors(caplog):
    """
    Return the records above INFO.
    """
    return [record for record in caplog.records if record.levelno > logging.INFO]


async def test_a_consumer_iterates_over_messages(caplog):
    """
    A1: str for Text, bytes for Binary; the loop ends when the peer closes.
    """
    received, ended = [], asyncio.Event()

    async def handler(connection):
        async for message in connection:
            received.append(message)
        ended.set()

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.send("text")
            await client.send(b"binary")
        await ended.wait()

    assert ["text", b"binary"] == received
    assert [str, bytes] == [type(message) for message in received]
    assert [] == errors(caplog)


async def test_a_consumer_that_calls_recv_ends_by_connection_closed():
    """
    A2: `while True: await recv()` is left by ConnectionClosedOK.
    """
    received, ended = [], asyncio.get_running_loop().create_future()

    async def handler(connection):
        try:
            while True:
                received.append(await connection.recv())
        except websockets.ConnectionClosed as error:
            ended.set_result(error)

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.send("one")
            await client.send("two")
        error = await ended

    assert ["one", "two"] == received
    assert isinstance(error, websockets.ConnectionClosedOK)
    assert (1000, 1000) == (error.rcvd.code, error.sent.code)


async def test_a_consumer_learns_of_a_reset_right_behind_a_message():
    """
    A2: a message and a reset at once are a message, then ConnectionClosedError.
    """
    received, ended = [], asyncio.get_running_loop().create_future()

    async def handler(connection):
        try:
            while True:
                received.append(await connection.recv())
        except websockets.ConnectionClosed as error:
            ended.set_result(error)

    async with nothing_left_over(), serving(handler) as server:
        peer = await RawPeer.connect(server.port)
        await settle()
        peer.sock.send(peer.frame("81", b"last words"))
        peer.reset()
        error = await ended

    assert isinstance(error, websockets.ConnectionClosedError)
    assert (None, None) == (error.rcvd, error.sent)
    assert received in ([], ["last words"])


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_producer_ends_by_connection_closed(end, caplog):
    """
    A3: `while True: await send(...)` is left by ConnectionClosed, caught.
    """
    ended = asyncio.Event()

    async def handler(connection):
        while True:
            try:
                await connection.send(await produce())
            except websockets.ConnectionClosed:
                break
        ended.set()

    async def produce():
        await asyncio.sleep(0)
        return "news"

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            assert "news" == await client.recv()
            if end == "abort":
                client.transport.abort()
        await ended.wait()

    assert [] == errors(caplog)


async def test_a_producer_that_catches_nothing_closes_quietly():
    """
    A3: the same without `except`; the handler ends by ConnectionClosed.
    """
    ended = asyncio.get_running_loop().create_future()

    async def handler(connection):
        try:
            while True:
                await asyncio.sleep(0)
                await connection.send("news")
        except BaseException as error:
            ended.set_result(error)
            raise

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.recv()
        error = await ended

    assert isinstance(error, websockets.ConnectionClosedOK)


@pytest.mark.ours
async def test_a_producer_that_catches_nothing_logs_no_error(caplog):
    """
    A3: a handler that ends by ConnectionClosed has not failed.
    """

    async def handler(connection):
        while True:
            await asyncio.sleep(0)
            await connection.send("news")

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.recv()

    assert [] == errors(caplog)


class Chat:
    """
    A consumer and a producer as in the tutorials, with a queue between.
    """

    def __init__(self):
        self.received = []
        self.outgoing = asyncio.Queue()
        self.ended = asyncio.Event()

    async def consumer(self, connection):
        async for message in connection:
            self.received.append(message)

    async def producer(self, connection):
        while True:
            message = await self.outgoing.get()
            try:
                await connection.send(message)
            except websockets.ConnectionClosed:
                break


async def test_both_by_gather(caplog):
    """
    A4: consumer and producer run until both have noticed the end.
    """
    chat = Chat()

    async def handler(connection):
        await asyncio.gather(chat.consumer(connection), chat.producer(connection))
        chat.ended.set()

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.send("up")
            chat.outgoing.put_nowait("down")
            assert "down" == await client.recv()
        chat.outgoing.put_nowait("too late")
        await chat.ended.wait()

    assert ["up"] == chat.received
    assert [] == errors(caplog)


async def first_of_two(chat, connection):
    """
    Run two tasks, as A5 does; when one ends, cancel the other.
    """
    tasks = [
        asyncio.create_task(chat.consumer(connection)),
        asyncio.create_task(chat.producer(connection)),
    ]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


async def test_both_by_two_tasks_when_the_peer_leaves(caplog):
    """
    A5: the consumer ends first; the producer is cancelled; nothing is left.
    """
    chat = Chat()
    async with (
        nothing_left_over(),
        serving(functools.partial(first_of_two, chat)) as server,
    ):
        async with connecting(server.uri) as client:
            await client.send("up")
            chat.outgoing.put_nowait("down")
            assert "down" == await client.recv()
        await settle()

    assert ["up"] == chat.received
    assert 1000 == client.close_code
    assert [] == errors(caplog)


async def test_both_by_two_tasks_when_the_producer_is_done(caplog):
    """
    A5: the producer ends first; the task in `recv()` is cancelled silently.
    """
    chat = Chat()

    async def producer(connection):
        await connection.send(await chat.outgoing.get())

    chat.producer = producer
    async with (
        nothing_left_over(),
        serving(functools.partial(first_of_two, chat)) as server,
        connecting(server.uri) as client,
    ):
        await client.send("up")
        chat.outgoing.put_nowait("the only one")

        assert "the only one" == await client.recv()
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.recv()

    assert ["up"] == chat.received
    assert 1000 == client.close_code
    assert [] == errors(caplog)


async def test_cancelling_a_consumer_loses_no_message():
    """
    A5: what arrives after the cancellation is received by the next `recv()`.
    """
    cancelled = asyncio.Event()
    received = []

    async def handler(connection):
        task = asyncio.create_task(anext(aiter(connection)))
        await settle()
        task.cancel()
        await asyncio.wait([task])
        cancelled.set()
        received.append(await connection.recv())
        received.append(await connection.recv())

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await cancelled.wait()
            await client.send("one")
            await client.send("two")
            await client.wait_closed()

    assert ["one", "two"] == received


async def both_in_one_loop(chat, connection):
    """
    Wait for two futures, as A6 does; cancel the loser, and make it again.
    """
    try:
        while True:
            receiving = asyncio.ensure_future(connection.recv())
            producing = asyncio.ensure_future(chat.outgoing.get())
            done, _ = await asyncio.wait(
                [receiving, producing], return_when=asyncio.FIRST_COMPLETED
            )
            if receiving in done:
                chat.received.append(receiving.result())
            else:
                receiving.cancel()
            if producing in done:
                await connection.send(producing.result())
            else:
                producing.cancel()
    except websockets.ConnectionClosed:
        producing.cancel()


@pytest.mark.parametrize("turns", range(8))
async def test_both_in_one_loop_lose_nothing(turns, caplog):
    """
    A6: messages arrive in the turns around the one in which recv is cancelled.
    """
    chat = Chat()
    sent = [str(number) for number in range(20)]
    async with nothing_left_over():
        async with serving(functools.partial(both_in_one_loop, chat)) as server:
            with contextlib.closing(await RawPeer.connect(server.port)) as peer:
                echoed = []
                for text in sent:
                    await peer.send_frame("81", text.encode())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    chat.outgoing.put_nowait(text)
                    echoed.append((await peer.read_frame()).payload.decode())
                await peer.send_close(1000)
                await peer.read_close()

    assert sent == chat.received
    assert sent == echoed
    assert [] == errors(caplog)


async def test_a_handler_that_returns_closes_with_1000(caplog):
    """
    A8: returning is the normal end.
    """

    async def handler(connection):
        pass

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.wait_closed()

    assert (1000, "") == (client.close_code, client.close_reason)
    assert [] == errors(caplog)


async def test_a_handler_that_raises_closes_with_1011(caplog):
    """
    A8: the peer learns of an internal error, the log has the traceback once.
    """

    async def handler(connection):
        raise ValueError("a secret of the house")

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.wait_closed()

    assert (1011, "") == (client.close_code, client.close_reason)
    [record] = errors(caplog)
    assert ("ERROR", "connection handler failed") == (
        record.levelname,
        record.getMessage(),
    )
    assert "a secret of the house" == str(record.exc_info[1])


async def test_a_handler_that_is_cancelled_closes_with_1011():
    """
    A8: a handler that ends by CancelledError has not ended normally.
    """

    async def handler(connection):
        raise asyncio.CancelledError

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.wait_closed()

    assert 1011 == client.close_code


class Greeter:
    """
    Handlers that are no plain functions.
    """

    def __init__(self, greeting):
        self.greeting = greeting

    async def __call__(self, connection):
        await connection.send(self.greeting)

    async def greet(self, connection):
        await connection.send(self.greeting)


async def greet(greeting, connection):
    """
    Send a greeting bound before.
    """
    await connection.send(greeting)


async def greet_with(connection, *, greeting="hello", shout=False):
    """
    Send a greeting given by keyword.
    """
    await connection.send(greeting.upper() if shout else greeting)


async def greet_by_default(connection, greeting="hello"):
    """
    Send a greeting that is a default and must stay it.
    """
    await connection.send(greeting)


@pytest.mark.parametrize(
    "handler",
    [
        functools.partial(greet, "hello"),
        functools.partial(greet_with, greeting="hello"),
        functools.partial(greet_by_default, greeting="hello"),
        Greeter("hello"),
        Greeter("hello").greet,
        greet_with,
        greet_by_default,
        lambda connection: greet("hello", connection),
        lambda *arguments: greet("hello", *arguments),
    ],
    ids=[
        *("partial", "partial keyword", "partial default", "object", "method"),
        *("keyword-only", "default", "lambda", "any arguments"),
    ],
)
async def test_a_handler_may_be_any_callable(handler):
    """
    A9: bound arguments, callable objects, methods; defaults stay defaults.
    """
    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            assert "hello" == await client.recv()
            await client.wait_closed()

    assert 1000 == client.close_code
