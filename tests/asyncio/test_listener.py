"""
Listening sockets: binding, accepting, and doing without when nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.asyncio.harness import settle, wait_until
from tests.asyncio.program import output_of
from tests.under_test import OURS, lib, submodule

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

if OURS:
    listening = submodule("asyncio.listener")
    bind_unix = submodule("_sockets").bind_unix

LOGGER = logging.getLogger("listener")


@contextlib.asynccontextmanager
async def listener(accepted, sockets=None, count_pause=bool):
    """
    Run a listener on a port of its own.
    """
    if sockets is None:
        sockets = await listening.bind_tcp("127.0.0.1", 0)
    listener = listening.Listener(sockets, 100, accepted, LOGGER, count_pause)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()
        await listener.wait_closed()


def connect(listener, count):
    """
    Open connections, all of which wait to be accepted.
    """
    address = listener.sockets[0].getsockname()
    return [socket.create_connection(address) for _ in range(count)]


def close(sockets):
    for sock in sockets:
        sock.close()


async def test_accepting_in_batches():
    """
    Many connections are accepted, a batch in each turn of the loop.
    """
    accepted = []
    async with listener(lambda sock, _: accepted.append(sock)) as it:
        assert it.is_serving()
        assert it.get_loop() is asyncio.get_running_loop()
        clients = connect(it, 90)
        await wait_until(lambda: len(accepted) == 90)
        assert not accepted[0].getblocking()

    assert not it.is_serving()
    assert () == it.sockets
    close([*clients, *accepted])


async def test_closing_while_connections_are_accepted():
    """
    The rest of the batch is left alone.
    """
    accepted = []

    def accept(sock, address):
        accepted.append(sock)
        it.close()

    async with listener(accept) as it:
        clients = connect(it, 5)
        await wait_until(lambda: bool(accepted))
        await settle()

    assert 1 == len(accepted)
    close([*clients, *accepted])


async def test_a_failure_to_make_a_connection(caplog):
    """
    Is logged, and closes that connection; the next one is accepted.
    """
    accepted = []

    def accept(sock, address):
        accepted.append(sock)
        if len(accepted) == 1:
            raise ValueError("no")

    async with listener(accept) as it:
        clients = connect(it, 2)
        await wait_until(lambda: len(accepted) == 2)

    assert ["accepting a connection failed"] == caplog.messages
    assert [True, False] == [sock.fileno() < 0 for sock in accepted]
    close([*clients, *accepted])


class Failing:
    """
    A listening socket whose accept() fails some times.
    """

    def __init__(self, sock, *errors):
        self.sock = sock
        self.errors = list(errors)

    def accept(self):
        if self.errors:
            raise self.errors.pop()
        return self.sock.accept()

    def __getattr__(self, name):
        return getattr(self.sock, name)


EXHAUSTED = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


@pytest.mark.parametrize("code", EXHAUSTED, ids=errno.errorcode.get)
async def test_a_pause_when_something_is_exhausted(code, monkeypatch, caplog):
    """
    Nothing is accepted for a while, then everything is.
    """
    monkeypatch.setattr(submodule("_sockets"), "PAUSE", 0.01)
    accepted = []
    [sock] = await listening.bind_tcp("127.0.0.1", 0)
    failing = Failing(sock, OSError(code, "exhausted"))
    async with listener(lambda sock, _: accepted.append(sock), [failing]) as it:
        clients = connect(it, 1)
        await wait_until(lambda: bool(accepted))

    message = "cannot accept connections, trying again every 0 s: exhausted"
    assert [message] == caplog.messages
    close([*clients, *accepted])


async def test_a_long_exhaustion_is_said_once(monkeypatch, caplog):
    """
    And counted each time; after a success, the next one is said again.
    """
    monkeypatch.setattr(submodule("_sockets"), "PAUSE", 0.001)
    accepted, pauses = [], []
    [sock] = await listening.bind_tcp("127.0.0.1", 0)
    failing = Failing(sock, *[OSError(errno.EMFILE, "exhausted")] * 5)
    async with listener(
        lambda sock, _: accepted.append(sock), [failing], lambda: pauses.append(1)
    ) as it:
        clients = connect(it, 1)
        await wait_until(lambda: bool(accepted))
        assert (1, 5) == (len(caplog.messages), len(pauses))
        failing.errors.append(OSError(errno.EMFILE, "exhausted"))
        clients += connect(it, 1)
        await wait_until(lambda: len(accepted) == 2)

    assert (2, 6) == (len(caplog.messages), len(pauses))
    close([*clients, *accepted])


async def test_closing_during_a_pause(caplog):
    """
    Ends it.
    """
    [sock] = await listening.bind_tcp("127.0.0.1", 0)
    failing = Failing(sock, OSError(errno.EMFILE, "exhausted"))
    async with nothing_left_over():
        async with listener(None, [failing]) as it:
            clients = connect(it, 1)
            await wait_until(lambda: bool(caplog.messages))
            pauses = list(it._pauses)

    assert [True] == [pause.cancelled() for pause in pauses]
    close(clients)


async def test_a_connection_that_was_aborted_before_it_was_accepted():
    """
    The next one is accepted.
    """
    accepted = []
    [sock] = await listening.bind_tcp("127.0.0.1", 0)
    failing = Failing(sock, ConnectionAbortedError(), InterruptedError())
    async with listener(lambda sock, _: accepted.append(sock), [failing]) as it:
        clients = connect(it, 2)
        await wait_until(lambda: len(accepted) == 2)

    assert [] == failing.errors
    assert [c.getsockname() for c in clients] == [a.getpeername() for a in accepted]
    close([*clients, *accepted])


async def test_another_failure_of_the_listening_socket():
    """
    Is told to the loop's exception handler.
    """
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    accepted = []
    [sock] = await listening.bind_tcp("127.0.0.1", 0)
    failing = Failing(sock, OSError(errno.EPERM, "no"))
    async with listener(lambda sock, _: accepted.append(sock), [failing]) as it:
        clients = connect(it, 1)
        await wait_until(lambda: bool(accepted))
    loop.set_exception_handler(None)

    assert [errno.EPERM] == [each["exception"].errno for each in complaints]
    close([*clients, *accepted])


async def test_starting_twice():
    """
    Does nothing; neither does closing twice, nor starting what is closed.
    """
    async with listener(None) as it:
        await it.start_serving()
        assert it.is_serving()
    it.close()
    it.start()

    assert not it.is_serving()


PROGRAM = """
import asyncio, logging, resource, sys
from socketeer import _sockets

