"""
What lasts as long as the server: begins before the first connection, and ends after
the last.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Any

__all__ = ["Lifespan", "is_done_in_time"]

logger = logging.getLogger("socketeer.cli")

# Seconds that a lifespan has after it was cancelled.
_LAST_WAIT = 1.0


class Lifespan:
    """
    Runs an asynchronous context manager beside a server, in one task from its
    beginning to its end.

    Args:
        context: The context manager.

    Attributes:
        has_failed: Whether it raised an exception, ended by itself, or did not end in
            time.
    """

    def __init__(self, context: AbstractAsyncContextManager[Any]) -> None:
        self.has_failed = False
        self._context = context
        self._begun = asyncio.Event()
        self._ending = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        """
        Begin, wait, end; say what went wrong.
        """
        try:
            async with self._context:
                self._begun.set()
                await self._ending.wait()
        except Exception:
            self.has_failed = True
            logger.exception("the lifespan of the handler's module failed")
        finally:
            # It may also have been cancelled from inside.
            self.has_failed |= not self._ending.is_set()

    async def begin(self, stopping: asyncio.Event) -> bool:
        """
        Wait until the lifespan has begun; return whether there is something to serve.

        Args:
            stopping: Set when the program is to end: nobody waits any longer. Is
                set by a lifespan that ends by itself, then and later.
        """
        self._task.add_done_callback(lambda _: stopping.set())
        await first(self._begun, stopping)
        return not stopping.is_set()

    async def end(self, patience: float, hurry: asyncio.Event) -> None:
        """
        End the lifespan.

        Args:
            patience: Seconds that it has.
            hurry: Set when there is no time any more.
        """
        self._ending.set()
        if not self._begun.is_set():
            self._task.cancel()
        if not await is_done_in_time(self._task, patience, hurry):
            self.has_failed = True
            logger.warning("the lifespan did not end within --grace")
            self._task.cancel()
            # It may suppress its cancellation; the process ends all the same.
            await asyncio.wait({self._task}, timeout=_LAST_WAIT)


async def is_done_in_time(
    future: asyncio.Future[Any], patience: float, hurry: asyncio.Event
) -> bool:
    """
    Wait for something, for so many seconds and until there is a hurry; return whether
    it is done.
    """
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait(
        {future, hurrying}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
    )
    hurrying.cancel()
    return future.done()


async def first(*events: asyncio.Event) -> None:
    """
    Wait until one of some events is set.
    """
    waiting = {asyncio.create_task(event.wait()) for event in events}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
