from ..outbox cimport Outbox
from .turn cimport Member


cdef class Wire:
    cdef object __weakref__
    cdef public Member member
    cdef readonly bint paused

    cpdef write_outbox(self, Outbox outbox)
    cpdef write_shared(self, bytes frame)
    cpdef Py_ssize_t backlog(self) except -1
    cpdef Py_ssize_t drop_shared(self) except -1
    cpdef finish(self)
    cpdef close(self)
    cpdef abort(self)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
