"""
Redis servers for tests.
"""

from __future__ import annotations

import contextlib
import itertools

import pytest

from tests.pubsub.redis_server import RedisServer

PREFIXES = (f"test{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server(redis_server):
    """
    Run a server that stays.
    """
    server = RedisServer(redis_server)
    with contextlib.closing(server):
        server.start()
        yield server


@pytest.fixture
def prefix():
    """
    Return a prefix that no other test uses.
    """
    return next(PREFIXES)


@pytest.fixture
def mortal(redis_server):
    """
    Run a server that can be killed.
    """
    server = RedisServer(redis_server)
    with contextlib.closing(server):
        server.start()
        yield server
