"""
A client on asyncio that does what the Autobahn test suite asks for: URL AGENT.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from socketeer.asyncio.client import connect
from socketeer.exceptions import ConnectionClosed

# Bytes: the cases of group 9 send messages of 16 MiB; the default is 1 MiB.
MAX_SIZE = 2**25

# Seconds; the answer to the last handshake comes when all reports are written.
REPORT_TIMEOUT = 120.0


async def main(url: str, agent: str) -> None:
    """
    Run all cases, one after the other.
    """
    async with connect(f"{url}/getCaseCount") as connection:
        count = int(await connection.recv())
    for case in range(1, count + 1):
        case_url = f"{url}/runCase?case={case}&agent={agent}"
        async with connect(case_url, max_size=MAX_SIZE) as connection:
            with contextlib.suppress(ConnectionClosed):
                async for message in connection:
                    await connection.send(message)
    report_url = f"{url}/updateReports?agent={agent}"
    async with connect(report_url, open_timeout=REPORT_TIMEOUT):
        pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
