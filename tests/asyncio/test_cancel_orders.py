"""
Data, timeout and cancellation in every order: no message lost or doubled.

A script is a sequence of steps. Steps that follow each other happen in one
turn of the event loop, unless a step lets turns pass. After every script what
was received and what can still be received is exactly what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.asyncio.harness import both_sides, facing_raw_peer, linked
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


class Script:
    """
    Play steps with a connection and its raw peer.

    Attributes:
        sent: Texts the peer sent.
        received: Texts that receivers returned, in order.
    """

    def __init__(self, connection, peer):
        self.connection = connection
        self.peer = peer
        self.loop = asyncio.get_running_loop()
        self.sent = []
        self.received = []
        self.receiver = None

    async def play(self, steps):
        """
        Play all steps, then receive what is left.
        """
        self.start()
        for step in steps:
            await getattr(self, step)()
        await self.collect()
        while len(self.received) < len(self.sent):
            self.received.append(await self.connection.recv())
        assert self.sent == self.received, steps

    def start(self):
        """
        Start a receiver in a task of its own.
        """
        self.receiver = asyncio.ensure_future(self.connection.recv())

    async def collect(self):
        """
        Wait for the end of a receiver that is told to end; keep its message.
        """
        receiver, self.receiver = self.receiver, None
        receiver.cancel()
        await asyncio.wait([receiver])
        if not receiver.cancelled():
            self.received.append(receiver.result())

    async def data(self):
        """
        A message reaches our socket; the loop will see it in its next turn.
        """
        self.sent.append(str(len(self.sent)))
        self.peer.sock.send(self.peer.frame("81", self.sent[-1].encode()))

    async def halves(self):
        """
        A message of two fragments reaches our socket in two pieces.
        """
        self.sent.append(str(len(self.sent)))
        self.peer.sock.send(self.peer.frame("01"))
        await asyncio.sleep(0)
        self.peer.sock.send(self.peer.frame("80", self.sent[-1].encode()))

    async def cancel(self):
        """
        The receiver is cancelled now.
        """
        self.receiver.cancel()

    async def cancel_soon(self):
        """
        The receiver is cancelled in the next turn, before sockets are read.
        """
        self.loop.call_soon(self.receiver.cancel)

    async def cancel_by_timer(self):
        """
        The receiver is cancelled in the next turn, after sockets are read.
        """
        self.loop.call_later(0, self.receiver.cancel)

    async def turn(self):
        """
        A turn of the loop passes.
        """
        await asyncio.sleep(0)

    async def turns(self):
        """
        Some turns of the loop pass.
        """
        for _ in range(3):
            await asyncio.sleep(0)

    async def replace(self):
        """
        The receiver is cancelled; a new one starts when it has ended.
        """
        await self.collect()
        self.start()


STEPS = ["data", "cancel", "cancel_soon", "cancel_by_timer", "turn", "replace"]


@pytest.mark.parametrize("first", STEPS)
async def test_every_script_of_four_steps(side, first):
    """
    All orders of data, cancellation by call, by callback and by timer, with
    and without turns between them.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for rest in itertools.product(STEPS, repeat=3):
            await Script(connection, peer).play([first, *rest])


async def test_random_scripts(side):
    """
    Longer scripts, with fragmented messages.
    """
    async with facing_raw_peer(side) as (connection, peer):
        scripts = []

        @settings(
            max_examples=150,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(st.sampled_from([*STEPS, "halves", "turns"]), max_size=20))
        def collect(steps):
            scripts.append(steps)

        collect()
        for steps in scripts:
            await Script(connection, peer).play(steps)


@pytest.mark.parametrize("timeout", [0, 0.0002, 0.001])
async def test_timeouts_during_a_stream_of_messages(side, timeout):
    """
    A receiver that polls with timeouts gets every message once, in order.
    """

    async def produce():
        for number in range(200):
            await other.send(str(number))
            await asyncio.sleep([0, 0, 0.0001, 0.001][number % 4])
        await other.close()

    received = []
    async with linked(side) as (connection, other):
        producing = asyncio.create_task(produce())
        try:
            while True:
                try:
                    async with asyncio.timeout(timeout):
                        received.append(await connection.recv())
                except TimeoutError:
                    await asyncio.sleep(0)
        except lib.ConnectionClosedOK:
            pass
        await producing

        assert [str(number) for number in range(200)] == received


async def test_wait_for_during_a_stream_of_messages(side):
    """
    `wait_for()` gives up in the very turn in which messages come: none lost.
    """

    async def produce():
        for number in range(100):
            await other.send(str(number))
            await asyncio.sleep(0.0005)
        await other.close()

    received = []
    async with linked(side) as (connection, other):
        producing = asyncio.create_task(produce())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    received.append(await asyncio.wait_for(connection.recv(), 0.0005))
        except lib.ConnectionClosedOK:
            pass
        await producing

        assert [str(number) for number in range(100)] == received
