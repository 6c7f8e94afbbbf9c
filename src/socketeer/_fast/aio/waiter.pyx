"""
The waiter in C; ``_core/aio/waiter.py`` is the portable twin and tells more.
"""

cimport cython

from asyncio import CancelledError

from .context cimport run_in


cdef extern from "vectorcall.h":
    void socketeer_install_vectorcall(object type, Py_ssize_t offset, unsigned long flags)


cdef extern from "Python.h":
    ctypedef struct PyObject
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf)
    object PyObject_GenericGetAttr(object self, object name)
    int PyObject_GenericSetAttr(object self, object name, object value) except -1


cdef enum:
    _WAITING = 0
    _WOKEN = 1
    _CANCELLED = 2

# Interned: the names that tasks look up are the same objects.
cdef str _BLOCKING = "_asyncio_future_blocking"
cdef str _GET_LOOP = "get_loop"
cdef str _ADD_DONE_CALLBACK = "add_done_callback"


@cython.freelist(64)
cdef class Waiter:
    cpdef wake(self):
        if self._state == _WAITING:
            self._state = _WOKEN
            self._schedule()

    cpdef wake_now(self, object finished):
        if self._state != _WAITING:
            return
        self._state = _WOKEN
        callback = self._callback
        context = self._context
        if callback is None:
            return
        self._callback = None
        if not run_in(context, callback, finished):
            self._loop.call_soon(callback, self, context=context)

    cdef _schedule(self):
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)

    @property
    def _asyncio_future_blocking(self):
        return self._blocking

    def __getattribute__(self, name):
        if name is _BLOCKING:
            return self._blocking
        if name is _GET_LOOP or name is _ADD_DONE_CALLBACK:
            return self
        return PyObject_GenericGetAttr(self, name)

    def __setattr__(self, name, value):
        if name is _BLOCKING:
            self._blocking = value
        else:
            PyObject_GenericSetAttr(self, name, value)

    def remove_done_callback(self, fn):
        if self._callback is None or self._callback != fn:
            return 0
        self._callback = None
        return 1

    def cancel(self, msg=None):
        if self._state != _WAITING:
            return False
        self._state = _CANCELLED
        self._message = msg
        self._schedule()
        return True

    def cancelled(self):
        return self._state == _CANCELLED

    def done(self):
        return self._state != _WAITING

    def result(self):
        if self._state == _CANCELLED:
            if self._message is None:
                raise CancelledError
            raise CancelledError(self._message)

    def exception(self):
        self.result()


# The names of keyword arguments as a task has given them last: always the same object.
cdef tuple _known = ()


cdef bint names_context(tuple names):
    global _known
    if names is not _known:
        if names != ("context",):
            return False
        _known = names
    return True


# Bound methods would cost a task more than parsing a message: the waiter stands for
# both get_loop() and add_done_callback(), and its arguments tell which is meant.
cdef object answer(object waiter, PyObject **args, size_t nargsf, PyObject *names):
    cdef Waiter self = <Waiter>waiter
    cdef Py_ssize_t n = PyVectorcall_NARGS(nargsf)
    cdef Py_ssize_t named = 0 if names is NULL else len(<tuple>names)
    if n == 0 and named == 0:
        return self._loop
    if n != 1 or (named and not names_context(<tuple>names)):
        raise TypeError("expected a callback and its context")
    self._callback = <object>args[0]
    self._context = <object>args[1] if named else None
    if self._state != _WAITING:
        self._schedule()


cpdef Waiter new_waiter(object loop):
    cdef Waiter waiter = Waiter.__new__(Waiter)
    # A task that is yielded a future asks for this attribute to be true.
    waiter._blocking = True
    waiter._loop = loop
    waiter._call = <void *>answer
    return waiter


cdef Waiter _example = Waiter.__new__(Waiter)
socketeer_install_vectorcall(
    Waiter, <char *>&_example._call - <char *><void *>_example, 0
)
