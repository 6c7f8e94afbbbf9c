"""
The table of opening handshakes that fail, row by row, in the asyncio room.
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.asyncio.exchange import nothing_left_over, serving
from tests.refusals import REFUSALS, ROWS, Stage, check

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


def test_the_table_is_complete():
    """
    Every row is tested, and what is tested has a row.
    """
    assert {refusal.row for refusal in REFUSALS.values()} == set(ROWS)


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal(name, caplog, server_ssl_context):
    """
    The answer, the log and the counters are those of the documentation.
    """
    caplog.set_level(logging.INFO)
    refusal = REFUSALS[name]
    options = refusal.arguments(asyncio.sleep, server_ssl_context)
    async with nothing_left_over(), serving(**options) as running:
        stage = Stage(running.server, running.port, running.server.close)
        await check(refusal, stage, caplog.records)
