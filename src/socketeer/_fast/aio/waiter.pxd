cimport cython


@cython.final
cdef class Waiter:
    cdef void *_call
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef object _message
    cdef int _state
    cdef bint _blocking

    cpdef wake(self)
    cpdef wake_now(self, object finished)
    cdef _schedule(self)


cpdef Waiter new_waiter(object loop)
