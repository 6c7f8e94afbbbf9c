cpdef bytes copy_payload(bytearray data, Py_ssize_t start, Py_ssize_t end, bint masked)
cpdef str decode_payload(bytearray data, Py_ssize_t start, Py_ssize_t end, bint masked)
cpdef bytes mask_chunk(bytearray data, Py_ssize_t start, Py_ssize_t end, bytes key, Py_ssize_t offset)
