"""
Awaitables in C; ``_core/aio/awaitable.py`` is the portable twin and tells more.
"""

cimport cython

import warnings


cdef extern from "awaitable.h":
    void socketeer_install_slots(
        object type,
        object (*advance)(object, int *),
        void (*look_back)(object) noexcept,
        Py_ssize_t stage,
    )
    void socketeer_share_slots(object type)


cdef extern from "Python.h":
    ctypedef struct PyObject
    void PyErr_Fetch(PyObject **type, PyObject **value, PyObject **traceback)
    void PyErr_Restore(PyObject *type, PyObject *value, PyObject *traceback)


cdef enum:
    _FRESH = 0
    _SUSPENDED = 1
    _DONE = 2


@cython.freelist(64)
cdef class Awaitable:
    __qualname__ = "Awaitable"

    cdef object step(self):
        raise NotImplementedError

    cdef object abandon(self):
        pass

    cdef object suspend(self, object what):
        self.stage = _SUSPENDED
        return what

    cdef object delegate(self, object coroutine):
        self.inner = coroutine
        return self.advance_inner()

    cdef object advance_inner(self):
        try:
            item = self.inner.send(None)
        except StopIteration as exc:
            return exc.value
        return self.suspend(item)

    cdef object advance(self):
        if self.stage == _DONE:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.resumed = self.stage == _SUSPENDED
        self.stage = _DONE
        if self.inner is not None:
            return self.advance_inner()
        return self.step()

    def __await__(self):
        if self.stage == _SUSPENDED:
            raise RuntimeError("coroutine is being awaited already")
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise AssertionError("install_slots() replaces this slot")

    def send(self, value):
        item = self.advance()
        if self.stage == _SUSPENDED:
            return item
        stop = StopIteration(item)
        raise stop

    def throw(self, typ, value=None, traceback=None):
        if value is None:
            value = typ() if isinstance(typ, type) else typ
        if traceback is not None:
            value = value.with_traceback(traceback)
        cdef int stage = self.stage
        if stage == _DONE:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.stage = _DONE
        if self.inner is not None:
            item = self.inner.throw(value)
            return self.suspend(item)
        if stage == _SUSPENDED:
            self.abandon()
        raise value

    def close(self):
        cdef int stage = self.stage
        self.stage = _DONE
        if stage == _SUSPENDED:
            if self.inner is not None:
                self.inner.close()
            else:
                self.abandon()


cdef void warn(Awaitable awaitable) noexcept:
    # Not of type(awaitable): the name given in a class body is an attribute here.
    warnings.warn(
        f"coroutine {awaitable.__qualname__!r} was never awaited",
        RuntimeWarning,
        stacklevel=1,
    )


# Instead of __del__(): memory from the freelist is finalized only once. Whoever is
# suspended is held by what it waits for, so it does not get here.
cdef void look_back(object awaitable) noexcept:
    cdef PyObject *kind
    cdef PyObject *exc
    cdef PyObject *traceback
    PyErr_Fetch(&kind, &exc, &traceback)
    warn(<Awaitable>awaitable)
    PyErr_Restore(kind, exc, traceback)


cdef object go_on(object awaitable, int *suspended):
    cdef Awaitable self = <Awaitable>awaitable
    item = self.advance()
    suspended[0] = self.stage == _SUSPENDED
    return item


cdef Awaitable _example = Awaitable.__new__(Awaitable)
# Nobody forgot to await it.
_example.stage = _DONE
socketeer_install_slots(
    Awaitable,
    go_on,
    look_back,
    <char *>&_example.stage - <char *><void *>_example,
)


cpdef share_slots(object kind):
    if kind.__basicsize__ != Awaitable.__basicsize__:
        raise TypeError(f"{kind.__name__} has attributes of its own")
    socketeer_share_slots(kind)
