"""
The table of endings in the documentation, row by row.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from tests.asyncio.endings import ENDINGS, Observed, observe, observe_client
from tests.asyncio.exchange import connecting, nothing_left_over
from tests.asyncio.program import program
from tests.asyncio.raw import RawPeer
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

PAGE = Path(__file__).parents[2] / "docs" / "endings.md"

# Tested with programs, below: there is nobody left to look at.
PROGRAMS = {"the event loop is stopped", "the process is killed"}


def rows():
    """
    Return the rows of the table by their first cell.
    """
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and set(cells[0]) != {"-"} and cells[0] != "How it ends":
            name, *values = cells
            found[name] = Observed(*values)
    return found


ROWS = rows()


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


@pytest.mark.parametrize(
    "name", [name for name, ending in ENDINGS.items() if not ending.of_servers]
)
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
    async with program(SERVER) as process:
        port = int(await process.stdout.readline())
        uri = f"ws://127.0.0.1:{port}"
        async with connecting(uri, ping_interval=None) as client:
            assert "hello" == await client.recv()
            peer = await RawPeer.connect(port)
            with contextlib.closing(peer):
                await peer.read_frame()
                if name == "the process is killed":
                    process.kill()
                else:
                    await client.send("stop")
                await process.wait()
                assert b"" == await peer.read_rest()
            with pytest.raises(lib.ConnectionClosedError):
                await client.recv()

        assert 1006 == client.close_code
    assert Observed("–", "–", "–", "–", "–") == ROWS[name]
