cimport cython

from .masking cimport copy_payload, mask_chunk
from .sending cimport Sender

cdef int _OPEN
cdef int _CLOSING
cdef int _CLOSED
cdef int _FIN
cdef int _RSV
cdef int _RSV1
cdef int _OPCODE
cdef int _CLOSE_HEAD
cdef int _PING_HEAD
cdef int _PONG_HEAD
cdef int _ABNORMAL_CLOSURE


cdef class Endpoint(Sender):
    cdef public long long max_message_size
    cdef public long long max_fragment_size
    cdef public int state
    cdef public object close_rcvd
    cdef public object close_sent
    cdef public object close_rcvd_then_sent
    cdef readonly int controls
    cdef public object failure
    cdef public int fail_code
    cdef public bint wants_eof
    cdef public bint halted
    cdef public bint discarding
    cdef public int reserved_bits
    cdef public long long message_size
    cdef bytearray _rest
    cdef Py_ssize_t _rest_start
    cdef Py_ssize_t _answered
    cdef int _opcode
    cdef int _head
    cdef long long _size
    cdef bytes _key
    cdef long long _remaining
    cdef bytearray _chunks

    @cython.locals(position=Py_ssize_t)
    cpdef receive_data(self, bytearray data, Py_ssize_t end)
    @cython.locals(rest=bytearray, position=Py_ssize_t, end=Py_ssize_t)
    cpdef resume(self)
    @cython.locals(
        rest=bytearray,
        end=Py_ssize_t,
        position=Py_ssize_t,
        head=cython.int,
        second=cython.int,
        start=Py_ssize_t,
        size=cython.longlong,
    )
    cdef _answer_kept(self)
    @cython.locals(second=cython.int, size=cython.int, start=Py_ssize_t)
    cdef Py_ssize_t _payload_start(
        self, bytearray data, Py_ssize_t position, Py_ssize_t end
    ) except -2
    @cython.locals(size=cython.longlong)
    cdef long long _payload_size(self, bytearray data, Py_ssize_t position) except -1
    cpdef Py_ssize_t kept_size(self) except -1
    cdef Py_ssize_t _parse_guarded(
        self, bytearray data, Py_ssize_t position, Py_ssize_t end
    ) except -1
    @cython.locals(
        head=cython.int,
        size=cython.longlong,
        start=Py_ssize_t,
        stop=Py_ssize_t,
    )
    cdef Py_ssize_t _parse(
        self, bytearray data, Py_ssize_t position, Py_ssize_t end
    ) except -1
    @cython.locals(opcode=cython.int)
    cdef void _check_head(self, int head, int second) except *
    @cython.locals(size=cython.longlong, index=Py_ssize_t)
    cdef long long _read_long_size(self, bytearray data, Py_ssize_t position) except -1
    @cython.locals(left=cython.longlong)
    cdef void _check_size(self, long long size) except *
    cdef _receive_whole(self, int head, bytearray data, Py_ssize_t start, Py_ssize_t end)
    cdef _begin_payload(self, int head, bytearray data, Py_ssize_t start, long long size)
    @cython.locals(stop=Py_ssize_t, chunk=bytes)
    cdef Py_ssize_t _continue_payload(
        self, bytearray data, Py_ssize_t position, Py_ssize_t end
    ) except -1
    @cython.locals(opcode=cython.int, begun=cython.int, size=cython.longlong)
    cdef _receive_payload(self, int head, bytes payload)
    @cython.locals(opcode=cython.int, payload=bytes)
    cdef bint _receive_control(
        self, int head, bytearray data, Py_ssize_t start, Py_ssize_t end
    ) except -1
    cdef _receive_close(self, object close)
    cpdef end_input(self)
    cpdef receive_eof(self)

    cpdef receive_whole(self, int head, bytearray data, Py_ssize_t start, Py_ssize_t end)
    cpdef long long receive_payload(self, int head, int opcode, bytes payload) except -1
    cpdef check_chunk(self, int head, bytes chunk)
    cpdef receive_control(self, int opcode, bytes payload)
    cpdef bint accepts_close(self) except -1
    cpdef receive_ping(self, bytes payload)
    cpdef receive_pong(self, bytes payload)
    cpdef fail_with(self, object exc, int code, str reason)

    cdef _send_close(self, object close)
    cpdef send_close(self, object code, str reason=*)
    cpdef require_open(self)
    cpdef fail(self, int code, str reason=*)
