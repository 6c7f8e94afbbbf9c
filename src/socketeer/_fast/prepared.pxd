cimport cython

cdef int _RSV1


@cython.final
cdef class PreparedMessage:
    cdef readonly int opcode
    cdef readonly bytes payload
    cdef bytes _plain
    cdef dict _compressed

    cpdef bytes plain_frame(self)
    cpdef bytes compressed_frame(self, int window_bits, dict settings)
