"""
Contexts in C; ``_core/aio/context.py`` is the portable twin and tells more.
"""

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


cpdef bint run_in(object context, object callback, object argument) except -1:
    if context is None:
        callback(argument)
        return True
    try:
        PyContext_Enter(context)
    except RuntimeError:
        return False
    try:
        callback(argument)
    finally:
        PyContext_Exit(context)
    return True
