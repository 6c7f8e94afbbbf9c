cimport cython

from ..outbox cimport Outbox
from ..limited cimport LimitedSession
from .clock cimport now

cdef double _NEVER
cdef Py_ssize_t _BUDGET
cdef Py_ssize_t _MAX_SPARES
cdef double _TOLERANCE
cdef Py_ssize_t _MOST_DUE
cdef double _LATE
cdef double _GRACE
cdef int _CROWD
cdef double _QUICK
cdef int _SPAN
cdef int _LATER
cdef int _SOON
cdef int _NEXT
cdef int _NOW
cdef int _MANY
cdef double _PATIENCE


cdef class Member(LimitedSession):
    cdef public bint dirty
    cdef public bint postponed

    cpdef after_input(self)
    cpdef flush(self)
    cpdef advance_to(self, double now)
    cpdef received(self, bytearray data, Py_ssize_t size)
    cpdef ended(self)
    cpdef lost_connection(self, object exc)
    cpdef pause_writing(self)
    cpdef resume_writing(self)


@cython.final
cdef class Deadline:
    cdef public double at
    cdef public Member member


@cython.final
cdef class Turn:
    cdef readonly list at_end
    cdef readonly object loop
    cdef readonly bytearray buffer
    cdef public Member corked
    cdef public long long number
    cdef public Py_ssize_t budget
    cdef readonly object finished
    cdef readonly bint gathering
    cdef public double quick
    cdef public double patience
    cdef public bint in_callback
    cdef readonly bint stops_at_errors
    cdef list _dirty
    cdef list _spares
    cdef Py_ssize_t _spare_count
    cdef bint _ends_soon
    cdef long _turns
    cdef list _postponed
    cdef int _sample
    cdef double _counted_from
    cdef double _write_at
    cdef bint _deferred
    cdef list _timetable
    cdef object _timer
    cdef double _timer_at

    cpdef Outbox take_outbox(self)
    cpdef give_outbox(self, Outbox outbox)
    cpdef mark(self, Member member)
    cpdef touch(self)
    cpdef call_at_end(self, object callback)
    @cython.locals(callbacks=list)
    cpdef run_at_end(self)
    @cython.locals(dirty=list, member=Member, done=Py_ssize_t)
    cpdef end(self)
    cpdef postpone(self, Member member)
    @cython.locals(postponed=list, member=Member, done=Py_ssize_t)
    cpdef go_on(self)
    cpdef spend(self, Py_ssize_t size)
    cpdef bint may_wake_now(self) except -1
    cpdef cork(self, Member member)
    cpdef uncork(self)
    @cython.locals(time=double)
    cdef _gather(self)
    cpdef call_at(self, Deadline deadline)
    cdef _arm(self, double at)
