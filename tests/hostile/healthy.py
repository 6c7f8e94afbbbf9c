"""
The clients that must not suffer: each sends a message regularly and times the echo.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

from socketeer.asyncio.client import connect

__all__: list[str] = []


async def be_served(
    port: int, period: float, latencies: list[float], served: asyncio.Event
) -> None:
    """
    Send, receive, and wait a little; tell when that has worked once.
    """
    async with connect(
        f"ws://127.0.0.1:{port}", proxy=None, ping_timeout=60
    ) as connection:
        while True:
            start = time.perf_counter()
            await connection.send("hello")
            await connection.recv()
            latencies.append(time.perf_counter() - start)
            served.set()
            await asyncio.sleep(period)


async def main() -> None:
    """
    Answer each line of standard input with the latencies since the last one.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--period", type=float, required=True)
    options = parser.parse_args()
    latencies: list[float] = []
    tasks = []
    first_echoes = []
    for _ in range(options.clients):
        served = asyncio.Event()
        first_echoes.append(served.wait())
        visit = be_served(options.port, options.period, latencies, served)
        tasks.append(asyncio.create_task(visit))
        await asyncio.sleep(options.period / options.clients)
    # Only now the server holds all that it holds for them.
    await asyncio.wait_for(asyncio.gather(*first_echoes), 60)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        ordered = sorted(latencies)
        latencies.clear()
        failed = sum(task.done() for task in tasks)
        p99 = ordered[int(len(ordered) * 0.99)] if ordered else 0.0
        print(json.dumps([len(ordered), p99, failed]), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
