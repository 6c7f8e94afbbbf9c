cdef class Method:
    cdef void *_call
    cdef readonly object __wrapped__
