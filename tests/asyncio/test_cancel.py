"""
Cancelling a receiver or a sender loses nothing and sends nothing by halves.
"""

from __future__ import annotations

import asyncio

import anyio
import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


async def cancelled(task):
    """
    Cancel a task and wait until it has ended.
    """
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def test_a_cancelled_recv_leaves_the_next_message(side):
    """
    The message that comes later goes to the next receiver.
    """
    async with facing_raw_peer(side) as (connection, peer):
        task = asyncio.create_task(connection.recv())
        await settle()
        assert await cancelled(task)
        await peer.send_frame("81", b"later")

        assert "later" == await connection.recv()


async def test_another_task_may_receive_at_once(side):
    """
    After `cancel()`, a task made in the same turn of the loop becomes the
    receiver.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = asyncio.create_task(connection.recv())
        await settle()
        first.cancel()
        second = asyncio.create_task(connection.recv())
        await settle()
        await peer.send_frame("81", b"for the second")

        assert "for the second" == await second
        assert first.cancelled()


async def test_a_cancelled_wait_counts_until_it_has_ended(side):
    """
    In the turn of `cancel()` the old receiver is still there: to receive by
    hand in that turn is an error, as for any two receivers.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = asyncio.create_task(connection.recv())
        await settle()
        first.cancel()
        with pytest.raises(lib.ConcurrencyError):
            await connection.recv()
        await asyncio.wait([first])
        await peer.send_frame("81", b"now")

        assert "now" == await connection.recv()


async def test_cancelling_one_receiver_does_not_reach_another(side):
    """
    A late cancellation of an old task is no business of the new one.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = asyncio.create_task(connection.recv())
        await settle()
        await peer.send_frame("81", b"one")
        await asyncio.wait([first])
        second = asyncio.create_task(connection.recv())
        await settle()
        too_late = first.cancel()
        await settle()
        await peer.send_frame("81", b"two")

        assert not too_late
        assert ["one", "two"] == [await first, await second]


@pytest.mark.parametrize("received", [0, 1, 2])
async def test_cancelling_within_a_fragmented_message(side, received):
    """
    Fragments that are already here wait for the next receiver.
    """
    fragments = [("01", b"a"), ("00", b"b"), ("80", b"c")]
    async with facing_raw_peer(side) as (connection, peer):
        for fragment in fragments[:received]:
            await peer.send_frame(*fragment)
        task = asyncio.create_task(connection.recv())
        await settle()
        assert await cancelled(task)
        for fragment in fragments[received:]:
            await peer.send_frame(*fragment)

        assert "abc" == await connection.recv()


async def test_cancelling_at_every_fragment(side):
    """
    However often receivers give up, the message arrives once, whole.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for header in ["01"] + ["00"] * 8:
            task = asyncio.create_task(connection.recv())
            await settle()
            await peer.send_frame(header, b"x")
            await settle()
            assert await cancelled(task)
        await peer.send_frame("80", b"!")

        assert "xxxxxxxxx!" == await connection.recv()


async def test_a_cancelled_iteration_can_be_taken_up(side):
    """
    A cancelled `async for` loses nothing.
    """

    async def consume():
        async for message in connection:
            messages.append(message)

    messages = []
    async with facing_raw_peer(side) as (connection, peer):
        for text in (b"one", b"two", b"three"):
            task = asyncio.create_task(consume())
            await settle()
            await peer.send_frame("81", text)
            await settle()
            assert await cancelled(task)
        await peer.send_frame("81", b"four")
        await peer.close_with(1000)
        await consume()

        assert ["one", "two", "three", "four"] == messages


