"""
What recv() and send() return can be used like any coroutine.
"""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import contextvars
import gc
import inspect
import sys

import anyio
import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

LONG = 5  # seconds; never reached


async def plainly(awaitable):
    return await awaitable


async def create_task(awaitable):
    return await asyncio.create_task(awaitable)


async def ensure_future(awaitable):
    return await asyncio.ensure_future(awaitable)


async def wait_for(awaitable):
    return await asyncio.wait_for(awaitable, LONG)


async def wait_for_without_timeout(awaitable):
    return await asyncio.wait_for(awaitable, None)


async def gather(awaitable):
    [result] = await asyncio.gather(awaitable)
    return result


async def shield(awaitable):
    return await asyncio.shield(awaitable)


async def as_completed(awaitable):
    [result] = [await future for future in asyncio.as_completed([awaitable])]
    return result


async def wait(awaitable):
    [task], _ = await asyncio.wait([asyncio.ensure_future(awaitable)])
    return task.result()


async def task_group(awaitable):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(awaitable)
    return task.result()


async def timeout(awaitable):
    async with asyncio.timeout(LONG):
        return await awaitable


async def fail_after(awaitable):
    with anyio.fail_after(LONG):
        return await awaitable


async def run_coroutine_threadsafe(awaitable):
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(
        lambda: asyncio.run_coroutine_threadsafe(awaitable, loop).result(LONG)
    )


WAYS = [
    plainly,
    create_task,
    ensure_future,
    wait_for,
    wait_for_without_timeout,
    gather,
    shield,
    as_completed,
    wait,
    task_group,
    timeout,
    fail_after,
    run_coroutine_threadsafe,
]

every_way = pytest.mark.parametrize("way", WAYS)


@contextlib.contextmanager
def loop_settings(*, debug=False, task_factory=None):
    """
    Change settings of the running loop for a while.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_debug(), loop.get_task_factory()
    loop.set_debug(debug)
    loop.set_task_factory(task_factory)
    try:
        yield
    finally:
        loop.set_debug(before[0])
        loop.set_task_factory(before[1])


def start_eagerly(loop, coroutine, *, eager_start=True, **options):
    """
    Do what `asyncio.eager_task_factory` does; uvloop gives it an argument that
    it does not know before Python 3.13.3.
    """
    return asyncio.Task(coroutine, loop=loop, eager_start=eager_start, **options)


LOOP_SETTINGS = [
    pytest.param({}, id="default"),
    pytest.param({"debug": True}, id="debug"),
]
if sys.version_info >= (3, 12):  # Eager tasks came with Python 3.12.
    LOOP_SETTINGS.append(pytest.param({"task_factory": start_eagerly}, id="eager"))

every_loop_setting = pytest.mark.parametrize("settings", LOOP_SETTINGS)


@every_way
@every_loop_setting
async def test_receiving_a_message_that_is_there(side, way, settings):
    """
    Every way of awaiting returns the message; nothing is taken twice.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.send_frame("81", b"two")
        await settle()
        with loop_settings(**settings):
            received = [await way(connection.recv()), await way(connection.recv())]

        assert ["one", "two"] == received


@every_way
@every_loop_setting
async def test_receiving_a_message_that_comes_later(side, way, settings):
    """
    Every way of awaiting suspends and is woken by the message.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with loop_settings(**settings):
            receiving = asyncio.create_task(way(connection.recv()))
            await settle()
            assert not receiving.done()
            await peer.send_frame("82", b"later")
            received = await receiving

        assert b"later" == received


@every_way
async def test_receiving_on_a_closed_connection(side, way):
    """
    Every way of awaiting raises the exception of `recv()`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(1000)
        await connection.wait_closed()
        with pytest.raises((lib.ConnectionClosedOK, ExceptionGroup)) as raised:
            await way(connection.recv())

        if way is task_group:
            [error] = raised.value.exceptions
            assert isinstance(error, lib.ConnectionClosedOK)
        else:
            assert isinstance(raised.value, lib.ConnectionClosedOK)


