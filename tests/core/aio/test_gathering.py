"""
Gathered turns: many connections read, then answer, then write together.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.core.aio.ends import call_in_loop, feed, link_with_wire, parse

pytestmark = pytest.mark.anyio

ROUNDS = 40  # in which turns begin to be gathered, if there are enough connections


async def echo(ends):
    while True:
        await ends.connected.send(await ends.connected.recv())


@contextlib.asynccontextmanager
async def connections(core, count, handler=echo):
    """
    Connections of one loop, each with a task which has begun to receive.
    """
    loop = asyncio.get_running_loop()
    all_ends = [link_with_wire(core) for _ in range(count)]
    turn = all_ends[0].link.turn
    defaults = turn.quick, turn.patience
    # However slow the machine is.
    turn.quick = turn.patience = 60.0
    tasks = [loop.create_task(handler(ends)) for ends in all_ends]
    await asyncio.sleep(0)
    yield all_ends
    turn.quick, turn.patience = defaults
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def read_once(all_ends, message="x"):
    """
    Have each connection read in one iteration of the loop, and wait for its end.
    """
    loop = asyncio.get_running_loop()
    for ends in all_ends:
        loop.call_soon(feed, ends.link, message)
    for _ in range(3):
        await asyncio.sleep(0)


async def gather(all_ends):
    """
    Read until turns are gathered; return whether they are.
    """
    turn = all_ends[0].link.turn
    for _ in range(ROUNDS):
        await read_once(all_ends)
    for ends in all_ends:
        ends.wire.written.clear()
    return turn.gathering


def writes(all_ends):
    return [[parse(data) for data in ends.wire.written] for ends in all_ends]


async def test_turns_of_a_crowd_are_gathered(core):
    """
    Nobody is woken before all have been read from; each writes once.
    """
    seen = []

    async def echo_and_note(ends):
        while True:
            message = await ends.connected.recv()
            seen.append(message)
            await ends.connected.send(message)

    async with connections(core, 8, echo_and_note) as crowd:
        assert await gather(crowd)
        seen.clear()

        def read():
            for ends in crowd:
                feed(ends.link, "one", "two")
            return list(seen), writes(crowd)

        assert ([], [[]] * 8) == await call_in_loop(read)
        await asyncio.sleep(0)
        assert ["one", "two"] * 8 == seen
        assert [[["one", "two"]]] * 8 == writes(crowd)


async def test_reads_of_one_connection_keep_their_order(core):
    """
    Also if it is read from twice before its task is woken.
    """
    async with connections(core, 8) as crowd:
        assert await gather(crowd)

        def read():
            feed(crowd[0].link, "one")
            feed(crowd[0].link, "two")

        await call_in_loop(read)
        await asyncio.sleep(0)

        assert [["one", "two"]] == writes(crowd)[0]


async def test_a_few_connections_do_not_wait(core):
    """
    Answers of three connections are written at once, however often.
    """
    async with connections(core, 3) as few:
        assert not await gather(few)

        def read():
            feed(few[0].link, "one")
            return writes(few[:1])

        assert [[["one"]]] == await call_in_loop(read)


async def test_a_crowd_goes_away(core):
    """
    When only one of many goes on, it does not wait any more.
    """
    async with connections(core, 8) as crowd:
        assert await gather(crowd)

        await read_once(crowd[:1], "one")

        assert not crowd[0].link.turn.gathering
        assert [["one"]] == writes(crowd)[0]


async def test_tasks_that_are_slow_from_the_start_are_not_gathered(core):
    """
    Nobody waits for a crowd of tasks that take longer than is quick.
    """
    async with connections(core, 8) as crowd:
        crowd[0].link.turn.quick = 0.0

        assert not await gather(crowd)


async def test_nobody_waits_for_slow_tasks(core):
    """
    When a task of a crowd takes longer than others may wait, what they have answered
    is written, and the crowd does not wait for each other any more.
    """
    order = []

    async def echo_and_count(ends):
        while True:
            message = await ends.connected.recv()
            order.append(sum(len(each.wire.written) for each in crowd))
            await ends.connected.send(message)

    async with connections(core, 8, echo_and_count) as crowd:
        assert await gather(crowd)
        order.clear()
        crowd[0].link.turn.patience = 0.0

        await read_once(crowd)

        # When the third answers, the first two answers have left.
        assert [0, 0, 2, 3, 4, 5, 6, 7] == order
        assert [[["x"]]] * 8 == writes(crowd)


async def test_no_more_than_so_many_wait_to_be_woken(core):
    """
    After 64 reads their tasks run, though more is to be read.
    """
    async with connections(core, 70) as crowd:
        assert await gather(crowd)

        def read():
            for ends in crowd:
                feed(ends.link, "x")
            return sum(ends.link.has_items() for ends in crowd)

        assert 6 == await call_in_loop(read)
        await asyncio.sleep(0)
        assert [[["x"]]] * 70 == writes(crowd)


async def test_loss_while_a_message_waits(core):
    """
    A connection that is lost before its task is woken delivers what it has read.
    """
    received = []

    async def receive(ends):
        with contextlib.suppress(Exception):
            while True:
                received.append(await ends.connected.recv())

    async with connections(core, 8, receive) as crowd:
        assert await gather(crowd)
        received.clear()

        def read():
            for ends in crowd:
                feed(ends.link, "x")
            crowd[0].link.lost_connection(None)

        await call_in_loop(read)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert ["x"] * 8 == received


async def test_an_interrupt_does_not_keep_others_from_being_woken(core):
    """
    A KeyboardInterrupt in a gathered turn gets through; if the loop goes on, so do the
    other connections.
    """

    async def interrupt(ends):
        while True:
            message = await ends.connected.recv()
            if message == "interrupt":
                raise KeyboardInterrupt
            await ends.connected.send(message)

    async with connections(core, 8, interrupt) as crowd:
        assert await gather(crowd)

        def read():
            feed(crowd[0].link, "x")
            feed(crowd[1].link, "interrupt")
            for ends in crowd[2:]:
                feed(ends.link, "x")
            with pytest.raises(KeyboardInterrupt):
                crowd[0].link.turn.go_on()

        await call_in_loop(read)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert [[["x"]], [], *[[["x"]]] * 6] == writes(crowd)


async def test_a_wire_that_fails_does_not_keep_others_from_writing(core):
    """
    What a wire raises gets through; the others write in the next turn.
    """

    class BrokenWire(type(link_with_wire(core).wire)):
        def write_outbox(self, outbox):
            raise RuntimeError("broken")

    async with connections(core, 8) as crowd:
        assert await gather(crowd)
        turn = crowd[0].link.turn
        crowd[0].link.wire = BrokenWire(crowd[0].link)

        def read():
            for ends in crowd:
                feed(ends.link, "x")
            turn.go_on()
            with pytest.raises(RuntimeError, match="broken"):
                turn.end()
            return writes(crowd)

        assert [[]] * 8 == await call_in_loop(read)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [[], *[[["x"]]] * 7] == writes(crowd)
