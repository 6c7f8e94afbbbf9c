"""
The table of endings in the documentation, row by row, in the asyncio room.
"""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from tests.asyncio.endings import observe, observe_client
from tests.asyncio.exchange import connecting, nothing_left_over, serving
from tests.asyncio.harness import settle, wait_until
from tests.asyncio.program import program
from tests.asyncio.raw import RawPeer
from tests.endings import (
    ENDINGS,
    OF_CLIENTS,
    PROGRAMS,
    end_of_a_program,
    expected,
    rows,
)
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

ROWS = expected("asyncio")


def test_the_table_is_complete():
    """
    Every row is tested, and what is tested has a row.
    """
    assert {*ENDINGS, *PROGRAMS} == set(ROWS)


@pytest.mark.parametrize("name", ENDINGS)
async def test_an_ending_of_a_server(name, caplog):
    """
    The close frame, the code, the exception, the log and the counters are those of
    the documentation.
    """
    caplog.set_level(logging.INFO)
    async with nothing_left_over():
        observed = await observe(ENDINGS[name], caplog.records)

    assert ROWS[name] == observed


@pytest.mark.parametrize("name", OF_CLIENTS)
async def test_an_ending_of_a_client(name):
    """
    The close frame, the code and the exception are the same.
    """
    row = ROWS[name]
    async with nothing_left_over():
        observed = await observe_client(ENDINGS[name])

    assert (row.peer, row.code, row.loop) == observed


SERVER = """
import asyncio

async def handler(connection):
    await connection.send("hello")
    async for message in connection:
        asyncio.get_running_loop().stop()

async def start():
    server = await websockets.serve(handler, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)

loop = asyncio.new_event_loop()
loop.create_task(start())
loop.run_forever()
"""


@pytest.mark.parametrize("name", sorted(PROGRAMS))
async def test_the_end_of_a_program(name):
    """
    The peer gets no close frame; TCP is ended by the system.
    """

    async def end(process, peer):
        if name == "the process is killed":
            process.kill()
        else:
            await peer.send_frame("81", b"stop")

    assert ROWS[name] == await end_of_a_program(SERVER, end)


async def test_a_client_of_a_program_that_is_killed():
    """
    It is told that no close frame came.
    """
    async with program(SERVER) as process:
        port = int(await process.stdout.readline())
        uri = f"ws://127.0.0.1:{port}"
        async with connecting(uri, ping_interval=None) as client:
            assert "hello" == await client.recv()
            process.kill()
            with pytest.raises(lib.ConnectionClosedError):
                await client.recv()

    assert 1006 == client.close_code


async def test_the_statistics_are_documented():
    """
    All, and no others.
    """
    keys = [key for (key,) in rows("key")]
    names = {name for key in keys for name in re.findall("`(\\w+)`", key)}
    async with serving() as server:
        numbers = server.server.statistics()

    # The page says "`rejected_...`" and "`closed_1000` to `closed_1014`".
    others = {"rejected_max_", "closed_1"}
    assert set() == names - numbers.keys()
    assert others == {
        re.match(r"rejected_max_|closed_1|.*", name)[0]
        for name in numbers.keys() - names
    }
    assert all(isinstance(number, int) for number in numbers.values())


async def test_a_handler_that_awaits_something_else():
    """
    It is not disturbed by the end of its connection, and learns of it later.
    """
    connections, learned = [], []
    go_on = asyncio.Event()

    async def handler(connection):
        connections.append(connection)
        await go_on.wait()
        with pytest.raises(lib.ConnectionClosedError) as info:
            await connection.send("too late")
        learned.append(str(info.value))

    async with nothing_left_over(), serving(handler) as server:
        peer = await RawPeer.connect(server.port)
        await wait_until(lambda: bool(connections))
        peer.reset()
        await connections[0].wait_closed()
        await settle()
        assert 1 == server.server.statistics()["handlers"]
        go_on.set()
        await wait_until(lambda: bool(learned))

    assert ["no close frame received or sent"] == learned
