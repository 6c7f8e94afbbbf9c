cdef class Awaitable:
    cdef object link
    cdef object argument
    cdef object option
    cdef object extra
    cdef object inner
    cdef readonly int stage
    cdef bint resumed

    cdef object step(self)
    cdef object abandon(self)
    cdef object suspend(self, object what)
    cdef object delegate(self, object coroutine)
    cdef object advance_inner(self)
    cdef object advance(self)


cpdef share_slots(object kind)
