"""
The waiter, on which a task waits, and contexts: both builds behave alike.
"""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from tests.core.aio.ends import call_in_loop

pytestmark = pytest.mark.anyio

number = contextvars.ContextVar("number", default=0)


@pytest.fixture
async def waiter(core):
    return core.aio.waiter.new_waiter(asyncio.get_running_loop())


def wake_soon(waiter):
    """
    Wake whoever waits in the next turn of the loop.
    """
    waiter.wake()


def wake_now(waiter):
    """
    Wake whoever waits before this returns.
    """
    finished = asyncio.get_running_loop().create_future()
    finished.set_result(None)
    waiter.wake_now(finished)


class Until:
    """
    Awaits a waiter.
    """

    def __init__(self, waiter):
        self.waiter = waiter

    def __await__(self):
        yield self.waiter


async def sleeper(waiter, log):
    await Until(waiter)
    log.append(number.get())


async def start(waiter, log, context=None):
    """
    Start a task that waits on the waiter.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(sleeper(waiter, log), context=context)
    await asyncio.sleep(0)
    return task


async def test_waking_lets_the_task_go_on_in_the_next_turn(waiter):
    """
    wake() returns before the task runs; the task runs without another call.
    """
    log = []
    task = await start(waiter, log)

    waiter.wake()

    assert [] == log
    await task
    assert [0] == log


async def test_waking_now_runs_the_task_at_once_in_its_context(waiter):
    """
    The task has run when wake_now() returns, and saw its own context variables.
    """
    log = []
    context = contextvars.copy_context()
    context.run(number.set, 7)
    await start(waiter, log, context)

    def wake():
        wake_now(waiter)
        return list(log)

    assert [7] == await call_in_loop(wake)
    assert 0 == number.get()


async def test_a_context_in_use_makes_the_task_wait_its_turn(waiter):
    """
    A context is entered once at a time: who shares one is woken by the loop.
    """
    log = []
    context = contextvars.copy_context()
    context.run(number.set, 7)
    task = await start(waiter, log, context)

    def wake():
        context.run(wake_now, waiter)
        return list(log)

    assert [] == await call_in_loop(wake)
    await task
    assert [7] == log


@pytest.mark.parametrize("wake", [wake_soon, wake_now])
async def test_waking_before_the_task_waits(waiter, wake):
    """
    A waiter that was woken already lets its task go on in the next turn.
    """
    wake(waiter)

    await asyncio.wait_for(Until(waiter), 5)

    assert waiter.done()
    assert not waiter.cancelled()


@pytest.mark.parametrize("wake", [wake_soon, wake_now])
async def test_waking_twice(waiter, wake):
    """
    The second call does nothing.
    """
    log = []
    task = await start(waiter, log)

    waiter.wake()
    wake(waiter)
    await task

    assert [0] == log


async def test_a_waiter_that_was_woken_cannot_be_cancelled(waiter):
    """
    cancel() returns false once a wake-up is on its way: the task gets it.
    """
    waiter.wake()

    assert not waiter.cancel()
    assert not waiter.cancelled()
    assert waiter.result() is None
    assert waiter.exception() is None


@pytest.mark.parametrize("wake", [wake_soon, wake_now])
async def test_a_cancelled_waiter_cannot_be_woken(waiter, wake):
    """
    The first of the two wins, and the cancellation keeps its message.
    """
    assert not waiter.done()
    assert waiter.cancel("why")
    wake(waiter)

    assert waiter.cancelled()
    assert waiter.done()
    assert not waiter.cancel()
    for read in (waiter.result, waiter.exception):
        with pytest.raises(asyncio.CancelledError) as raised:
            read()
        assert ("why",) == raised.value.args


async def test_a_cancellation_without_a_message(waiter):
    """
    No message, no argument.
    """
    waiter.cancel()

    with pytest.raises(asyncio.CancelledError) as raised:
        waiter.result()
    assert () == raised.value.args


async def test_cancelling_the_task(waiter):
    """
    Cancelling a task that waits reaches the waiter, and then the task.
    """
    log = []
    task = await start(waiter, log)

    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task

    assert waiter.cancelled()
    assert [] == log


async def test_cancelling_a_task_that_was_just_woken(waiter):
    """
    The task gets both, as with any future: it goes on, then is cancelled.
    """
    task = await start(waiter, [])

    waiter.wake()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert not waiter.cancelled()


async def test_removing_a_callback(waiter):
    """
    The number of callbacks removed is returned; a removed one is not called.
    """
    log = []
    assert 0 == waiter.remove_done_callback(log.append)
    waiter.add_done_callback(log.append)
    assert 0 == waiter.remove_done_callback(print)
    assert 1 == waiter.remove_done_callback(log.append)

    waiter.wake()
    await asyncio.sleep(0)

    assert [] == log


async def test_it_speaks_the_protocol_of_futures(waiter):
    """
    Which is how a task recognizes what it can wait on.
    """
    assert asyncio.isfuture(waiter)
    assert waiter.get_loop() is asyncio.get_running_loop()


def test_running_without_a_context(core):
    """
    The callback is called where we are.
    """
    log = []

    assert core.aio.context.run_in(None, log.append, 1)
    assert [1] == log


def test_running_in_a_context(core):
    """
    The callback changes variables there and not here.
    """
    context = contextvars.copy_context()

    assert core.aio.context.run_in(context, number.set, 5)
    assert (5, 0) == (context[number], number.get())


def test_not_running_in_a_context_in_use(core):
    """
    False, and no call.
    """
    log = []
    context = contextvars.copy_context()

    assert not context.run(core.aio.context.run_in, context, log.append, 1)
    assert [] == log


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, KeyboardInterrupt])
def test_exceptions_of_the_callback_get_through(core, kind):
    """
    A RuntimeError of the callback is not taken for a context in use, and the
    context is left.
    """
    context = contextvars.copy_context()

    def callback(argument):
        raise kind(argument)

    with pytest.raises(kind, match="no"):
        core.aio.context.run_in(context, callback, "no")
    assert 1 == context.run(int, 1)
