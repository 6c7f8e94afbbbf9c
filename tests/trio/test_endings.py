"""
The table of endings in the documentation, row by row, on trio.
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.endings import (
    ENDINGS,
    OF_CLIENTS,
    PROGRAMS,
    end_of_a_program,
    expected,
)
from tests.trio.endings import observe, observe_client

ROWS = expected("trio")

# A run of trio's cannot be stopped and left.
NOT_HERE = {"the event loop is stopped"}


def test_the_table_is_complete():
    """
    Every row is tested, and what is tested has a row.
    """
    assert {*ENDINGS, *PROGRAMS} - NOT_HERE == set(ROWS)


@pytest.mark.parametrize("name", ENDINGS)
async def test_an_ending_of_a_server(name, caplog, real_clock):
    """
    The close frame, the code, the exception, the log and the counters are those of
    the documentation.
    """
    caplog.set_level(logging.INFO)

    assert ROWS[name] == await observe(ENDINGS[name], caplog.records)


@pytest.mark.parametrize("name", OF_CLIENTS)
async def test_an_ending_of_a_client(name, real_clock):
    """
    The close frame, the code and the exception are the same.
    """
    row = ROWS[name]

    assert (row.peer, row.code, row.loop) == await observe_client(ENDINGS[name])


SERVER = """
import functools
import trio
from socketeer.trio.server import serve

async def handler(connection):
    await connection.send("hello")
    await connection.recv()

async def main():
    async with trio.open_nursery() as nursery:
        start = functools.partial(serve, handler, 0, host="127.0.0.1")
        server = await nursery.start(start)
        print(server.listeners[0].socket.getsockname()[1], flush=True)

trio.run(main)
"""


def test_the_process_is_killed():
    """
    The peer gets no close frame; TCP is ended by the system.
    """

    async def kill(process, peer):
        process.kill()

    assert ROWS["the process is killed"] == asyncio.run(end_of_a_program(SERVER, kill))
