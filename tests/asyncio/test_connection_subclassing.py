"""
Classes of the user's, given as create_connection=, may override methods.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


def base(side):
    """
    Return the class to derive from.
    """
    return lib.ServerConnection if side == "server" else lib.ClientConnection


async def test_an_overridden_recv_is_what_iteration_calls(side):
    """
    `async for` goes through `recv()`, so that it can be changed in one place.
    """

    class Shouting(base(side)):
        async def recv(self, decode=None):
            return (await super().recv(decode)).upper()

    async with linked(side, create_connection=Shouting) as (connection, other):
        await other.send("one")
        await other.send("two")

        assert "ONE" == await connection.recv()
        await other.close()
        assert ["TWO"] == [message async for message in connection]


async def test_an_overridden_send_is_called(side):
    """
    `super().send()` does the sending.
    """

    class Signing(base(side)):
        async def send(self, message, *, text=None):
            await super().send(f"{message}!", text=text)

    async with facing_raw_peer(side, create_connection=Signing) as (connection, peer):
        await connection.send("signed")

        assert RawFrame(0x81, b"signed!") == await peer.read_frame()


async def test_an_overridden_close_is_called_at_exit(side):
    """
    Leaving `async with connection` goes through `close()`.
    """

    class Polite(base(side)):
        async def close(self, code=1000, reason=""):
            await super().close(code, reason or "goodbye")

    async with linked(side, create_connection=Polite) as (connection, other):
        async with connection:
            pass
        await other.wait_closed()

        assert (1000, "goodbye") == (other.close_code, other.close_reason)


@pytest.mark.parametrize("method", ["ping", "pong"])
async def test_overridden_control_methods_are_called(side, method):
    """
    `ping()` and `pong()` can be counted.
    """
    calls = []

    async def counted(self, *args):
        calls.append(args)
        return await getattr(base(side), method)(self, *args)

    counting = type("Counting", (base(side),), {method: counted})
    async with facing_raw_peer(side, create_connection=counting) as (connection, peer):
        await getattr(connection, method)(b"data")

        assert b"data" == (await peer.read_frame()).payload
        assert [(b"data",)] == calls


async def test_an_overridden_recv_streaming_is_called(side):
    """
    `super().recv_streaming()` gives the fragments.
    """

    class Counting(base(side)):
        async def recv_streaming(self, decode=None):
            number = 0
            async for fragment in super().recv_streaming(decode):
                number += 1
                yield number, fragment

    async with facing_raw_peer(side, create_connection=Counting) as (connection, peer):
        await peer.send_frame("01", b"a")
        await peer.send_frame("80", b"b")

        assert [(1, "a"), (2, "b")] == [
            item async for item in connection.recv_streaming()
        ]


async def test_a_subclass_may_have_its_own_init_and_attributes(side):
    """
    `__init__` takes whatever it is given and passes it on.
    """

    class Named(base(side)):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.name = "nobody"

        @property
        def greeting(self):
            return f"hello {self.name}"

    async with linked(side, create_connection=Named) as (connection, _):
        before = connection.greeting
        connection.name = "ada"

        assert Named is type(connection)
        assert ["hello nobody", "hello ada"] == [before, connection.greeting]


async def test_a_subclass_that_overrides_nothing(side):
    """
    Such a class behaves like its base.
    """
    plain = type("Plain", (base(side),), {})
    async with linked(side, create_connection=plain) as (connection, other):
        await other.send("there")
        await connection.send("back")

        assert ["there", "back"] == [await connection.recv(), await other.recv()]


async def test_a_mixin_before_the_class(side):
    """
    Overriding works through multiple inheritance.
    """

    class Logged:
        async def recv(self, *args, **kwargs):
            message = await super().recv(*args, **kwargs)
            self.seen = [*getattr(self, "seen", []), message]
            return message

    mixed = type("Mixed", (Logged, base(side)), {})
    async with linked(side, create_connection=mixed) as (connection, other):
        await other.send("one")
        await other.send("two")
        await connection.recv()
        async for _ in connection:
            break

        assert ["one", "two"] == connection.seen


async def test_a_function_may_make_the_connection(side):
    """
    `create_connection=` takes any callable that returns a connection.
    """
    made = []

    def create(*args, **kwargs):
        made.append(base(side)(*args, **kwargs))
        return made[-1]

    async with linked(side, create_connection=create) as (connection, _):
        assert [connection] == made


async def test_a_method_replaced_on_the_instance(side):
    """
    Users patch single connections, as in tests.
    """
    async with linked(side) as (connection, other):

        async def send(message):
            await type(connection).send(connection, f"patched {message}")

        connection.send = send
        await connection.send("text")

        assert "patched text" == await other.recv()


async def test_an_overridden_recv_can_be_cancelled(side):
    """
    A subclass that delegates loses nothing when its caller gives up.
    """

    class Delegating(base(side)):
        async def recv(self, decode=None):
            return await super().recv(decode)

    async with linked(side, create_connection=Delegating) as (connection, other):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.005)
        await other.send("late")

        assert "late" == await connection.recv()