@every_way
@every_loop_setting
async def test_sending(side, way, settings):
    """
    Every way of awaiting sends the message once and returns `None`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with loop_settings(**settings):
            returned = [
                await way(connection.send("one")),
                await way(connection.send(b"two", text=True)),
                await way(connection.send(["three"])),
            ]
        frames = [await peer.read_frame() for _ in range(4)]

        assert [None, None, None] == returned
        assert [
            RawFrame(0x81, b"one"),
            RawFrame(0x81, b"two"),
            RawFrame(0x01, b"three"),
            RawFrame(0x80, b""),
        ] == frames


async def test_several_at_once_with_as_completed(side):
    """
    Each awaitable is an object of its own, so that no result is dropped.
    """
    async with linked(side) as (connection, other):
        for text in ("a", "b"):
            await other.send(text)
        awaitables = [connection.send("x"), connection.recv(), connection.send("y")]
        results = [await future for future in asyncio.as_completed(awaitables)]

        assert 2 == results.count(None)
        assert 1 == results.count("a")
        assert {"x", "y"} == {await other.recv(), await other.recv()}


async def test_several_at_once_with_gather(side):
    """
    Results come back in the order of the arguments.
    """
    async with linked(side) as (connection, other):
        results = await asyncio.gather(
            other.recv(), connection.send("x"), connection.recv(), other.send("y")
        )

        assert ["x", None, "y", None] == results


@pytest.mark.parametrize("method", ["recv", "send", "ping", "close", "wait_closed"])
async def test_they_are_coroutines_and_no_futures(side, method):
    """
    `asyncio` decides by these tests what to do with an awaitable.
    """
    arguments = ["message"] if method == "send" else []
    async with linked(side) as (connection, _):
        awaitable = getattr(connection, method)(*arguments)
        try:
            assert isinstance(awaitable, collections.abc.Coroutine)
            assert asyncio.iscoroutine(awaitable)
            assert inspect.isawaitable(awaitable)
            assert not asyncio.isfuture(awaitable)
        finally:
            awaitable.close()


@pytest.mark.parametrize("method", ["recv", "send"])
async def test_a_forgotten_await_warns(side, method):
    """
    Python's warning for coroutines that were never awaited.
    """
    arguments = ["message"] if method == "send" else []
    async with facing_raw_peer(side) as (connection, peer):

        def forget():
            getattr(connection, method)(*arguments)
            gc.collect()

        with pytest.warns(RuntimeWarning, match="was never awaited"):
            forget()
        await connection.send("next")

        assert RawFrame(0x81, b"next") == await peer.read_frame()


@pytest.mark.parametrize("method", ["recv", "send"])
async def test_closing_an_awaitable_takes_it_back(side, method):
    """
    `close()` before the first step: nothing happened, nothing warns, and
    awaiting it is an error.
    """
    arguments = ["never"] if method == "send" else []
    async with facing_raw_peer(side) as (connection, peer):
        awaitable = getattr(connection, method)(*arguments)
        awaitable.close()
        with pytest.raises(RuntimeError):
            await awaitable
        await connection.send("next")
        await peer.send_frame("81", b"received")

        assert RawFrame(0x81, b"next") == await peer.read_frame()
        assert "received" == await connection.recv()


@pytest.mark.parametrize("method", ["recv", "send"])
async def test_throwing_before_the_first_step(side, method):
    """
    `throw()` raises what it was given; nothing else happened.
    """
    arguments = ["never"] if method == "send" else []
    async with facing_raw_peer(side) as (connection, peer):
        awaitable = getattr(connection, method)(*arguments)
        with pytest.raises(ZeroDivisionError, match="^thrown$"):
            awaitable.throw(ZeroDivisionError("thrown"))
        with pytest.raises(RuntimeError):
            await awaitable
        await connection.send("next")

        assert RawFrame(0x81, b"next") == await peer.read_frame()


async def test_awaiting_a_recv_twice(side):
    """
    An awaitable gives one message; the second await is an error.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.send_frame("81", b"two")
        awaitable = connection.recv()
        first = await awaitable
        with pytest.raises(RuntimeError):
            await awaitable

        assert ["one", "two"] == [first, await connection.recv()]


async def test_awaiting_a_send_twice(side):
    """
    An awaitable sends once; the second await is an error.
    """
    async with facing_raw_peer(side) as (connection, peer):
        awaitable = connection.send("one")
        await awaitable
        with pytest.raises(RuntimeError):
            await awaitable
        await connection.send("two")

        assert [b"one", b"two"] == [(await peer.read_frame()).payload for _ in "12"]


