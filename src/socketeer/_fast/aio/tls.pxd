cimport cython

from ..outbox cimport Outbox
from .transport cimport SocketTransport

cdef Py_ssize_t _RECORD_SIZE


cdef class TLSTransport(SocketTransport):
    cdef object _context
    cdef object _incoming
    cdef object _object
    cdef object _on_secure
    cdef object _outgoing
    cdef bint _ended
    cdef bint _said_goodbye
    cdef object _shutdown_timeout
    cdef object _shutdown_timer
    cdef list _unsent

    cpdef start(self)
    cdef _shake_hands(self)
    cpdef take_in(self, bytearray data, Py_ssize_t size)
    @cython.locals(buffer=bytearray, filled=Py_ssize_t)
    cdef _decrypt(self)
    @cython.locals(filled=Py_ssize_t, size=Py_ssize_t, part=Py_ssize_t)
    cdef Py_ssize_t _fill(self, bytearray buffer) except -2
    cpdef write_outbox(self, Outbox outbox)
    cpdef write_shared(self, bytes frame)
    cdef _encrypt(self, bytes data)
    cdef _encrypt_unsent(self)
    cdef _write_encrypted(self)
    cpdef write_eof(self)
    cpdef finish(self)
    cpdef close(self)
    cdef _say_goodbye(self)
