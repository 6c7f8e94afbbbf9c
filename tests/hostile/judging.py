"""
What an attack must not do, and what the documentation says of it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.hostile.arena import FULL, PERIOD, Arena

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Row", "assail", "rows"]

PAGE = Path(__file__).parents[2] / "docs" / "security.md"

# Seconds by which the p99 of the healthy clients may grow, at full strength.
MAX_GROWTH = 0.02

# Bytes by which the target may grow meanwhile, for each attack.
MAX_MEMORY = 2**25

# These stop everybody: that is what they are about.
BLOCKING = {"a handler that blocks the event loop"}


class Row(NamedTuple):
    """
    A row of the table, but for its first cell.
    """

    gets: str
    logged: str
    limit: str
    default: str


def rows(room: str) -> dict[str, Row]:
    """
    Return the rows of the table by their first cell, as they are for a room.
    """
    found: dict[str, Row] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if set(cells[0]) == {"-"} or "Attack" in cells:
            continue
        if len(cells) == 5:
            found[cells[0]] = Row(*cells[1:])
        elif len(cells) == 6 and cells[0] == room:
            found[cells[1]] = Row(*cells[2:])
    return found


def assail(
    arena: Arena,
    names: list[str],
    attack: Callable[[Arena], Coroutine[None, None, str | list[str]]],
) -> tuple[str | list[str], list[str]]:
    """
    Have the target attacked: memory is bounded, the healthy clients are served, and
    everything is released.

    Args:
        arena: Where the attack takes place.
        names: Names of attacks that are made at the same time.
        attack: The attack.

    Returns:
        What the attacker gets, and the levels of what is logged.
    """
    arena.tell("log")
    before = arena.tell("measure")
    calm = _quiet(arena)
    got = asyncio.run(asyncio.wait_for(attack(arena), 200 if FULL else 20))
    p99, lost = _served(arena)
    after = arena.settled(before)
    logged = [line.split(" ")[0] for line in arena.tell("log")]
    assert after["peak"] - before["memory"] < MAX_MEMORY * len(names)
    assert 0 == lost
    if FULL and not BLOCKING.intersection(names):
        assert p99 - calm < MAX_GROWTH, f"{p99:.3f} s, {calm:.3f} s before"
    return got, logged


def _served(arena: Arena) -> tuple[float, int]:
    """
    Wait until the healthy clients have got an answer since the attack began; return
    their p99 and how many were lost.
    """
    while True:
        count, p99, lost = arena.latencies()
        if count:
            return p99, lost
        time.sleep(PERIOD)


def _quiet(arena: Arena) -> float:
    """
    Return the p99 of the healthy clients while nobody attacks.
    """
    arena.latencies()
    if not FULL:
        return 0.0
    asyncio.run(asyncio.sleep(3))
    return arena.latencies()[1]
