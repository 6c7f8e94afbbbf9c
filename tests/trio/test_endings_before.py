"""
The table of opening handshakes that fail, row by row, on trio.
"""

from __future__ import annotations

import asyncio
import functools
import logging

import pytest
import trio

from tests.refusals import REFUSALS, Stage, check
from tests.trio.harness import serving_tcp


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal(name, caplog, server_ssl_context, real_clock):
    """
    The answer, the log and the counters are those of the documentation.
    """
    caplog.set_level(logging.INFO)
    refusal = REFUSALS[name]
    options = refusal.arguments(trio.sleep, server_ssl_context)
    async with trio.open_nursery() as nursery, serving_tcp(**options) as server:

        def close():
            trio.from_thread.run_sync(nursery.start_soon, server.aclose)

        stage = Stage(server, server.listeners[0].socket.getsockname()[1], close)
        checking = check(refusal, stage, caplog.records)
        await trio.to_thread.run_sync(functools.partial(asyncio.run, checking))
