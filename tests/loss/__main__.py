"""
Proves that no message is lost untold, or that one is: ``make loss``.

    python -m tests.loss --seconds 60 --clients 200 --redis single
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.loss import sabotage
from tests.loss.checking import BAD
from tests.loss.world import SingleRedis, WatchedRedis, World
from tests.pubsub.redis_server import find_redis

KINDS = {"single": SingleRedis, "watched": WatchedRedis}


def main():
    """
    Run, report, judge.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.loss")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--redis", choices=KINDS, default="single")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sabotage", choices=sabotage.KINDS)
    options = parser.parse_args()
    program = find_redis()
    if program is None:
        print("redis-server is not installed", file=sys.stderr)
        return 1
    redis = KINDS[options.redis](program)
    world = World(
        redis, options.clients, options.seconds, options.seed, options.sabotage
    )
    late = asyncio.run(world.run())
    counts = world.counts
    print(f"{options.clients} clients, {options.redis} Redis, {options.seconds:g} s")
    for fault, number in sorted(world.faults.items()):
        print(f"  {number:8} x {fault}")
    for name in ("messages", "publishing failed", "gaps told"):
        print(f"  {counts[name]:8} {name}")
    bad = {name: counts[name] for name in BAD}
    bad["clients that did not catch up"] = late
    for name, number in bad.items():
        print(f"  {number:8} {name} (must be 0)")
    return 1 if any(bad.values()) or not counts["messages"] else 0


if __name__ == "__main__":
    sys.exit(main())
