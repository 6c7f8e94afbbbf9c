from ..outbox cimport Outbox
from .wire cimport Wire


cdef class ForeignWire(Wire):
    cdef readonly object transport
