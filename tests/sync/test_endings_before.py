"""
The table of opening handshakes that fail, row by row, on threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from tests.refusals import REFUSALS, Stage, check
from tests.sync.harness import serving

pytestmark = pytest.mark.ours


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal(name, caplog, server_ssl_context):
    """
    The answer, the log and the counters are those of the documentation.
    """
    caplog.set_level(logging.INFO)
    refusal = REFUSALS[name]
    options = refusal.arguments(time.sleep, server_ssl_context)
    with serving(**options) as server:
        closing = threading.Thread(target=server.shutdown)
        stage = Stage(server, server.socket.getsockname()[1], closing.start)
        asyncio.run(check(refusal, stage, caplog.records))
        server.shutdown()
        if closing.ident is not None:
            closing.join()
