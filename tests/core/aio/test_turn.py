"""
Turns: who runs when data arrives, and when what is sent is written.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import itertools

import pytest

from tests.core.aio.ends import call_in_loop, feed, link_with_wire, parse

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ends(core):
    return link_with_wire(core)


@contextlib.asynccontextmanager
async def running(coroutine, context=None):
    """
    Run a task that waits already when the block begins.
    """
    task = asyncio.get_running_loop().create_task(coroutine, context=context)
    await asyncio.sleep(0)
    yield task
    task.cancel()
    await asyncio.wait([task])


async def receive_all(ends, log):
    while True:
        log.append(await ends.connected.recv())


async def echo(ends):
    while True:
        await ends.connected.send(await ends.connected.recv())


# Waking.


async def test_a_receiver_runs_before_the_loop_goes_on(ends):
    """
    Data that arrives while no task runs wakes the receiver at once.
    """
    log = []

    def read():
        feed(ends.link, "one", "two")
        return list(log)

    async with running(receive_all(ends, log)):
        assert ["one", "two"] == await call_in_loop(read)


async def test_a_receiver_does_not_run_inside_another_task(ends):
    """
    Data that is fed by a task wakes the receiver in the next turn.
    """
    log = []

    async with running(receive_all(ends, log)):
        feed(ends.link, "one")
        assert [] == log
        await asyncio.sleep(0)
        assert ["one"] == log


async def test_a_receiver_does_not_run_inside_an_eagerly_woken_one(core, ends):
    """
    A task that was woken at once and feeds another connection is left alone
    until it waits; the other one goes on in the next turn.
    """
    other = link_with_wire(core)
    log = []

    async def relay():
        feed(other.link, await ends.connected.recv())
        log.append("relayed")

    async with running(relay()), running(receive_all(other, log)):
        await call_in_loop(feed, ends.link, "one")
        await asyncio.sleep(0)
        assert ["relayed", "one"] == log


async def test_a_context_in_use_is_not_entered_twice(ends):
    """
    Data that arrives in a callback which runs in the context of the receiver
    wakes it in the next turn; nothing is lost.
    """
    log = []
    context = contextvars.copy_context()

    def read():
        context.run(feed, ends.link, "one")
        return list(log)

    async with running(receive_all(ends, log), context):
        assert [] == await call_in_loop(read)
        await asyncio.sleep(0)
        assert ["one"] == log


async def test_a_woken_receiver_sees_its_own_context(ends):
    """
    And what it sets stays there.
    """
    number = contextvars.ContextVar("number", default=0)
    log = []

    async def count():
        number.set(7)
        await ends.connected.recv()
        log.append(number.get())
        number.set(8)

    def read():
        feed(ends.link, "one")
        return number.get()

    async with running(count()):
        assert 0 == await call_in_loop(read)
        assert [7] == log


ORDERS = list(itertools.permutations(["data", "cancel", "lost"]))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("eager", [False, True], ids=["in a task", "in the loop"])
async def test_data_cancellation_and_loss_in_one_turn(ends, order, eager):
    """
    In any order, a message is received once: by the cancelled task or the next.
    """
    link = ends.link

    def act():
        for event in order:
            if event == "data" and not link.lost:
                feed(link, "hello")
            elif event == "cancel":
                task.cancel()
            elif event == "lost":
                link.lost_connection(None)

    task = asyncio.create_task(asyncio.wait_for(ends.connected.recv(), 5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if eager:
        await call_in_loop(act)
    else:
        act()
    results = await asyncio.gather(task, return_exceptions=True)
    with contextlib.suppress(Exception):
        results.append(await ends.connected.recv())

    expected = 1 if order.index("data") < order.index("lost") else 0
    assert expected == results.count("hello")


@pytest.mark.parametrize("first", ["data", "timeout"])
async def test_data_and_a_timeout_in_one_turn(ends, first):
    """
    The message is received before the timeout or afterwards, never lost.
    """
    results = []

    async def receive():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60) as timeout:
                scopes.append(timeout)
                results.append(await ends.connected.recv())

    def act():
        now = asyncio.get_running_loop().time()
        if first == "data":
            feed(ends.link, "hello")
        elif not scopes[0].expired():
            scopes[0].reschedule(now)
            feed(ends.link, "hello")

    scopes: list[asyncio.Timeout] = []
    async with running(receive()) as task:
        await call_in_loop(act)
        await task
    if not results:
        results.append(await ends.connected.recv())

    assert ["hello"] == results


async def test_an_interrupt_leaves_nothing_corked(ends):
    """
    A KeyboardInterrupt in a woken task gets through, and what the task has sent
    is written all the same.
    """

    async def interrupted():
        await ends.connected.send(await ends.connected.recv())
        raise KeyboardInterrupt

    async def read():
        loop = asyncio.get_running_loop()
        raised = loop.create_future()

        def call():
            try:
                feed(ends.link, "one", "two")
            except KeyboardInterrupt:
                raised.set_result(list(ends.wire.written))

        loop.call_soon(call)
        return await raised

    task = asyncio.create_task(interrupted())
    await asyncio.sleep(0)
    [written] = await read()

    assert ["one"] == parse(written)
    assert ends.link.turn.corked is None
    assert isinstance(task.exception(), KeyboardInterrupt)
    assert "two" == await ends.connected.recv()


# Writing.


async def test_answers_to_one_read_leave_in_one_write(ends):
    """
    However many messages the read had.
    """
    messages = [str(number) for number in range(50)]

    async with running(echo(ends)):
        await call_in_loop(feed, ends.link, *messages)

    assert [messages] == [parse(written) for written in ends.wire.written]


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_the_last_answer_is_written_at_once(ends, count):
    """
    Who computes after the last message of a read holds nothing back.
    """
    seen = []

    async def compute():
        for _ in range(count):
            await ends.connected.send(await ends.connected.recv())
            seen.append(len(ends.wire.written))

    async with running(compute()):
        await call_in_loop(feed, ends.link, *["x"] * count)

    assert [0] * (count - 1) + [1] == seen


async def test_later_messages_of_a_task_are_collected(ends):
    """
    The first message is written at once, the others when the turn ends.
    """
    for number in range(5):
        await ends.connected.send(str(number))
    assert [["0"]] == [parse(written) for written in ends.wire.written]

    await asyncio.sleep(0)

    expected = [["0"], ["1", "2", "3", "4"]]
    assert expected == [parse(written) for written in ends.wire.written]


async def test_what_is_collected_is_bounded(ends):
    """
    64 KiB are written before the turn ends.
    """
    await ends.connected.send("first")
    for _ in range(17):
        await ends.connected.send(b"x" * 4096)

    assert 2 == len(ends.wire.written)
    assert 65_536 <= len(ends.wire.written[1]) < 65_536 + 4200


async def test_answers_of_a_woken_task_to_somebody_else(core, ends):
    """
    What a woken task sends by another connection leaves with the turn as well.
    """
    other = link_with_wire(core)

    async def relay():
        while True:
            await other.connected.send(await ends.connected.recv())

    async with running(relay()):
        await call_in_loop(feed, ends.link, "one", "two", "three")

    assert [["one", "two", "three"]] == [parse(data) for data in other.wire.written]


async def test_everybody_runs_within_a_stream(core, ends):
    """
    A receiver with endless input and a sender yield to others.
    """
    turns = []

    async def others():
        while True:
            turns.append(len(log))
            await asyncio.sleep(0)

    log = []

    async def receive():
        while len(log) < 1000:
            log.append(await ends.connected.recv())

    feed(ends.link, *["x"] * 1000)
    async with running(others()):
        await receive()

    assert len(set(turns)) > 3


# Shared things.


def test_a_turn_for_each_loop(core):
    """
    Connections of a loop share one; loops do not.
    """
    turn_of = core.aio.turn.turn_of
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()

    assert turn_of(one) is turn_of(one)
    assert turn_of(one) is not turn_of(other)
    one.close()
    other.close()


def test_a_loop_that_takes_no_attributes(core):
    """
    Gets a turn each time.
    """

    class Loop:
        __slots__ = ()

        def create_future(self):
            return concurrent.futures.Future()

    loop = Loop()

    assert loop is core.aio.turn.turn_of(loop).loop


async def test_outboxes_are_used_again(ends):
    """
    Up to a number; they come back empty.
    """
    turn = ends.link.turn
    outboxes = [turn.take_outbox() for _ in range(40)]
    for outbox in outboxes:
        outbox.add(b"x")
        turn.give_outbox(outbox)

    again = [turn.take_outbox() for _ in range(40)]

    assert [0] * 40 == [outbox.size for outbox in again]
    assert 32 == sum(outbox in outboxes for outbox in again)


class Alarms:
    """
    Members that write down when they are called.
    """

    def __init__(self, core):
        self.called = []
        called = self.called

        class Member(core.aio.turn.Member):
            def advance_to(self, now):
                called.append(self)

        keys = core.endpoint.MaskingKeys(bytes)
        self.make = lambda: Member(False, -1, -1, keys, lambda: 0.0)


async def test_deadlines_are_kept_in_their_order(core, ends):
    """
    Whatever the order in which they were set; those of who left are forgotten.
    """
    turn = ends.link.turn
    alarms = Alarms(core)
    deadline = core.aio.turn.Deadline
    now = ends.link.clock()
    first, second, third, gone = (alarms.make() for _ in range(4))
    cancelled = [deadline(now + 0.01, gone), deadline(now + 60, gone)]
    for entry in cancelled:
        turn.call_at(entry)
    turn.call_at(deadline(now + 0.02, third))
    turn.call_at(deadline(now + 0.005, second))
    turn.call_at(deadline(now - 1, first))
    for entry in cancelled:
        entry.member = None

    while len(alarms.called) < 3:
        await asyncio.sleep(0.001)

    assert [first, second, third] == alarms.called


class Loop:
    """
    A loop whose timers run as late as a test says; no other time passes.
    """

    def __init__(self, core, monkeypatch):
        self.now = 1000.0
        self.timers = []
        monkeypatch.setattr(core.aio.turn, "monotonic", lambda: self.now)

    def create_future(self):
        return concurrent.futures.Future()

    def call_later(self, delay, callback):
        self.timers.append((delay, callback))

    def run_timer(self, late):
        """
        Run the one timer there is; return how long it was set to wait.
        """
        [(delay, callback)] = self.timers
        self.timers.clear()
        self.now += delay + late
        callback()
        return delay


def test_deadlines_are_put_off_when_the_loop_was_blocked(core, monkeypatch):
    """
    For a moment, in which what has arrived is read; once, even if the loop is
    blocked in this moment, too. The next time it is the same again.
    """
    loop, alarms = Loop(core, monkeypatch), Alarms(core)
    turn, member = core.aio.turn.Turn(loop), alarms.make()
    for count in (1, 2):
        turn.call_at(core.aio.turn.Deadline(loop.now + 1, member))
        assert 1 == pytest.approx(loop.run_timer(late=0.2))
        assert count - 1 == len(alarms.called)

        assert 0.05 == pytest.approx(loop.run_timer(late=0.2))
        assert count == len(alarms.called)

    assert [] == loop.timers


def test_a_loop_that_is_a_little_late_was_not_blocked(core, monkeypatch):
    """
    Timers are never exact.
    """
    loop, alarms = Loop(core, monkeypatch), Alarms(core)
    turn, member = core.aio.turn.Turn(loop), alarms.make()
    turn.call_at(core.aio.turn.Deadline(loop.now + 1, member))
    loop.run_timer(late=0.09)

    assert [member] == alarms.called


@pytest.mark.parametrize("late", [0.0, 0.2])
def test_many_deadlines_let_others_have_their_turn(core, monkeypatch, late):
    """
    Those that are due are served in pieces, and are not put off for each piece.
    """
    loop, alarms = Loop(core, monkeypatch), Alarms(core)
    turn = core.aio.turn.Turn(loop)
    members = [alarms.make() for _ in range(100)]
    for member in members:
        turn.call_at(core.aio.turn.Deadline(loop.now + 1, member))
    loop.timers[1:] = []
    loop.run_timer(late=late)
    if late:
        assert [] == alarms.called
        loop.run_timer(late=0.0)

    served = [len(alarms.called)]
    while loop.timers:
        assert 0 == loop.run_timer(late=0.15)
        served.append(len(alarms.called))

    assert [32, 64, 96, 100] == served
    assert members == sorted(alarms.called, key=members.index)


BODIES = {
    "flush": (),
    "advance_to": (0.0,),
    "received": (bytearray(), 0),
    "ended": (),
    "lost_connection": (None,),
    "pause_writing": (),
    "resume_writing": (),
}


@pytest.mark.parametrize(("name", "arguments"), BODIES.items(), ids=BODIES)
def test_members_are_made_by_subclasses(core, name, arguments):
    """
    The base class does nothing of its own.
    """
    keys = core.endpoint.MaskingKeys(bytes)
    member = core.aio.turn.Member(False, -1, -1, keys, lambda: 0.0)

    with pytest.raises(NotImplementedError):
        getattr(member, name)(*arguments)


WIRES = {
    "write_shared": (b"",),
    "backlog": (),
    "drop_shared": (),
    "finish": (),
    "close": (),
    "abort": (),
    "pause_reading": (),
    "resume_reading": (),
}


@pytest.mark.parametrize(("name", "arguments"), WIRES.items(), ids=WIRES)
def test_wires_are_made_by_subclasses(core, name, arguments):
    """
    The base class does nothing of its own.
    """
    wire = core.aio.wire.Wire(None)

    with pytest.raises(NotImplementedError):
        getattr(wire, name)(*arguments)
    with pytest.raises(NotImplementedError):
        wire.write_outbox(core.outbox.Outbox())
