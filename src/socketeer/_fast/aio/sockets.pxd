from ..outbox cimport Outbox


cpdef Py_ssize_t read_into(object sock, int fd, bytearray buffer, Py_ssize_t most) except -2
cpdef int pending_error(object sock, int fd) except -1
cpdef Py_ssize_t write_outbox(object sock, int fd, Outbox outbox) except -2
cpdef Py_ssize_t write_bytes(object sock, int fd, bytes data) except -2
