"""
Every row of the table in ``docs/security.md``, as an attack on a live process.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hostile.arena import FULL, PERIOD, arena_on
from tests.hostile.attacks import ON_CONNECTIONS
from tests.hostile.handshakes import ON_CLIENTS, ON_SERVERS

pytestmark = pytest.mark.ours

PAGE = Path(__file__).parents[2] / "docs" / "security.md"

# Seconds by which the p99 of the healthy clients may grow, at full strength.
MAX_GROWTH = 0.02

# Bytes by which the target may grow meanwhile.
MAX_MEMORY = {"a request that comes byte by byte": 2**28 if FULL else 2**25}
USUAL_MEMORY = 2**25

# These stop everybody: that is what they are about.
BLOCKING = {"a handler that blocks the event loop"}

ATTACKS = [
    *((name, "server", attack) for name, attack in ON_SERVERS.items()),
    *((name, "client", attack) for name, attack in ON_CLIENTS.items()),
    *(
        (name, role, attack)
        for role in ("server", "client")
        for name, attack in ON_CONNECTIONS.items()
    ),
]

# One loop for each build is enough, but for a thorough run.
ONE = "uvloop" if os.environ.get("SOCKETEER_CORE") == "fast" else "asyncio"
LOOPS = ["asyncio", "uvloop"] if FULL else [ONE]


class Row(NamedTuple):
    """
    A row of the table, but for its first cell.
    """

    gets: str
    logged: str
    limit: str
    default: str


def rows():
    """
    Return the rows of the table by their first cell.
    """
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and set(cells[0]) != {"-"} and cells[0] != "Attack":
            found[cells[0]] = Row(*cells[1:])
    return found


ROWS = rows()


def test_the_table_is_complete():
    """
    Every row is an attack here, and every attack has a row.
    """
    assert {name for name, _, _ in ATTACKS} == set(ROWS)


@pytest.fixture(scope="module", params=LOOPS)
def arena(request):
    """
    One process is attacked by all, one after another.
    """
    with arena_on(request.param) as arena:
        yield arena


@pytest.mark.timeout(300 if FULL else 30)
@pytest.mark.parametrize(
    ("name", "role", "attack"),
    [pytest.param(*each, id=f"{each[1]}: {each[0]}") for each in ATTACKS],
)
def test_an_attack(arena, name, role, attack):
    """
    The attacker gets what the page says, at most one line is logged, memory is
    bounded, the healthy clients are served, and everything is released.
    """
    arena.role = role
    arena.tell("log")
    before = arena.tell("measure")
    calm = quiet(arena)
    got = asyncio.run(asyncio.wait_for(attack(arena), 200 if FULL else 20))
    p99, lost = served(arena)
    after = arena.settled(before)
    logged = [line.split(" ")[0] for line in arena.tell("log")]

    assert ROWS[name].gets == got
    assert ([] if ROWS[name].logged == "–" else [ROWS[name].logged]) == logged
    limit = MAX_MEMORY.get(name, USUAL_MEMORY)
    assert after["peak"] - before["memory"] < limit
    assert 0 == lost
    if FULL and name not in BLOCKING:
        assert p99 - calm < MAX_GROWTH


def served(arena):
    """
    Wait until the healthy clients have got an answer since the attack began; return
    their p99 and how many were lost.
    """
    while True:
        count, p99, lost = arena.latencies()
        if count:
            return p99, lost
        time.sleep(PERIOD)


def quiet(arena):
    """
    Return the p99 of the healthy clients while nobody attacks.
    """
    arena.latencies()
    if not FULL:
        return 0.0
    asyncio.run(asyncio.sleep(3))
    return arena.latencies()[1]
