from .context cimport run_in

cdef int _WAITING
cdef int _WOKEN
cdef int _CANCELLED


cdef class Waiter:
    cdef public bint _asyncio_future_blocking
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef object _message
    cdef int _state

    cpdef wake(self)
    cpdef wake_now(self)
    cdef _schedule(self)

