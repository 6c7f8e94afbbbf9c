"""
Programs in processes of their own, for what needs signals or an environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from tests.asyncio.harness import HANG
from tests.under_test import NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["output_of", "program"]


@contextlib.asynccontextmanager
async def program(
    source: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """
    Run a program that finds the library under test as `websockets`.

    Args:
        source: Python statements.
        environment: Variables added to those of this process.

    Yields:
        The process; its output can be read. It is killed in the end if it
        is still there.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"import {NAME} as websockets\n{source}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **environment,
        },
    )
    try:
        async with asyncio.timeout(4 * HANG):
            yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def output_of(source: str, **environment: str) -> list[str]:
    """
    Run a program to its end; return the lines it has printed.

    Raises:
        AssertionError: It failed, or complained on standard error.
    """
    async with program(source, **environment) as process:
        out, err = await process.communicate()
        assert b"" == err, err.decode()
        assert 0 == process.returncode
        return out.decode().splitlines()