async def test_awaiting_a_recv_in_two_tasks(side):
    """
    The second task gets an error at once, the first one the message.
    """

    async def receive():
        return await awaitable

    async with facing_raw_peer(side) as (connection, peer):
        awaitable = connection.recv()
        first, second = asyncio.create_task(receive()), asyncio.create_task(receive())
        await asyncio.wait([second])
        await peer.send_frame("81", b"one")

        assert "one" == await first
        assert isinstance(second.exception(), RuntimeError)


# When things happen


async def test_send_acts_when_awaited(side):
    """
    Messages leave in the order of the awaits, not of the calls.
    """
    async with facing_raw_peer(side) as (connection, peer):
        called_first = connection.send("awaited second")
        await connection.send("awaited first")
        await called_first

        assert [b"awaited first", b"awaited second"] == [
            (await peer.read_frame()).payload for _ in range(2)
        ]


async def test_recv_acts_when_awaited(side):
    """
    Messages are received in the order of the awaits, and a `recv()` that is
    not awaited does not stand in the way of another.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.send_frame("81", b"two")
        called_first = connection.recv()

        assert "one" == await connection.recv()
        assert "two" == await called_first


async def test_a_message_may_change_until_it_is_awaited(side):
    """
    `send()` looks at its argument when it acts.
    """
    data = bytearray(b"before")
    async with facing_raw_peer(side) as (connection, peer):
        awaitable = connection.send(data)
        data[:] = b"after!"
        await awaitable

        assert b"after!" == (await peer.read_frame()).payload


async def test_errors_are_raised_by_the_await(side):
    """
    Calls never raise, so that `gather(..., return_exceptions=True)` collects.
    """
    async with linked(side) as (connection, _):
        wrong = connection.send(5)
        await connection.close()
        calls = [connection.send("x"), connection.recv(), connection.ping()]
        results = await asyncio.gather(wrong, *calls, return_exceptions=True)

        closed = lib.ConnectionClosedOK
        assert [TypeError] + [closed] * 3 == [type(result) for result in results]


@pytest.mark.parametrize("method", ["send", "ping", "pong", "close"])
async def test_a_task_cancelled_before_its_first_step_sends_nothing(side, method):
    """
    `create_task()` alone does nothing yet.
    """
    arguments = ["never"] if method == "send" else []
    async with facing_raw_peer(side) as (connection, peer):
        task = asyncio.create_task(getattr(connection, method)(*arguments))
        task.cancel()
        await asyncio.wait([task])
        await connection.send("next")

        assert task.cancelled()
        assert RawFrame(0x81, b"next") == await peer.read_frame()


async def test_a_cancelled_task_takes_no_message(side):
    """
    A `recv()` cancelled before its first step leaves the message there.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"kept")
        await settle()
        task = asyncio.create_task(connection.recv())
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert "kept" == await connection.recv()


# Contexts

variable = contextvars.ContextVar("variable", default="nobody's")


async def test_context_variables_are_kept(side):
    """
    A receiver continues in the context in which it waited, whoever woke it.
    """

    async def receive():
        variable.set("receiver's")
        before = await connection.recv(), variable.get(), asyncio.current_task()
        after = await connection.recv(), variable.get(), asyncio.current_task()
        return before, after

    async with linked(side) as (connection, other):
        task = asyncio.create_task(receive())
        await settle()
        variable.set("sender's")
        await other.send("one")
        await settle()
        await other.send("two")

        assert (
            ("one", "receiver's", task),
            ("two", "receiver's", task),
        ) == await task
        assert "sender's" == variable.get()


async def test_a_woken_receiver_runs_as_its_task(side):
    """
    Whatever needs the current task works right after a message came.
    """

    async def receive():
        results = []
        async for message in connection:
            async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
                group.create_task(connection.send(f"re: {message}"))
            results.append(asyncio.current_task())
        return results

    async with linked(side) as (connection, other):
        task = asyncio.create_task(receive(), name="receiver")
        await other.send("one")
        assert "re: one" == await other.recv()
        await other.send("two")
        assert "re: two" == await other.recv()
        await other.close()

        assert [task, task] == await task


async def test_an_explicit_context(side):
    """
    `create_task(context=...)` shares a context between tasks.
    """
    context = contextvars.copy_context()
    context.run(variable.set, "shared")

    async def receive():
        message = await connection.recv()
        return message, variable.get()

    async with linked(side) as (connection, other):
        task = asyncio.create_task(receive(), context=context)
        await settle()
        await asyncio.create_task(other.send("one"), context=context)

        assert ("one", "shared") == await task
