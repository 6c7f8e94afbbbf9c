"""
Both ends of open connections, for tests of what they do.
"""

from __future__ import annotations

import pytest

from tests.under_test import submodule

protocol = submodule("protocol")

Side = protocol.Side


@pytest.fixture
def server():
    """
    The server's end of an open connection.
    """
    return protocol.Protocol(Side.SERVER)


@pytest.fixture
def client():
    """
    The client's end of an open connection.
    """
    return protocol.Protocol(Side.CLIENT)


@pytest.fixture(params=[Side.SERVER, Side.CLIENT], ids=["server", "client"])
def either(request):
    """
    Either end of an open connection.
    """
    return protocol.Protocol(request.param)
