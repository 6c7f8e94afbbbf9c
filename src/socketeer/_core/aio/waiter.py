"""
What a task waits on: a future with one waiting task, which can be woken at once.

This is the portable twin of ``_fast/aio/waiter.pyx``; both must behave alike.
"""

from __future__ import annotations

from asyncio import CancelledError

from .context import run_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from contextvars import Context
    from typing import Any

__all__ = ["Waiter", "new_waiter"]

_WAITING = 0
_WOKEN = 1
_CANCELLED = 2


class Waiter:
    """
    One suspension of one task.

    It speaks the protocol by which :class:`asyncio.Task` waits for a future,
    and is private to the awaitable that yielded it: a fresh one is used for each
    suspension, so that a cancellation cannot reach the wrong task.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_context",
        "_loop",
        "_message",
        "_state",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        # A task that is yielded a future asks for this attribute to be true.
        self._asyncio_future_blocking = True
        self._loop = loop
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._message: object = None
        self._state = _WAITING

    def wake(self) -> None:
        """
        Let the task go on in the next turn of the loop.
        """
        if self._state == _WAITING:
            self._state = _WOKEN
            self._schedule()

    def wake_now(self, finished: Future[None]) -> None:
        """
        Let the task go on before this method returns, in the task's context.

        To be called when no task is running and as the last act of a callback:
        anything may have happened when it returns.

        Args:
            finished: A future that is done. The task is woken with it instead of
                the waiter: asyncio reads its own futures without calling methods.
        """
        if self._state != _WAITING:
            return
        self._state = _WOKEN
        callback = self._callback
        context = self._context
        if callback is None:
            return
        self._callback = None
        if not run_in(context, callback, finished):
            # Somebody runs in this very context: the task waits its turn.
            self._loop.call_soon(callback, self, context=context)

    def _schedule(self) -> None:
        """
        Let the loop call the task.
        """
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)

    # The protocol of asyncio.Future, as far as a task uses it.

    def get_loop(self) -> AbstractEventLoop:
        """
        Return the event loop of the task.
        """
        return self._loop

    def add_done_callback(
        self, fn: Callable[[Waiter], object], *, context: Context | None = None
    ) -> None:
        """
        Take the task's wake-up.
        """
        self._callback = fn
        self._context = context
        if self._state != _WAITING:
            self._schedule()

    def remove_done_callback(self, fn: Callable[[Waiter], object]) -> int:
        """
        Forget the task's wake-up.
        """
        if self._callback is None or self._callback != fn:
            return 0
        self._callback = None
        return 1

    def cancel(self, msg: object = None) -> bool:
        """
        Cancel the waiting; false once a wake-up is on its way.
        """
        if self._state != _WAITING:
            return False
        self._state = _CANCELLED
        self._message = msg
        self._schedule()
        return True

    def cancelled(self) -> bool:
        """
        Tell whether the waiting was cancelled.
        """
        return self._state == _CANCELLED

    def done(self) -> bool:
        """
        Tell whether the waiting is over.
        """
        return self._state != _WAITING

    def result(self) -> None:
        """
        Raise :exc:`asyncio.CancelledError` if the waiting was cancelled.
        """
        if self._state == _CANCELLED:
            if self._message is None:
                raise CancelledError
            raise CancelledError(self._message)

    def exception(self) -> None:
        """
        Like :meth:`result`: there is no other exception.
        """
        self.result()


def new_waiter(loop: AbstractEventLoop) -> Waiter:
    """
    Return a waiter for the task that runs.
    """
    return Waiter(loop)
