cdef class Method:
    cdef void *_call
    # The vectorcall of what is wrapped.
    cdef void *_target
    cdef readonly object __wrapped__
