"""
How the bytes of a connection add up; ``make memory`` checks all limits.
"""

from __future__ import annotations

import asyncio
import sys

import pytest

from bench.memory import MARGIN, look_inside, parts
from bench.messages import EXTENSIONS
from bench.processes import resident
from bench.rows import server
from socketeer import core_implementation

# Bytes per idle connection with a waiting handler, as Python counts them and as
# the system does: what was measured last. To be lowered whenever it shrinks.
ALLOCATED = {"fast": 3_630, "pure": 3_710}
RESIDENT = {"fast": 3_620, "pure": 3_720}

# What may be allocated beyond that: arguments of the server and of the load
# generator, and bytes.
ADDED = {
    "keepalive": ({"ping_interval": 20}, (), 200),
    "deflate": ({"compression": "deflate"}, ("--extensions", EXTENSIONS), 300),
}

# Enough that what a server takes once, and arenas of 256 KiB, hardly count.
CONNECTIONS = 800


class Thing:
    """
    Has something for itself and something in common.
    """

    def __init__(self, hub, own):
        self.own = own
        self.hub = hub
        hub.append(self)


def test_parts_are_what_one_has_for_itself():
    """
    Not what is shared, nor what belongs to others of its kind.
    """
    hub = [bytearray(1000)]
    one, another, _third = (Thing(hub, bytearray(n)) for n in (10, 20, 30))

    found = {part.name: part for part in parts(one, another)}

    expected = ("bytearray", 1, sys.getsizeof(one.own))
    assert expected == tuple(found["bytearray"])
    assert not {"Thing", "list"} & found.keys()


def test_allocated_memory_of_a_connection_is_bounded(programs):
    """
    With a margin of a tenth; its objects explain most of it.
    """
    found, traced = asyncio.run(look_inside(CONNECTIONS))

    assert traced <= ALLOCATED[core_implementation] * MARGIN
    total = sum(part.size for part in found)
    assert 0.6 * traced < total < 1.2 * traced


def test_resident_memory_of_a_connection_is_bounded(programs):
    """
    With a margin of a tenth.
    """
    grown = resident(server("socketeer", loop="asyncio").command, 2 * CONNECTIONS)

    assert 1000 < grown <= RESIDENT[core_implementation] * MARGIN


@pytest.mark.parametrize("feature", ADDED)
def test_what_is_not_used_takes_little(feature, programs):
    """
    A keepalive whose first ping is due later, deflate without a message.
    """
    arguments, load, limit = ADDED[feature]
    _, before = asyncio.run(look_inside(CONNECTIONS))
    found, traced = asyncio.run(look_inside(CONNECTIONS, load, **arguments))

    assert traced - before <= limit
    assert ("PerMessageDeflate" in {part.name for part in found}) == (
        feature == "deflate"
    )
