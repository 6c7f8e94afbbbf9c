cpdef double now() except -1.0
