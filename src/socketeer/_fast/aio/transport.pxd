cimport cython

from ..outbox cimport Outbox
from .sockets cimport pending_error, read_into, write_bytes, write_outbox
from .turn cimport Member, Turn
from .wire cimport Wire

cdef int _MANY_CONTROLS
cdef Py_ssize_t _LITTLE


cdef class SocketTransport(Wire):
    cdef Turn _turn
    cdef object _sock
    cdef int _fd
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef object _backlog
    cdef Py_ssize_t _backlog_size
    cdef bint _closing
    cdef bint _eof_due
    cdef Py_ssize_t _most
    cdef bint _reading
    cdef bint _watching
    cdef bint _wrote
    cdef object _peername
    cdef object _sockname

    cpdef start(self)
    @cython.locals(turn=Turn, size=Py_ssize_t, error=cython.int, member=Member)
    cpdef read_once(self)
    @cython.locals(size=Py_ssize_t)
    cdef bint _writes_soon(self) except -1
    cdef _read_rest(self, int error)
    cpdef take_in(self, bytearray data, Py_ssize_t size)
    cpdef take_eof(self)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
    cdef _stop_reading(self)
    @cython.locals(size=Py_ssize_t)
    cpdef write_outbox(self, Outbox outbox)
    cpdef write_shared(self, bytes frame)
    @cython.locals(size=Py_ssize_t)
    cdef _write_bytes(self, bytes data, bint shared)
    cdef _put(self, object data, bint shared)
    cdef _finish_writing(self)
    cdef _consume(self, Py_ssize_t size)
    cdef _stop_watching(self)
    cpdef Py_ssize_t backlog(self) except -1
    cpdef Py_ssize_t drop_shared(self) except -1
    cdef _writable_again(self)
    cpdef finish(self)
    cpdef write_eof(self)
    cdef _shut_down(self)
    cpdef close(self)
    cpdef abort(self)
    cdef _break(self, object exc)
    cdef _lose(self, object exc)
