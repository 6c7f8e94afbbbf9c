"""
Runs coroutines in this folder on trio, with a clock that jumps.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import trio
from trio.testing import MockClock

# Seconds on the clock of the test; a test that waits for ever ends here, at once.
_FOR_EVER = 10_000


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """
    Run a test on trio. While nothing else is to be done, its clock jumps to the
    next deadline, so that no test waits.

    Tests marked ``anyio`` run where that mark says.
    """
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    if pyfuncitem.get_closest_marker("anyio"):
        return None
    names = inspect.signature(function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def run() -> Any:
        with trio.fail_after(_FOR_EVER):
            await function(**arguments)

    jumping = "real_clock" not in pyfuncitem.fixturenames
    trio.run(run, clock=MockClock(autojump_threshold=0) if jumping else None)
    return True


@pytest.fixture
def real_clock() -> None:
    """
    Run a test without jumps: it uses threads, whose work they would not wait for.
    Looking up a name is done in a thread.
    """
