"""
Somebody else's transport as a wire: what is not done any more once it closes.
"""

from __future__ import annotations

import errno

import pytest

from tests.core.aio.ends import link_with_wire

pytestmark = pytest.mark.anyio


class Transport:
    """
    A transport that notes what it is asked to do.
    """

    def __init__(self, *, closing=False, half_closes=True):
        self.closing = closing
        self.half_closes = half_closes
        self.calls = []

    def __getattr__(self, name):
        return lambda *_: self.calls.append(name)

    def is_closing(self):
        return self.closing

    def can_write_eof(self):
        return self.half_closes

    def get_write_buffer_size(self):
        return 5


def test_a_half_close_after_the_peer_has_gone(core):
    """
    asyncio's transports raise what shutdown() raises; the connection is over.
    """
    transport = Transport()

    def write_eof():
        raise OSError(errno.ENOTCONN, "not connected")

    transport.write_eof = write_eof
    core.aio.foreign.ForeignWire(None, transport, 10, 5).finish()

    assert ["abort"] == transport.calls[-1:]


def use(core, transport):
    """
    Use a wire for everything; return what the transport was asked to do.
    """
    wire = core.aio.foreign.ForeignWire(None, transport, 10, 5)
    outbox = core.outbox.Outbox()
    outbox.add(b"hello")
    wire.write_outbox(outbox)
    wire.write_shared(b"hello")
    wire.pause_reading()
    wire.resume_reading()
    wire.finish()
    wire.close()
    wire.abort()
    assert 0 == wire.drop_shared()
    assert 5 == wire.backlog()
    return transport.calls


def test_an_open_transport(core):
    """
    Is asked for everything.
    """
    expected = [
        "set_write_buffer_limits",
        "write",
        "write",
        "pause_reading",
        "resume_reading",
        "write_eof",
        "close",
        "abort",
    ]
    assert expected == use(core, Transport())


@pytest.mark.parametrize("half_closes", [False, True])
def test_a_closing_transport(core, half_closes):
    """
    Is asked for the end only.
    """
    transport = Transport(closing=True, half_closes=half_closes)

    expected = ["set_write_buffer_limits", "close", "close", "abort"]
    assert expected == use(core, transport)


async def test_the_loop_of_a_link(core):
    """
    Is that of its turn.
    """
    link = link_with_wire(core).link

    assert link.loop() is link.turn.loop
