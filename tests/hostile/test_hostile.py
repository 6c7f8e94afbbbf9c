"""
Every row of the table in ``docs/security.md``, as an attack on a live process.
"""

from __future__ import annotations

import os

import pytest

from tests.hostile.arena import FULL, arena_on
from tests.hostile.attacks import ON_CONNECTIONS
from tests.hostile.handshakes import ON_CLIENTS, ON_SERVERS
from tests.hostile.judging import assail, rows

pytestmark = pytest.mark.ours

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


ROWS = rows("asyncio")


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
    with arena_on("target", *(["--uvloop"] * (request.param == "uvloop"))) as arena:
        before = arena.tell("measure")
        yield arena
        # Not even a little of each.
        arena.settled(before)


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
    got, logged = assail(arena.in_role(role), [name], attack)

    assert ROWS[name].gets == got
    assert ([] if ROWS[name].logged == "–" else [ROWS[name].logged]) == logged
