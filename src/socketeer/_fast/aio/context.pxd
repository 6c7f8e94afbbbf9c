cpdef bint run_in(object context, object callback, object argument) except -1
