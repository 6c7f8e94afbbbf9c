cimport cython


@cython.final
cdef class Outbox:
    cdef readonly Py_ssize_t size
    cdef char *memory
    cdef Py_ssize_t capacity
    cdef int reserve(self, Py_ssize_t more) except -1
    cpdef add(self, bytes data)
    cpdef add_frame(self, int head, object payload, bytes key)
    cpdef bytes tail(self, Py_ssize_t start)
    cpdef clear(self)
