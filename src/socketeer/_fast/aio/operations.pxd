cimport cython

from .awaitable cimport Awaitable, share_slots
from .link cimport Link
from .turn cimport Turn
from .waiter cimport Waiter, new_waiter

cdef int _OPEN


cdef class Receive(Awaitable):
    @cython.locals(link=Link)
    cdef object step(self)
    cdef void enter(self, Link link) except *
    @cython.locals(waiter=Waiter)
    cdef object take(self, Link link)
    cdef object next_item(self, Link link)
    cdef object raise_closed(self, Link link)
    @cython.locals(link=Link)
    cdef object abandon(self)


cdef class Anext(Receive):
    cdef object raise_closed(self, Link link)


cdef class ReceiveFragment(Receive):
    cdef void enter(self, Link link) except *
    cdef object next_item(self, Link link)


cdef class Send(Awaitable):
    @cython.locals(link=Link, opcode=cython.int)
    cdef object step(self)
    @cython.locals(turn=Turn, waiter=Waiter)
    cdef object write(self, Link link, int opcode, object message)
    @cython.locals(opcode=cython.int)
    cdef object step_slowly(self, Link link)


cdef class Connected:
    cdef readonly Link _link


@cython.locals(receive=Receive)
cdef object make_receive(Link link, object decode)

@cython.locals(anext_=Anext)
cdef object make_anext(Link link)

@cython.locals(receive=ReceiveFragment)
cpdef object receive_fragment(Link link, bint going_on)

@cython.locals(send=Send)
cdef object make_send(Link link, object message, object text, object compress)
