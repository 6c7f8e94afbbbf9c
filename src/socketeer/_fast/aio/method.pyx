"""
Methods in C; ``_core/aio/method.py`` is the portable twin and tells more.
"""

cdef extern from "vectorcall.h":
    void socketeer_install_vectorcall(object type, Py_ssize_t offset, unsigned long flags)


cdef extern from "Python.h":
    ctypedef struct PyObject
    unsigned long Py_TPFLAGS_METHOD_DESCRIPTOR
    object PyMethod_New(object function, object instance)
    ctypedef object (*vectorcallfunc)(
        object function, PyObject **args, size_t nargsf, PyObject *names
    )
    vectorcallfunc PyVectorcall_Function(object function)


cdef class Method:
    def __get__(self, instance, owner):
        if instance is None:
            return self
        return PyMethod_New(self, instance)

    def __getattr__(self, name):
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name, value):
        setattr(self.__wrapped__, name, value)

    @property
    def __doc__(self):
        return self.__wrapped__.__doc__

    @property
    def __module__(self):
        return self.__wrapped__.__module__

    def __repr__(self):
        return repr(self.__wrapped__)


cdef object call(object method, PyObject **args, size_t nargsf, PyObject *names):
    cdef Method self = <Method>method
    return (<vectorcallfunc>self._target)(self.__wrapped__, args, nargsf, names)


def method(function):
    cdef Method made = Method.__new__(Method)
    made._call = <void *>call
    made._target = <void *>PyVectorcall_Function(function)
    if made._target is NULL:
        raise TypeError(f"{function!r} is no function")
    made.__wrapped__ = function
    return made


cdef Method _example = Method.__new__(Method)
socketeer_install_vectorcall(
    Method,
    <char *>&_example._call - <char *><void *>_example,
    Py_TPFLAGS_METHOD_DESCRIPTOR,
)
