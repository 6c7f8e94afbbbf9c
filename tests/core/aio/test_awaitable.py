"""
What recv() and send() return, driven by hand: both builds behave alike.
"""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import sys
import warnings

import pytest

from tests.core.aio.ends import feed, link_with_wire, parse

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ends(core):
    return link_with_wire(core)


def finish(function, *args):
    """
    Return what a call finishes an await with.
    """
    with pytest.raises(StopIteration) as raised:
        function(*args)
    return raised.value.value


WAYS = {"send": lambda it: it.send(None), "next": next}
both_ways = pytest.mark.parametrize("go_on", WAYS.values(), ids=WAYS)


async def fragments(*items):
    """
    Iterate, waiting for a future before each item.
    """
    for item in items:
        await asyncio.sleep(0)
        yield item


@both_ways
async def test_finishing_at_once(ends, go_on):
    """
    A message that is there is the value of StopIteration.
    """
    feed(ends.link, "hello")

    assert "hello" == finish(go_on, ends.connected.recv())


@both_ways
async def test_waiting_and_going_on(ends, go_on):
    """
    What is yielded is a future; the message is received by the next step.
    """
    receive = ends.connected.recv()

    assert asyncio.isfuture(go_on(receive))
    feed(ends.link, "hello")
    assert "hello" == finish(go_on, receive)


@both_ways
async def test_finishing_without_a_value(ends, go_on):
    """
    The value of send() is None.
    """
    assert finish(go_on, ends.connected.send("hello")) is None
    assert ["hello"] == parse(b"".join(ends.wire.written))


async def test_it_is_a_coroutine_and_no_future(ends):
    """
    It can be a task's coroutine, and nothing takes it for a future.
    """
    receive = ends.connected.recv()

    assert isinstance(receive, collections.abc.Coroutine)
    assert not asyncio.isfuture(receive)
    assert iter(receive) is receive
    receive.close()


@both_ways
async def test_going_on_after_the_end(ends, go_on):
    """
    RuntimeError, as with a coroutine.
    """
    feed(ends.link, "hello")
    receive = ends.connected.recv()
    finish(go_on, receive)

    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        go_on(receive)


async def test_awaiting_what_is_being_awaited(ends):
    """
    RuntimeError, as with a coroutine; the first await is not disturbed.
    """
    receive = ends.connected.recv()
    receive.send(None)

    with pytest.raises(RuntimeError, match="coroutine is being awaited already"):
        receive.__await__()
    feed(ends.link, "hello")
    assert "hello" == finish(receive.send, None)


THROWN = {
    "an instance": (ValueError("no"),),
    "a class": (ValueError,),
    "a class and an instance": (ValueError, ValueError("no")),
    "a traceback": (ValueError, ValueError("no"), None),
}


@pytest.mark.parametrize("thrown", THROWN.values(), ids=THROWN)
@pytest.mark.parametrize("suspended", [False, True], ids=["fresh", "suspended"])
async def test_throwing(ends, thrown, suspended):
    """
    The exception comes back, and the next call may receive.
    """
    receive = ends.connected.recv()
    if suspended:
        receive.send(None)

    with pytest.raises(ValueError, match="^(no)?$"):
        receive.throw(*thrown)
    feed(ends.link, "hello")
    assert "hello" == finish(ends.connected.recv().send, None)
    with pytest.raises(RuntimeError, match="cannot reuse"):
        receive.throw(*thrown)


async def test_throwing_with_a_traceback(ends):
    """
    The traceback begins where the exception was raised first.
    """
    try:
        raise ValueError("no")
    except ValueError as exc:
        first = exc
    traceback = first.__traceback__

    with pytest.raises(ValueError, match="no") as raised:
        ends.connected.recv().throw(ValueError, first, traceback)
    frames = []
    current = raised.value.__traceback__
    while current is not None:
        frames.append(current)
        current = current.tb_next
    assert traceback in frames


@pytest.mark.parametrize("steps", [0, 1, 2], ids=["fresh", "suspended", "done"])
async def test_closing(ends, steps):
    """
    Closing is possible at any time, twice, and ends what waits.
    """
    receive = ends.connected.recv()
    if steps:
        receive.send(None)
    if steps == 2:
        feed(ends.link, "one")
        finish(receive.send, None)

    receive.close()
    receive.close()

    feed(ends.link, "two")
    assert "two" == finish(ends.connected.recv().send, None)


