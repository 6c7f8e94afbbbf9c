cimport cython


@cython.final
cdef class Fragment:
    cdef readonly int opcode
    cdef readonly bytes payload
    cdef readonly bint fin
