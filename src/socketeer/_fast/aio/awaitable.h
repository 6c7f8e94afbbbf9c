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

/* Takes note of an awaitable that was never awaited. */
typedef void (*socketeer_look_back_t)(PyObject *self);

static socketeer_look_back_t socketeer_look_back;
/* Where in an awaitable its stage stands, an int: 0 if it was never awaited. */
static Py_ssize_t socketeer_stage;
static destructor socketeer_release;

/* A __dealloc__ of Cython would save and restore the exception that is being
 * raised for each message. */
static void
socketeer_dealloc(PyObject *self)
{
    if (*(int *)((char *)self + socketeer_stage) == 0) {
        /* Alive for as long as it is looked at. */
        Py_SET_REFCNT(self, 1);
        socketeer_look_back(self);
        Py_SET_REFCNT(self, 0);
    }
    socketeer_release(self);
}

static void
socketeer_install_slots(PyObject *type, socketeer_advance_t advance,
                        socketeer_look_back_t look_back, Py_ssize_t stage)
{
    PyTypeObject *t = (PyTypeObject *)type;

    socketeer_advance = advance;
    socketeer_look_back = look_back;
    socketeer_stage = stage;
    socketeer_release = t->tp_dealloc;
    t->tp_iternext = socketeer_iternext;
    t->tp_as_async->am_send = socketeer_am_send;
    t->tp_dealloc = socketeer_dealloc;
    PyType_Modified(t);
}

/* Cython's own deallocator of a subclass takes the object out of the garbage
 * collector's list, puts it back and takes it out again. */
static void
socketeer_share_slots(PyObject *type)
{
    ((PyTypeObject *)type)->tp_dealloc = socketeer_dealloc;
}

#endif