async def test_a_coroutine_that_does_the_rest(ends):
    """
    A fragmented message waits where its iterable waits.
    """
    send = ends.connected.send(fragments("one", "two"))
    steps = 0
    while True:
        try:
            send.send(None)
        except StopIteration as stop:
            assert stop.value is None  # noqa: PT017 - the others return
            break
        steps += 1

    await asyncio.sleep(0)
    assert 2 == steps
    assert bytes.fromhex("0103 6f6e65 0003 74776f 8000") == b"".join(ends.wire.written)


async def test_throwing_into_the_coroutine_that_does_the_rest(ends):
    """
    The exception arrives there; what was begun ends the connection (1011).
    """
    send = ends.connected.send(fragments("one", "two"))
    send.send(None)
    send.send(None)

    with pytest.raises(ValueError, match="no"):
        send.throw(ValueError("no"))
    assert 1011 == ends.link.close_sent.code


async def test_an_exception_that_is_caught_in_the_coroutine(ends):
    """
    The awaitable goes on with what the coroutine yields or returns next.
    """

    async def stubborn():
        for _ in range(2):
            try:
                await asyncio.sleep(0)
            except ValueError:
                yield "caught"
        yield "end"

    send = ends.connected.send(stubborn())
    send.send(None)

    assert send.throw(ValueError("no")) is None
    assert finish(send.throw, ValueError("no")) is None
    await asyncio.sleep(0)
    written = b"".join(ends.wire.written)
    assert b"\x01\x06caught\x00\x06caught\x00\x03end\x80\x00" == written


async def test_closing_the_coroutine_that_does_the_rest(ends):
    """
    A message that waits for a fragmented one is not sent any more.
    """
    first = ends.connected.send(fragments("one", "two"))
    first.send(None)
    first.send(None)
    second = ends.connected.send("three")
    assert asyncio.isfuture(second.send(None))

    second.close()

    assert finish(first.send, None) is None
    await asyncio.sleep(0)
    assert bytes.fromhex("0103 6f6e65 0003 74776f 8000") == b"".join(ends.wire.written)


async def test_an_error_of_the_coroutine_that_does_the_rest(ends):
    """
    Comes out of the step in which it was raised.
    """
    with pytest.raises(TypeError, match="data must be str, bytes, iterable"):
        ends.connected.send(None).send(None)


@pytest.mark.parametrize("method", ["recv", "__anext__"])
async def test_a_forgotten_await_warns(ends, method):
    """
    With the name of the method, each time.
    """
    for _ in range(3):
        # The warning comes when the garbage is collected.
        with pytest.warns(  # noqa: PT031 - two steps make it
            RuntimeWarning, match="was never awaited"
        ) as caught:
            getattr(ends.connected, method)()
            gc.collect()
        expected = f"coroutine 'Connection.{method}' was never awaited"
        assert [expected] == [str(warning.message) for warning in caught]


@pytest.mark.parametrize("action", ["always", "error"])
async def test_a_forgotten_await_hides_no_exception(ends, action, monkeypatch):
    """
    Not even if the warning is an error, which has nobody to go to.
    """
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        with pytest.raises(ZeroDivisionError):
            _ = [ends.connected.recv(), 1 // 0]
        gc.collect()

    messages = [str(warning.message) for warning in caught]
    messages += [str(argument.exc_value) for argument in unraisable]
    assert ["coroutine 'Connection.recv' was never awaited"] == messages


async def test_only_kinds_without_attributes_share_slots(core):
    """
    The others have more to free than the base class.
    """

    class Kind(core.aio.awaitable.Awaitable):
        __slots__ = ("attribute",)

    with pytest.raises(TypeError, match=r"^Kind has attributes of its own$"):
        core.aio.awaitable.share_slots(Kind)


async def test_a_finished_one_does_not_warn(ends):
    """
    Neither a finished one nor a suspended one that is dropped.
    """
    feed(ends.link, "hello")
    finish(ends.connected.recv().send, None)
    receive = ends.connected.recv()
    receive.send(None)
    ends.link.lost_connection(None)
    del receive
    gc.collect()


def test_work_is_left_to_subclasses(core):
    """
    The base class has none.
    """
    with pytest.raises(NotImplementedError):
        core.aio.awaitable.Awaitable().send(None)
