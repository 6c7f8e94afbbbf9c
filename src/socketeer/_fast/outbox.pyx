"""
The outbox in C; ``_core/outbox.py`` is the portable twin and tells more.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy


cdef extern from "masking.h":
    void socketeer_mask(
        uint8_t *target, const uint8_t *source, size_t n, const uint8_t *key
    )


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef Py_ssize_t write_header(
    uint8_t *target, int head, Py_ssize_t size, int mask_bit
) noexcept:
    """
    Write a frame header up to its masking key, return its size.
    """
    cdef int i
    target[0] = <uint8_t>head
    if size <= 125:
        target[1] = <uint8_t>(mask_bit | size)
        return 2
    if size <= 0xFFFF:
        target[1] = <uint8_t>(mask_bit | 126)
        target[2] = <uint8_t>(size >> 8)
        target[3] = <uint8_t>(size & 0xFF)
        return 4
    target[1] = <uint8_t>(mask_bit | 127)
    for i in range(8):
        target[2 + i] = <uint8_t>((<uint64_t>size >> (56 - 8 * i)) & 0xFF)
    return 10


def frame_header(int head, Py_ssize_t size, bint masked):
    cdef uint8_t header[10]
    cdef Py_ssize_t used = write_header(header, head, size, 0x80 if masked else 0)
    return PyBytes_FromStringAndSize(<const char *>header, used)


cdef class Outbox:
    def __dealloc__(self):
        free(self.memory)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity = self.size + more
        cdef char *memory
        if capacity > self.capacity:
            # Room for as much again, so that appending stays linear.
            capacity = max(1024, 2 * capacity)
            memory = <char *>realloc(self.memory, capacity)
            if memory is NULL:
                raise MemoryError()
            self.memory = memory
            self.capacity = capacity
        return 0

    cpdef add(self, bytes data):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if size == 0:
            # There may be no memory yet: nothing can be copied to where none is.
            return
        self.reserve(size)
        memcpy(self.memory + self.size, PyBytes_AS_STRING(data), size)
        self.size += size

    cpdef add_frame(self, int head, object payload, bytes key):
        cdef const char *source
        cdef Py_ssize_t size
        cdef uint8_t *target
        if isinstance(payload, str):
            source = PyUnicode_AsUTF8AndSize(payload, &size)
        else:
            source = PyBytes_AS_STRING(<bytes?>payload)
            size = PyBytes_GET_SIZE(payload)
        # 14 is the longest header with its key.
        self.reserve(size + 14)
        target = <uint8_t *>self.memory + self.size
        if key is None:
            target += write_header(target, head, size, 0)
            memcpy(target, source, size)
        else:
            target += write_header(target, head, size, 0x80)
            memcpy(target, PyBytes_AS_STRING(key), 4)
            target += 4
            socketeer_mask(
                target, <const uint8_t *>source, size,
                <const uint8_t *>PyBytes_AS_STRING(key),
            )
        self.size = <char *>target + size - self.memory

    cpdef bytes tail(self, Py_ssize_t start):
        if self.memory is NULL:
            return b""
        return PyBytes_FromStringAndSize(self.memory + start, self.size - start)

    cpdef clear(self):
        self.size = 0
        # A large buffer is not kept: outboxes are pooled.
        if self.capacity > 65536:
            free(self.memory)
            self.memory = NULL
            self.capacity = 0
