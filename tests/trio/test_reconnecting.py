"""
Clients on trio that connect again and again, and that are sent elsewhere.
"""

from __future__ import annotations

import gc
import itertools
import weakref

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from socketeer.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    SecurityError,
)
from socketeer.trio.client import connect
from tests.trio.harness import QUIET, MemoryListener, serving


class Network:
    """
    Stands for ``trio.open_tcp_stream()``: where clients get when they connect.

    Attributes:
        listener: Who accepts; :obj:`None` for nobody.
        attempts: When, to which host and port clients have connected.
    """

    def __init__(self, listener: MemoryListener) -> None:
        self.listener: MemoryListener | None = listener
        self.attempts: list[tuple[float, str, int]] = []

    async def open_tcp_stream(self, host, port, **options):
        await trio.lowlevel.checkpoint()
        self.attempts.append((trio.current_time(), host, port))
        if self.listener is None:
            raise ConnectionRefusedError
        return self.listener.connect()


@pytest.fixture
def network(monkeypatch):
    """
    Connect to servers in memory, whatever the URI.
    """

    def use(running):
        network = Network(running.listener)
        monkeypatch.setattr(trio, "open_tcp_stream", network.open_tcp_stream)
        return network

    return use


def connecting(uri="ws://test/", **options):
    return connect(uri, proxy=None, **{**QUIET, **options})


def seconds(*delays):
    return lambda: iter(delays)


# Again and again.


async def test_a_stable_minute_begins_delays_anew(network):
    """
    A connection that lasts shows that the server is well again.
    """
    async with serving() as running:
        network = network(running)
        pauses = [10, 70, 10]

        def delays():
            return itertools.count(1)

        async for connection in connecting(reconnect_delays=delays):
            theirs = await running.accepted.receive()
            if not pauses:
                break
            await trio.sleep(pauses.pop(0))
            await theirs.aclose(1001)
            with pytest.raises(ConnectionClosed):
                await connection.recv()

        assert [0, 11, 82, 94] == [time for time, _, _ in network.attempts]


async def test_waits_as_told(network):
    """
    A refused connection is an OSError, which may pass.
    """
    async with serving() as running:
        network = network(running)
        listener, network.listener = network.listener, None

        async def start_later():
            await trio.sleep(5)
            network.listener = listener

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_later)
            async for _ in connecting(reconnect_delays=seconds(1, 2, 4)):
                break

        assert [0, 1, 3, 7] == [time for time, _, _ in network.attempts]


async def test_a_lost_connection_is_replaced(network):
    """
    Whoever gets to the end of the loop's body gets another connection: at once if
    the program has ended the one before, after a delay if the server has.
    """
    async with serving() as running:
        network = network(running)
        count = 0
        async for connection in connecting(reconnect_delays=seconds(5)):
            theirs = await running.accepted.receive()
            count += 1
            if count == 1:
                # Left open: it is closed with 1000.
                first = theirs
            elif count == 2:
                await first.wait_closed()
                assert 1000 == first.close_code
                await theirs.aclose(1012)
                with pytest.raises(ConnectionClosed):
                    await connection.recv()
            else:
                break

        assert [0, 0, 5] == [time for time, _, _ in network.attempts]


async def test_delays_that_run_out_end_the_loop(network):
    """
    With what happened last.
    """
    async with serving() as running:
        network = network(running)
        network.listener = None
        with pytest.raises(ConnectionRefusedError):
            async for _ in connecting(reconnect_delays=seconds(1)):
                pytest.fail("connected")

        assert [0, 1] == [time for time, _, _ in network.attempts]


async def test_fatal_errors_end_the_loop(network):
    """
    A server that refuses will do so again; ``process_exception`` may know better.
    """

    def process_request(connection, request):
        return connection.respond(403, "no\n")

    def give_up(exc):
        return KeyError("mine")

    async with serving(process_request=process_request) as running:
        network(running)
        with pytest.raises(InvalidStatus):
            async for _ in connecting():
                pytest.fail("connected")
        with pytest.raises(KeyError, match="mine"):
            async for _ in connecting(process_exception=give_up):
                pytest.fail("connected")


