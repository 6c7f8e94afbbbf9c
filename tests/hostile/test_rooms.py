"""
The same attacks on the rooms for threads and for trio.

Peers that wait for something do so all at once, to be quick.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.hostile.arena import arena_on
from tests.hostile.attacks import ON_CONNECTIONS
from tests.hostile.handshakes import ON_CLIENTS, ON_SERVERS
from tests.hostile.judging import assail, rows

pytestmark = pytest.mark.ours

# Attacks which take as long as the target's patience.
PATIENT = {
    "a request that comes byte by byte",
    "control frames while nobody receives",
    "never reads what it is sent",
    "never reads its echoes",
    "never reads broadcasts",
    "never reads, and we close",
    "never answers a close frame",
    "never answers pings, or has vanished",
    "announces a length and does not deliver",
}

ATTACKS = [
    *((name, "server", attack) for name, attack in ON_SERVERS.items()),
    *((name, "client", attack) for name, attack in ON_CLIENTS.items()),
    *(
        (name, role, attack)
        for role in ("server", "client")
        for name, attack in ON_CONNECTIONS.items()
    ),
]


@pytest.fixture(scope="module", params=["threads", "trio"])
def room(request):
    """
    The room that is attacked.
    """
    return request.param


@pytest.fixture(scope="module")
def arena(room):
    """
    One process is attacked by all, one after another.
    """
    with arena_on(f"target_{room}") as arena:
        before = arena.tell("measure")
        yield arena
        # Not even a little of each.
        arena.settled(before)


def logged_by(row):
    """
    Return what a row says is logged.
    """
    return [] if row.logged == "–" else [row.logged]


def test_the_table_is_complete(room):
    """
    What differs is said of attacks that there are.
    """
    assert {name for name, _, _ in ATTACKS} == set(rows(room))
    assert rows("asyncio") != rows(room)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("name", "role", "attack"),
    [
        pytest.param(*each, id=f"{each[1]}: {each[0]}")
        for each in ATTACKS
        if each[0] not in PATIENT
    ],
)
def test_an_attack(arena, room, name, role, attack):
    """
    The attacker gets what the page says, at most one line is logged, memory is
    bounded, the healthy clients are served, and everything is released.
    """
    row = rows(room)[name]

    assert (row.gets, logged_by(row)) == assail(arena.in_role(role), [name], attack)


@pytest.mark.timeout(30)
def test_patient_attackers(arena, room):
    """
    Each gets what the page says, and nothing is logged.
    """
    patient = [each for each in ATTACKS if each[0] in PATIENT]

    async def all_at_once(arena):
        return await asyncio.gather(
            *(attack(arena.in_role(role)) for _, role, attack in patient)
        )

    names = [name for name, _, _ in patient]
    got, logged = assail(arena, names, all_at_once)
    table = rows(room)

    assert [(name, table[name].gets) for name in names] == [
        *zip(names, got, strict=True)
    ]
    assert [] == logged
