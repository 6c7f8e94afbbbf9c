"""
Byte kernels in C; ``_core/masking.py`` is the portable twin and tells more.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.string cimport memcpy


cdef extern from "masking.h":
    void socketeer_mask(
        uint8_t *target, const uint8_t *source, size_t n, const uint8_t *key
    )
    int socketeer_has_top_bit(const uint8_t *data, size_t n)


cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, unsigned int maxchar)
    void *PyUnicode_DATA(object text)



def apply_mask(data, mask):
    if len(mask) != 4:
        raise ValueError("mask must contain 4 bytes")
    cdef const uint8_t[::1] source = data
    cdef const uint8_t[::1] key = mask
    cdef Py_ssize_t size = source.shape[0]
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
    if size:
        socketeer_mask(<uint8_t *>PyBytes_AS_STRING(result), &source[0], size, &key[0])
    return result


cpdef bytes copy_payload(bytearray data, Py_ssize_t start, Py_ssize_t end, bint masked):
    cdef const uint8_t *source = <const uint8_t *>PyByteArray_AS_STRING(data) + start
    cdef Py_ssize_t size = end - start
    if not masked:
        return PyBytes_FromStringAndSize(<const char *>source, size)
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
    socketeer_mask(<uint8_t *>PyBytes_AS_STRING(payload), source, size, source - 4)
    return payload


cpdef str decode_payload(bytearray data, Py_ssize_t start, Py_ssize_t end, bint masked):
    cdef uint8_t *source = <uint8_t *>PyByteArray_AS_STRING(data) + start
    cdef Py_ssize_t size = end - start
    cdef uint8_t key[4]
    if masked:
        # In place: a frame is decoded once, its bytes are not needed again.
        memcpy(key, source - 4, 4)
        socketeer_mask(source, source, size, key)
    cdef str text
    if size and not socketeer_has_top_bit(source, size):
        text = PyUnicode_New(size, 127)
        memcpy(PyUnicode_DATA(text), source, size)
        return text
    return PyUnicode_DecodeUTF8(<const char *>source, size, NULL)


cpdef bytes mask_chunk(
    bytearray data, Py_ssize_t start, Py_ssize_t end, bytes key, Py_ssize_t offset
):
    cdef const uint8_t *source = <const uint8_t *>PyByteArray_AS_STRING(data) + start
    cdef Py_ssize_t size = end - start
    if key is None:
        return PyBytes_FromStringAndSize(<const char *>source, size)
    cdef uint8_t turned[4]
    cdef const uint8_t *first = <const uint8_t *>PyBytes_AS_STRING(key)
    cdef int i
    for i in range(4):
        turned[i] = first[((offset & 3) + i) & 3]
    cdef bytes chunk = PyBytes_FromStringAndSize(NULL, size)
    socketeer_mask(<uint8_t *>PyBytes_AS_STRING(chunk), source, size, turned)
    return chunk