async def test_timeouts_around_recv(side):
    """
    `asyncio.timeout()`, `wait_for()` and anyio's scopes lose no message.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await connection.recv()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.002)
        with anyio.move_on_after(0.002) as scope:
            await connection.recv()
        assert scope.cancelled_caught
        await peer.send_frame("81", b"one")

        assert "one" == await connection.recv()


@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_timeout_in_the_past_polls(side, timeout):
    """
    `asyncio.timeout(0)` around `recv()` takes a message that is there, or
    none; never half of one.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"there")
        await settle()
        received = []
        for _ in range(2):
            try:
                async with asyncio.timeout(timeout):
                    received.append(await connection.recv())
            except TimeoutError:
                pass
        await peer.send_frame("81", b"end")
        while received[-1:] != ["end"]:
            received.append(await connection.recv())

        assert ["there", "end"] == received


async def test_the_loser_of_a_race_is_cancelled(side):
    """
    `wait(FIRST_COMPLETED)` and cancel, again and again, in one loop.
    """
    received, ticks = [], 0
    async with facing_raw_peer(side) as (connection, peer):
        for number in range(100):
            receiving = asyncio.ensure_future(connection.recv())
            ticking = asyncio.ensure_future(asyncio.sleep(0))
            if number % 2:
                await peer.send_frame("81", b"%d" % number)
            done, pending = await asyncio.wait(
                [receiving, ticking], return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                await cancelled(task)
            ticks += ticking in done
            if receiving.done() and not receiving.cancelled():
                received.append(receiving.result())
        while len(received) < 50:
            received.append(await connection.recv())

        assert [str(number) for number in range(1, 100, 2)] == received


async def test_a_task_group_that_fails(side):
    """
    Its receiver is cancelled with it and loses nothing.
    """

    async def fail():
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.recv())
                group.create_task(fail())
        await peer.send_frame("81", b"kept")

        assert "kept" == await connection.recv()


async def test_a_shielded_recv_goes_on(side):
    """
    Cancelling around a shield does not cancel the receiver within.
    """
    async with facing_raw_peer(side) as (connection, peer):
        inner = asyncio.ensure_future(connection.recv())
        outer = asyncio.shield(inner)
        await settle()
        outer.cancel()
        await settle()
        await peer.send_frame("81", b"for the inner one")

        assert "for the inner one" == await inner


async def test_a_recv_that_swallows_its_cancellation(side):
    """
    A task that catches `CancelledError` may receive again.
    """

    async def stubborn():
        while True:
            try:
                return await connection.recv()
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()

    async with facing_raw_peer(side) as (connection, peer):
        task = asyncio.create_task(stubborn())
        for _ in range(3):
            await settle()
            task.cancel()
        await settle()
        await peer.send_frame("81", b"finally")

        assert "finally" == await task


async def test_the_end_and_a_cancellation_in_one_turn(side):
    """
    A receiver cancelled in the turn in which the connection ends is
    cancelled, or learns of the end; the next one learns of the end.
    """
    async with facing_raw_peer(side) as (connection, peer):
        task = asyncio.create_task(connection.recv())
        await settle()
        peer.close()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled() or isinstance(
            task.exception(), lib.ConnectionClosedError
        )
        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()


async def test_cancelling_a_sender_after_its_message(side):
    """
    A task that has sent and does something else took its message with it.
    """

    async def work():
        await connection.send("sent")
        await asyncio.Event().wait()

    async with facing_raw_peer(side) as (connection, peer):
        task = asyncio.create_task(work())
        await settle()
        assert await cancelled(task)
        await connection.send("next")

        assert [RawFrame(0x81, b"sent"), RawFrame(0x81, b"next")] == [
            await peer.read_frame() for _ in range(2)
        ]


async def test_cancelling_a_pinger(side):
    """
    A task that waits for a pong can be cancelled; the pong is ignored then.
    """

    async def measure():
        await (await connection.ping(b"?"))

    async with linked(side) as (connection, other):
        task = asyncio.create_task(measure())
        await asyncio.sleep(0)
        assert await cancelled(task)
        await settle()
        await connection.send("still fine")

        assert "still fine" == await other.recv()
