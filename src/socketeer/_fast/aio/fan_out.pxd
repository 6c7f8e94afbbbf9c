cimport cython

from .link cimport Link
from .operations cimport Connected


@cython.locals(
    refused=list,
    last=Py_ssize_t,
    number=Py_ssize_t,
    place=Py_ssize_t,
    follows=cython.bint,
    taken=cython.bint,
    connected=Connected,
    link=Link,
)
cpdef list fan_out_to_all(
    list connections,
    list messages,
    Py_ssize_t max_backlog,
    str on_overflow,
    bint more,
    bint is_log,
)
