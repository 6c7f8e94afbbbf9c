"""
System calls on sockets; ``_core/aio/sockets.py`` is the portable twin and tells
more.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno

from ..outbox cimport Outbox

from ..._core.aio import sockets as portable
from ..._core.aio.sockets import write_vector


# What the portable twin says about it holds for compiled parsing, which takes a
# tenth of the time.
READ_SIZE = 65536


cdef extern from "sockets.h":
    const bint SOCKETEER_SOCKETS
    Py_ssize_t socketeer_recv(int fd, void *data, size_t n)
    Py_ssize_t socketeer_send(int fd, const void *data, size_t n)
    int socketeer_error(int fd)
    bint socketeer_would_block()
    bint socketeer_interrupted()


cpdef Py_ssize_t read_into(object sock, int fd, bytearray buffer, Py_ssize_t most) except -2:
    cdef Py_ssize_t n
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(buffer)
    if not SOCKETEER_SOCKETS:
        return portable.read_into(sock, fd, buffer, most)
    if 0 < most < size:
        size = most
    while True:
        n = socketeer_recv(fd, PyByteArray_AS_STRING(buffer), size)
        if n >= 0 or socketeer_would_block():
            return n
        if not socketeer_interrupted():
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()


cpdef int pending_error(object sock, int fd) except -1:
    if not SOCKETEER_SOCKETS:
        return portable.pending_error(sock, fd)
    return socketeer_error(fd)


cdef Py_ssize_t write_memory(int fd, const char *data, Py_ssize_t size) except -2:
    cdef Py_ssize_t n
    while True:
        n = socketeer_send(fd, data, size)
        if n >= 0:
            return n
        if socketeer_would_block():
            return 0
        if not socketeer_interrupted():
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()


cpdef Py_ssize_t write_outbox(object sock, int fd, Outbox outbox) except -2:
    if not SOCKETEER_SOCKETS:
        return portable.write_bytes(sock, fd, outbox.tail(0))
    return write_memory(fd, outbox.memory, outbox.size)


cpdef Py_ssize_t write_bytes(object sock, int fd, bytes data) except -2:
    if not SOCKETEER_SOCKETS:
        return portable.write_bytes(sock, fd, data)
    return write_memory(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
