/* Slots that finish an await without raising StopIteration.
 *
 * Interpreters send to an awaitable through am_send, where the result is just
 * returned; a Python-level "raise StopIteration(value)" would build an exception
 * and a traceback for each message. tp_iternext stays for those who call next().
 */
#ifndef SOCKETEER_AWAITABLE_H
#define SOCKETEER_AWAITABLE_H

#include <Python.h>

/* Goes on with an awaitable; sets *suspended if the result is yielded. */
typedef PyObject *(*socketeer_advance_t)(PyObject *self, int *suspended);

static socketeer_advance_t socketeer_advance;

static PySendResult
socketeer_am_send(PyObject *self, PyObject *value, PyObject **result)
{
    int suspended = 0;

    (void)value;
    *result = socketeer_advance(self, &suspended);
    if (*result == NULL)
        return PYGEN_ERROR;
    return suspended ? PYGEN_NEXT : PYGEN_RETURN;
}

static PyObject *
socketeer_iternext(PyObject *self)
{
    int suspended = 0;
    PyObject *stop, *value = socketeer_advance(self, &suspended);

    if (value == NULL || suspended)
        return value;
    /* The exception is made here: PyErr_SetObject() would unpack a tuple. */
    stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    Py_DECREF(value);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static void
socketeer_install_slots(PyObject *type, socketeer_advance_t advance)
{
    PyTypeObject *t = (PyTypeObject *)type;

    socketeer_advance = advance;
    t->tp_iternext = socketeer_iternext;
    t->tp_as_async->am_send = socketeer_am_send;
    PyType_Modified(t);
}

#endif
