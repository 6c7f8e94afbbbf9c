/* Makes the instances of an extension type callable through vectorcall. */
#ifndef SOCKETEER_VECTORCALL_H
#define SOCKETEER_VECTORCALL_H

#include <Python.h>

/* offset: where in an instance its vectorcallfunc stands. flags: more type flags. */
static void
socketeer_install_vectorcall(PyObject *type, Py_ssize_t offset, unsigned long flags)
{
    PyTypeObject *t = (PyTypeObject *)type;

    t->tp_call = PyVectorcall_Call;
    t->tp_vectorcall_offset = offset;
    t->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | flags;
    PyType_Modified(t);
}

#endif
