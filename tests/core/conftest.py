"""
Fixtures for tests of the core.
"""

from __future__ import annotations

import pytest

from .ends import End


@pytest.fixture(params=[False, True], ids=["server", "client"])
def end(core, request):
    """
    Run a test on both ends of a connection, and on both builds.
    """
    return End(core, request.param)


@pytest.fixture
def server(core):
    return End(core, is_client=False)


@pytest.fixture
def client(core):
    return End(core, is_client=True)
