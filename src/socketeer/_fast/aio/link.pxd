cimport cython

from ..outbox cimport Outbox
from ..prepared cimport PreparedMessage
from .awaitable cimport Awaitable
from .turn cimport Deadline, Member, Turn
from .waiter cimport Waiter
from .wire cimport Wire

cdef int _OPEN
cdef double _NEVER
cdef Py_ssize_t _FULL
cdef Py_ssize_t _COPIED
cdef int _TRY_AGAIN_LATER


cdef class Link(Member):
    cdef readonly Turn turn
    cdef public Wire wire
    cdef public object connection
    cdef public object opening
    cdef public double open_due_at
    cdef readonly bint lost
    cdef public Awaitable receiver
    cdef public Waiter waiter
    cdef public object fragmenting
    cdef public bint streaming
    cdef public bint yielded
    cdef public long dropped
    cdef list _drainers
    cdef object _closed
    cdef Deadline _deadline
    cdef bint _eof_written
    cdef list _postponed
    cdef bint _reading_paused
    cdef bytes _held
    cdef long long _wrote_in

    cpdef open(self)
    cpdef feed(self, bytes data)
    cpdef received(self, bytearray data, Py_ssize_t size)
    @cython.locals(waiter=Waiter, turn=Turn)
    cdef bint _wake_receiver(self) except -1
    cpdef release_close(self)
    cpdef after_take(self)
    cpdef settle(self)
    cpdef ended(self)
    cpdef lost_connection(self, object exc)
    cpdef pong_received(self, object waiter, double latency)
    @cython.locals(waiter=Waiter)
    cdef _end_waits(self)

    @cython.locals(outbox=Outbox)
    cpdef Outbox new_outbox(self)
    @cython.locals(turn=Turn, corked=Member)
    cpdef push(self)
    @cython.locals(outbox=Outbox, held=bytes)
    cpdef flush(self)
    cpdef write_raw(self, bytes data)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef bint is_paused(self) except -1
    cpdef add_drainer(self, Waiter waiter)
    @cython.locals(drainers=list, waiter=Waiter)
    cdef _wake_drainers(self)

    @cython.locals(size=Py_ssize_t)
    cpdef Py_ssize_t backlog_size(self) except -1
    cpdef bint send_prepared(
        self,
        PreparedMessage prepared,
        Py_ssize_t max_backlog,
        str on_overflow,
        bint more=*,
    ) except -1
    @cython.locals(frame=bytes)
    cdef _add_prepared(self, PreparedMessage prepared, bint more)
    cdef _collect(self)
    cdef bint _overflows(self, Py_ssize_t max_backlog, str on_overflow) except -1
    cdef Py_ssize_t _postponed_size(self) except -1
    cpdef end_fragments(self)

    cpdef begin_close(self, int code, str reason)
    cpdef closed_future(self)
    cpdef closed_error(self)
    @cython.locals(at=double, deadline=Deadline)
    cpdef schedule(self)
    cpdef advance_to(self, double now)
