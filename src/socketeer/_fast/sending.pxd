cimport cython

from .outbox cimport Outbox

cdef int _KEY_BLOCK


@cython.final
cdef class MaskingKeys:
    cdef object _entropy
    cdef bytes _block
    cdef Py_ssize_t _next

    @cython.locals(start=Py_ssize_t)
    cpdef bytes take(self)
    cpdef discard(self)


cdef class Sender:
    cdef readonly bint is_client
    cdef readonly MaskingKeys masking_keys
    cdef public Outbox outbox
    cdef public object trace

    cpdef send_frame(self, int head, object payload)
    cpdef Outbox new_outbox(self)
    @cython.locals(outbox=Outbox)
    cpdef bytes data_to_send(self)
