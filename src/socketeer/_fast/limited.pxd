cimport cython

from .session cimport Session

cdef int _OPEN
cdef double _NEVER
cdef int _GOING_AWAY
cdef int _POLICY_VIOLATION


cdef class LimitedSession(Session):
    cdef public object meter
    cdef public double idle_timeout
    cdef double _idle_due_at
    cdef double _received_at

    @cython.locals(
        waiting=Py_ssize_t, stop=Py_ssize_t, now=double, messages=Py_ssize_t
    )
    cdef Py_ssize_t _parse_guarded(
        self, bytearray data, Py_ssize_t position, Py_ssize_t end
    ) except -1
    @cython.locals(at=double)
    cpdef double next_deadline(self) except? -1.0
    cpdef bint advance(self, double now) except -1
    @cython.locals(due_at=double)
    cdef _check_idle(self, double now)
