"""
What tests of transports begin with.
"""

from __future__ import annotations

import socket

import pytest

from tests.core.aio.setting import Setting


@pytest.fixture
async def setting(core):
    setting = Setting(core)
    yield setting
    await setting.tear_down()


@pytest.fixture
async def local_setting(core):
    """
    With Unix sockets, whose kernel holds what it holds and makes no room by itself.
    """
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
    setting = Setting(core, pair=pair)
    yield setting
    await setting.tear_down()
