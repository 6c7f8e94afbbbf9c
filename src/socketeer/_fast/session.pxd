cimport cython

from .composing cimport Composer
from .endpoint cimport Endpoint
from .fragment cimport Fragment
from .masking cimport copy_payload, decode_payload

cdef int _OPEN
cdef int _CLOSING
cdef int _CLOSED
cdef int _FIN
cdef int _RSV1
cdef int _OPCODE
cdef int _PING_HEAD
cdef int _PONG_HEAD
cdef int _TEXT_HEAD
cdef double _NEVER
cdef Py_ssize_t _SPARE
cdef Py_ssize_t _KEPT_SLOTS


cdef class Session(Composer):
    cdef public object clock
    cdef public Py_ssize_t high
    cdef public Py_ssize_t low
    cdef public Py_ssize_t max_fragments
    cdef public double ping_interval
    cdef public double ping_timeout
    cdef public double close_timeout
    cdef public double stall_timeout
    cdef public double latency
    cdef public bint congested
    cdef public bint hold_close
    cdef public double close_due_at
    cdef public dict pings
    cdef list _queue
    cdef Py_ssize_t _first
    cdef Py_ssize_t _last
    cdef list _assembly
    cdef object _utf8
    cdef bint _checked
    cdef bint _compressed
    cdef bytes _keepalive
    cdef bint _acknowledged
    cdef double _next_ping_at
    cdef double _pong_due_at
    cdef double _halted_at
    cdef Py_ssize_t _spare
    cdef bytes _owed_pong
    cdef tuple _pending
    cdef double _pending_until

    cpdef start(self)
    cpdef receive_whole(self, int head, bytearray data, Py_ssize_t start, Py_ssize_t end)
    cdef _put(self, object item)
    @cython.locals(first=cython.bint, fin=cython.bint)
    cpdef long long receive_payload(self, int head, int opcode, bytes payload) except -1
    cdef _validate(self, bytes payload, bint fin)
    @cython.locals(opcode=cython.int, compressed=cython.bint)
    cpdef check_chunk(self, int head, bytes chunk)
    @cython.locals(limit=cython.longlong, left=cython.longlong)
    cdef long long _size_left(self) except? -1
    @cython.locals(left=cython.longlong)
    cdef bytes _inflate(self, bytes payload, bint fin)
    @cython.locals(left=cython.longlong)
    cdef bytes _decode(self, int head, bytes payload)
    cpdef bint accepts_close(self) except -1
    cpdef receive_ping(self, bytes payload)
    cpdef receive_pong(self, bytes payload)
    cpdef pong_received(self, object waiter, double latency)
    cpdef fail_with(self, object exc, int code, str reason)
    cdef bint _has_messages(self) except -1
    cpdef bint is_timed(self) except -1
    cpdef fail_now(self)

    cpdef bint has_items(self) except -1
    cpdef object take_message(self, object decode)
    @cython.locals(queue=list, first=Py_ssize_t)
    cdef object _take(self)
    cdef object _assemble(self, Fragment fragment, object decode)
    cpdef object take_fragment(self)
    cpdef bint may_resume(self) except -1
    cpdef unhalt(self)

    cpdef settle_pong(self)
    cpdef bytes send_ping(self, object payload, object waiter)
    cpdef send_pong(self, bytes payload)

    cpdef double next_deadline(self) except? -1.0
    cpdef bint advance(self, double now) except -1
    cdef _ping(self, double now)
    cdef _miss_pong(self, double now)
