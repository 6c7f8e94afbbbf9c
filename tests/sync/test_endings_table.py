"""
The table of endings in the documentation, row by row, on threads.
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
from tests.sync.endings import observe, observe_client

pytestmark = pytest.mark.ours

ROWS = expected("threads")

# There is nothing to cancel a thread with, and no event loop.
NOT_HERE = {"the handler is cancelled", "the event loop is stopped"}


def test_the_table_is_complete():
    """
    Every row is tested, and what is tested has a row.
    """
    assert {*ENDINGS, *PROGRAMS} - NOT_HERE == set(ROWS)


@pytest.mark.parametrize("name", [name for name in ENDINGS if name not in NOT_HERE])
def test_an_ending_of_a_server(name, caplog):
    """
    The close frame, the code, the exception, the log and the counters are those of
    the documentation.
    """
    caplog.set_level(logging.INFO)

    assert ROWS[name] == asyncio.run(observe(ENDINGS[name], caplog.records))


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_an_ending_of_a_client(name):
    """
    The close frame, the code and the exception are the same.
    """
    row = ROWS[name]

    assert (row.peer, row.code, row.loop) == asyncio.run(observe_client(ENDINGS[name]))


SERVER = """
from socketeer.sync.server import serve

def handler(connection):
    connection.send("hello")
    connection.recv()

with serve(handler, "127.0.0.1", 0) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"""


def test_the_process_is_killed():
    """
    The peer gets no close frame; TCP is ended by the system.
    """

    async def kill(process, peer):
        process.kill()

    assert ROWS["the process is killed"] == asyncio.run(end_of_a_program(SERVER, kill))
