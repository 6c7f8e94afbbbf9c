cimport cython

from .endpoint cimport Endpoint
from .prepared cimport PreparedMessage

cdef int _FIN
cdef int _RSV1


cdef class Composer(Endpoint):
    cdef public object deflate
    cdef public Py_ssize_t compression_threshold
    cdef public list extensions

    cpdef send_message(self, int opcode, object payload, bint compress)
    @cython.locals(head=cython.int)
    cpdef send_fragment(self, int opcode, bytes payload, bint fin, bint compress)
    cpdef bytes shared_frame(self, PreparedMessage prepared)
