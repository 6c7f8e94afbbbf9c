"""
What tests of transports begin with.
"""

from __future__ import annotations

import pytest

from tests.asyncio.harness import settle
from tests.core.aio.setting import Setting


@pytest.fixture
async def setting(core):
    setting = Setting(core)
    yield setting
    setting.transport.abort()
    setting.peer.close()
    await settle()
