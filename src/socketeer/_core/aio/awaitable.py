"""
Awaitables that behave like coroutines and finish without an exception object.

This is the portable twin of ``_fast/aio/awaitable.pyx``; both must behave
alike. A method such as ``recv()`` returns an :class:`Awaitable` where another
library would have a coroutine. It does nothing until it is awaited, can be
awaited once, warns when it was forgotten, and satisfies
:class:`collections.abc.Coroutine`, so that tasks can be made of it. It is not
a future: what a task waits on is the :class:`~.waiter.Waiter` it yields.
"""

from __future__ import annotations

import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, Self

__all__ = ["Awaitable", "share_slots"]

_FRESH = 0
_SUSPENDED = 1
_DONE = 2


class Awaitable:
    """
    Something to await, once.

    A subclass does its work in :meth:`step`. To finish it returns a value or
    raises; to wait it calls :meth:`suspend` with what to yield, and is called
    again when the task goes on; to leave the rest to a coroutine it returns
    :meth:`delegate`.

    Attributes:
        link: What the awaitable works on.
        argument: The main argument of the call.
        option: Another argument of the call.
        extra: One more.
        stage: 0 fresh, 1 suspended, 2 done.
        resumed: Whether this is not the first step.
    """

    __slots__ = ("argument", "extra", "inner", "link", "option", "resumed", "stage")

    # Each subclass knows what its link and its arguments are.
    link: Any
    argument: Any
    option: Any
    extra: Any
    # A coroutine, once the rest was left to one.
    inner: Any
    stage: int
    resumed: bool

    def __new__(cls) -> Self:
        self = object.__new__(cls)
        self.link = None
        self.argument = None
        self.option = None
        self.extra = None
        self.inner = None
        self.stage = _FRESH
        self.resumed = False
        return self

    # For subclasses.

    def step(self) -> object:
        """
        Do the next piece of work.
        """
        raise NotImplementedError

    def abandon(self) -> None:
        """
        Undo the waiting: the awaitable was suspended and will not go on.
        """

    def suspend(self, what: object) -> object:
        """
        Wait: the value of :meth:`step` is now yielded, not returned.
        """
        self.stage = _SUSPENDED
        return what

    def delegate(self, coroutine: Coroutine[Any, Any, object]) -> object:
        """
        Leave the rest to a coroutine.
        """
        self.inner = coroutine
        return self.advance_inner()

    # The machinery.

    def advance_inner(self) -> object:
        """
        Go on with the coroutine that does the rest.
        """
        try:
            item = self.inner.send(None)
        except StopIteration as exc:
            return exc.value
        return self.suspend(item)

    def advance(self) -> object:
        """
        Go on; the stage tells what the value means.
        """
        if self.stage == _DONE:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.resumed = self.stage == _SUSPENDED
        self.stage = _DONE
        if self.inner is not None:
            return self.advance_inner()
        return self.step()

    def __await__(self) -> Awaitable:
        if self.stage == _SUSPENDED:
            raise RuntimeError("coroutine is being awaited already")
        return self

    def __iter__(self) -> Awaitable:
        return self

    def __next__(self) -> object:
        item = self.advance()
        if self.stage == _SUSPENDED:
            return item
        raise StopIteration(item)

    def send(self, value: object) -> object:
        """
        Go on, as a coroutine does; the value is ignored.
        """
        return self.__next__()

    def throw(self, typ: Any, value: Any = None, traceback: Any = None) -> object:
        """
        Raise an exception where the awaitable waits, as a coroutine does.
        """
        if value is None:
            value = typ() if isinstance(typ, type) else typ
        if traceback is not None:
            value = value.with_traceback(traceback)
        stage = self.stage
        if stage == _DONE:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.stage = _DONE
        if self.inner is not None:
            item = self.inner.throw(value)
            return self.suspend(item)
        if stage == _SUSPENDED:
            self.abandon()
        raise value

    def close(self) -> None:
        """
        Give up, as a coroutine does.
        """
        stage = self.stage
        self.stage = _DONE
        if stage == _SUSPENDED:
            if self.inner is not None:
                self.inner.close()
            else:
                self.abandon()

    def __del__(self) -> None:
        if self.stage == _FRESH:
            warnings.warn(
                f"coroutine {type(self).__qualname__!r} was never awaited",
                RuntimeWarning,
                stacklevel=2,
            )


def share_slots(kind: type[Awaitable]) -> None:
    """
    Let objects of a kind be freed as quickly as their base class.

    Only compiled classes need it.

    Raises:
        TypeError: The kind has attributes of its own.
    """
    if vars(kind).get("__slots__") != ():
        raise TypeError(f"{kind.__name__} has attributes of its own")