async def test_break_closes_the_connection(network):
    """
    In the background, politely, with 1011 as an exception would.
    """
    async with serving() as running:
        network(running)
        async for connection in connecting():  # noqa: B007 - used after the loop
            theirs = await running.accepted.receive()
            break
        await theirs.wait_closed()
        await connection.wait_closed()

        assert 1011 == theirs.close_code
        assert 1011 == connection.close_code


async def test_an_exception_closes_the_connection(network):
    """
    It leaves the loop, and is the program's business.
    """
    async with serving() as running:
        network(running)
        with pytest.raises(ZeroDivisionError):
            async for _ in connecting():
                theirs = await running.accepted.receive()
                raise ZeroDivisionError
        await theirs.wait_closed()

        assert 1011 == theirs.close_code


async def test_canceling_the_loop_leaves_nothing(network):
    """
    Amid a delay, amid connecting, amid a connection.
    """
    async with serving() as running:
        network = network(running)
        with trio.move_on_after(3):
            async for _ in connecting():
                theirs = await running.accepted.receive()
                await trio.sleep_forever()
        await theirs.wait_closed()
        network.listener = None
        with trio.move_on_after(3) as scope:
            async for _ in connecting(reconnect_delays=seconds(100)):
                pytest.fail("connected")

        assert scope.cancelled_caught


async def test_a_broken_tls_handshake_is_tried_again(network, client_ssl_context):
    """
    When the network is to blame.
    """
    async with serving() as running:
        network = network(running)
        process = []

        def process_exception(exc):
            process.append(exc)
            return exc

        with pytest.raises(OSError):  # noqa: PT011 - any of TLS or of the network
            async for _ in connecting(
                "wss://test/",
                ssl=client_ssl_context,
                process_exception=process_exception,
            ):
                pytest.fail("connected")

        assert isinstance(process[0], OSError)


async def test_a_loop_that_outlives_the_program_is_harmless(network):
    """
    What is collected after the end has nothing left to close.
    """
    iterator = aiter(connecting())
    assert iterator is aiter(iterator)
    reference = weakref.ref(iterator)
    del iterator
    gc.collect()

    assert reference() is None


# Elsewhere.


def redirecting(location, status=302):
    """
    Return a hook that redirects from ``/``.
    """

    def process_request(connection, request):
        if request.path != "/":
            return None
        response = connection.respond(status, "elsewhere\n")
        response.headers["Location"] = location
        return response

    return process_request


async def test_follows_redirects(network):
    """
    To another path, and to another host, which does not get credentials.
    """
    for location, host, kept in [
        ("/new", "test", True),
        ("ws://other:81/new", "other", False),
    ]:
        async with serving(process_request=redirecting(location)) as running:
            visits = network(running)
            connector = connecting(additional_headers={"Authorization": "x"})
            async with connector as connection:
                assert "/new" == connection.request.path
                assert kept == ("Authorization" in connection.request.headers)
            assert ["test", host] == [host for _, host, _ in visits.attempts]


@pytest.mark.parametrize(
    ("uri", "options", "location", "error"),
    [
        ("ws://test/", {}, "/", SecurityError),
        ("ws://test/", {}, "ftp://test/", InvalidURI),
        ("ws://test/", {"host": "x"}, "ws://other/new", ValueError),
    ],
)
async def test_refuses_redirects(network, uri, options, location, error):
    """
    Those that do not end, that lead nowhere, or that contradict the arguments.
    """
    async with serving(process_request=redirecting(location)) as running:
        network(running)
        with pytest.raises(error):
            async with connecting(uri, **options):
                pytest.fail("connected")


async def test_a_stream_cannot_be_redirected():
    """
    It leads where it leads.
    """
    async with serving(process_request=redirecting("/new")) as running:
        with pytest.raises(ValueError, match="with a preexisting stream"):
            async with connecting(stream=running.listener.connect()):
                pytest.fail("connected")
        await wait_all_tasks_blocked()
