"""
The limits that ``docs/security.md`` names, and their defaults.
"""

from __future__ import annotations

import inspect
import re

import pytest

from socketeer import _connection, _watching, http11
from socketeer.asyncio import server as of_asyncio
from socketeer.sync import server as of_threads
from socketeer.trio import server as of_trio
from tests.hostile.judging import rows

pytestmark = pytest.mark.ours

ROOMS = {"asyncio": of_asyncio, "threads": of_threads, "trio": of_trio}

# Which limits can be set from the environment, and where they are.
SETTINGS = {
    "MAX_LINE_LENGTH": http11,
    "MAX_NUM_HEADERS": http11,
    "MAX_HEAD_SIZE": http11,
    "MAX_BODY_SIZE": http11,
    "MAX_FRAGMENTS": _connection,
    "BLOCKED_AFTER": _watching,
}

UNITS = {
    "": 1,
    "bytes": 1,
    "s": 1,
    "KiB": 2**10,
    "MiB": 2**20,
}


def default_of(room, name):
    """
    Return the default of a limit in a room.
    """
    if name in SETTINGS:
        return getattr(SETTINGS[name], name)
    function = ROOMS[room].broadcast if name == "max_backlog" else ROOMS[room].serve
    return inspect.signature(function).parameters[name].default


def read(text):
    """
    Return the number that is written in a cell.
    """
    if text == "off":
        return None
    number, _, unit = text.partition(" ")
    return int(number) * UNITS[unit]


@pytest.mark.parametrize("room", ROOMS)
def test_defaults(room):
    """
    Each limit is there under this name, in this room, with this default.
    """
    wrong = {}
    for name, row in rows(room).items():
        limits = re.findall("`(\\w+)`", row.limit)
        values = re.split("[,;] ", row.default) if row.default else []
        found = [default_of(room, limit) for limit in limits]
        if found != [read(value) for value in values]:
            wrong[name] = found

    assert {} == wrong