_sockets.PAUSE = 0.05
records = []

class Handler(logging.Handler):
    def emit(self, record):
        records.append(record.getMessage())

logging.getLogger("socketeer.server").addHandler(Handler())

async def echo(connection):
    async for message in connection:
        await connection.send(message)

async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        uri = f"ws://127.0.0.1:{port}"
        before = await websockets.connect(uri, proxy=None)
        used = before.transport.get_extra_info("socket").fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, 4096))
        connecting = []
        for _ in range(12):
            connecting.append(asyncio.create_task(one(uri)))
        await asyncio.sleep(0.03)
        await before.send("still served")
        print(await before.recv())
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        results = await asyncio.gather(*connecting, return_exceptions=True)
        print(any(message.startswith("cannot accept") for message in records))
        print("hello" in results)
        print(await one(uri))
        await before.close()

async def one(uri):
    async with websockets.connect(uri, proxy=None) as connection:
        await connection.send("hello")
        return await connection.recv()

asyncio.run(main())
"""


async def test_a_process_without_file_descriptors():
    """
    A server that runs out of them serves who is there, and accepts later.
    """
    assert ["still served", "True", "True", "hello"] == await output_of(PROGRAM)


# Binding.


async def test_every_address_is_bound_once():
    """
    However often it is named.
    """
    sockets = await listening.bind_tcp(["127.0.0.1", "127.0.0.1"], 0)

    assert 1 == len(sockets)
    close(sockets)


@pytest.mark.parametrize("host", [None, ""])
async def test_all_interfaces(host):
    """
    Of the family that was asked for.
    """
    [sock] = await listening.bind_tcp(host, 0, family=socket.AF_INET)

    assert "0.0.0.0" == sock.getsockname()[0]
    sock.close()


@pytest.mark.parametrize("reuse", [True, False])
async def test_reusing_addresses_and_ports(reuse):
    """
    As asked for.
    """
    [sock] = await listening.bind_tcp(
        "127.0.0.1", 0, reuse_address=reuse, reuse_port=reuse
    )

    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        assert reuse == bool(sock.getsockopt(socket.SOL_SOCKET, option))
    sock.close()


async def test_a_system_without_reuse_port(monkeypatch):
    """
    Says so.
    """
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ValueError, match="reuse_port not supported"):
        await listening.bind_tcp("127.0.0.1", 0, reuse_port=True)


async def test_a_system_that_only_pretends_to_reuse_ports(monkeypatch):
    """
    Says so.
    """
    monkeypatch.setattr(socket, "SO_REUSEPORT", 9999)
    with pytest.raises(ValueError, match="defined but not implemented"):
        await listening.bind_tcp("127.0.0.1", 0, reuse_port=True)


async def test_a_system_without_ipv6(monkeypatch):
    """
    Addresses of families that it does not know are left out.
    """
    make = socket.socket

    def make_some(family=-1, *args, **kwargs):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return make(family, *args, **kwargs)

    hosts = ["127.0.0.1", "::1"]
    monkeypatch.setattr(listening.socket, "socket", make_some)
    [sock] = await listening.bind_tcp(hosts, 0)
    with pytest.raises(OSError, match="could not bind on any address"):
        await listening.bind_tcp("::1", 0)
    monkeypatch.undo()

    assert "127.0.0.1" == sock.getsockname()[0]
    sock.close()


async def test_an_address_that_the_system_has_switched_off():
    """
    Is left out behind one that was bound, and an error when it is the first.
    """
    [sock] = await listening.bind_tcp(["127.0.0.1", "192.0.2.1"], 0)
    assert "127.0.0.1" == sock.getsockname()[0]
    sock.close()
    with pytest.raises(OSError, match="error while attempting to bind") as raised:
        await listening.bind_tcp(["192.0.2.1", "127.0.0.1"], 0)
    assert errno.EADDRNOTAVAIL == raised.value.errno


async def test_advice_about_ipv6():
    """
    Names the option that leaves it out.
    """
    [sock] = await listening.bind_tcp("::1", 0)
    sock.listen()
    with pytest.raises(OSError, match=r"pass family=socket\.AF_INET"):
        await listening.bind_tcp("::1", sock.getsockname()[1], reuse_address=False)
    sock.close()


async def test_no_socket_is_left_when_one_cannot_be_bound():
    """
    The others are closed: their addresses are free.
    """
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            await listening.bind_tcp(["127.0.0.1", "127.0.0.2"], port)
        close(await listening.bind_tcp("127.0.0.1", port))


def test_unix_sockets(tmp_path):
    """
    One that is left over is replaced; something else is not.
    """
    path = tmp_path / "socket"
    for _ in range(2):
        sock = bind_unix(path)
        assert str(path) == sock.getsockname()
        sock.close()
    path.unlink()
    path.touch()
    with pytest.raises(OSError, match="is already in use") as raised:
        bind_unix(path)
    assert errno.EADDRINUSE == raised.value.errno
    with pytest.raises(FileNotFoundError):
        bind_unix(tmp_path / "nowhere" / "socket")
    with pytest.raises(TypeError):
        bind_unix(1)


def test_abstract_unix_sockets():
    """
    Have no file.
    """
    bind_unix("\0socketeer-test").close()
    with pytest.raises(OSError, match="too long"):
        bind_unix("\0" + "x" * 200)


# Arguments of serve().


ARGUMENTS = [
    ({"ssl": True}, TypeError, "ssl argument must be an SSLContext"),
    ({"ssl_handshake_timeout": 1}, ValueError, "only meaningful with ssl"),
    ({"ssl_shutdown_timeout": 1}, ValueError, "only meaningful with ssl"),
]


@pytest.mark.parametrize(("options", "kind", "text"), ARGUMENTS)
async def test_arguments_that_make_no_sense(options, kind, text):
    """
    Are refused.
    """
    with pytest.raises(kind, match=text):
        async with serving(**options):
            pass


async def test_places_to_listen_that_make_no_sense(tmp_path):
    """
    None, two, and of the wrong type.
    """
    path = str(tmp_path / "socket")
    with pytest.raises(ValueError, match="Neither host/port nor sock"):
        await lib.serve(echo)
    with pytest.raises(ValueError, match="path was not specified"):
        await lib.unix_serve(echo)
    with socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(ValueError, match="path and sock can not be"):
            await lib.unix_serve(echo, path, sock=sock)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="A Stream Socket was expected"):
            await lib.serve(echo, sock=sock)


async def test_keep_alive():
    """
    Of TCP, for accepted connections.
    """
    async with serving(keep_alive=True) as server:
        [sock] = server.server.sockets
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        async with connecting(server.uri) as connection:
            await connection.send("hello")
            assert "hello" == await connection.recv()


async def test_hundreds_of_clients_come_and_go():
    """
    In every way; descriptors are used again, and none is mistaken for another.
    """
    async with nothing_left_over(), serving() as server:
        for round_ in range(5):
            connections = await asyncio.gather(
                *[connecting(server.uri) for _ in range(40)]
            )
            for number, connection in enumerate(connections):
                if number % 4 == 0:
                    connection.transport.abort()
                elif number % 4 == 1:
                    connection.transport.close()
            rest = [each for n, each in enumerate(connections) if n % 4 > 1]
            for number, connection in enumerate(rest):
                await connection.send(f"{round_} {number}")
            for number, connection in enumerate(rest):
                assert f"{round_} {number}" == await connection.recv()
            await asyncio.gather(*[each.close() for each in rest])
