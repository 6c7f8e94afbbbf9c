"""
Servers on threads: how many may come, how much they may send, what is counted, and
how they close.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time

import pytest

from tests.asyncio.raw import reset
from tests.sync.harness import TIMEOUT, RawClient, connecting, eventually, serving
from tests.under_test import lib, submodule

pytestmark = pytest.mark.ours

server_module = submodule("sync.server")

REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)


def dial(server):
    """
    Open a TCP connection.
    """
    return socket.create_connection(server.socket.getsockname(), TIMEOUT)


def read(sock):
    """
    Return what a server answers until it ends.
    """
    return sock.makefile("rb").read().decode()


def ask(server, *lines):
    """
    Ask for a connection; return the status and the answer.
    """
    with dial(server) as sock:
        sock.sendall("\r\n".join([REQUEST + "".join(lines), ""]).encode())
        answer = read(sock)
        return int(answer.split()[1]), answer


def counted(server):
    """
    Return the numbers that are not zero.
    """
    return {name: n for name, n in server.statistics().items() if n}


def emptied(server):
    """
    Wait until nobody is there.
    """
    gauges = "connections", "handshakes", "handlers"
    eventually(lambda: not counted(server).keys() & {*gauges})


# Connections.


def test_more_connections_than_allowed(caplog):
    """
    The next one gets 503 and is told when to try again; then there is room. Hooks
    are asked first: a server that is full is not ill.
    """
    caplog.set_level(logging.INFO)

    def process_request(connection, request):
        return (
            connection.respond(200, "OK\n") if "X-Health" in request.headers else None
        )

    with serving(max_connections=2, process_request=process_request) as server:
        with connecting(server), connecting(server):
            caplog.clear()
            status, answer = ask(server)
            assert 503 == status
            assert "Retry-After: 10\r\n" in answer
            assert answer.endswith("Too many connections.\n")
            assert ["connection rejected (503 Service Unavailable)"] == caplog.messages
            assert 200 == ask(server, "X-Health: ?\r\n")[0]
        emptied(server)
        with connecting(server) as client:
            client.send("there is room")
            assert "there is room" == client.recv(TIMEOUT)
        emptied(server)

        assert {
            "accepted": 5,
            "opened": 3,
            "closed": 3,
            "closed_1000": 3,
            "rejected": 2,
            "rejected_max_connections": 1,
        } == counted(server)


def test_addresses_are_those_of_clients():
    """
    Two clients behind one proxy are two; one of them twice is too many: 429.
    """
    addresses = []

    def handler(connection):
        addresses.append(connection.remote_address)
        connection.wait_closed()

    options = {"max_connections_per_address": 1, "trusted_proxies": ["127.0.0.0/8"]}
    with serving(handler, **options) as server, contextlib.ExitStack() as stack:
        for host in ("192.0.2.1", "2001:db8::1"):
            headers = {"X-Forwarded-For": host}
            stack.enter_context(connecting(server, additional_headers=headers))
        assert 429 == ask(server, "X-Forwarded-For: 192.0.2.1\r\n")[0]
        assert 400 == ask(server, "Forwarded: what?\r\n")[0]
        eventually(lambda: 2 == len(addresses))
        assert 2 == counted(server)["addresses"]

    assert {("192.0.2.1", 0), ("2001:db8::1", 0, 0, 0)} == {*addresses}


def test_origins_of_the_same_host():
    """
    Pages of the server itself, wherever it is.
    """
    with serving(origins="same-host") as server:
        assert 403 == ask(server, "Origin: http://evil.example\r\n")[0]
        host, port = server.socket.getsockname()
        connecting(server, origin=f"http://{host}:{port}").close()


@pytest.mark.parametrize("tls", [False, True])
def test_more_handshakes_than_allowed(tls, server_ssl_context, caplog):
    """
    The next one gets 503 at once, or nothing if it would need TLS first.
    """
    caplog.set_level(logging.INFO)
    options = {"ssl": server_ssl_context} if tls else {}
    with serving(max_handshakes=2, **options) as server:
        silent = [dial(server) for _ in range(2)]
        eventually(lambda: counted(server).get("handshakes") == 2)
        caplog.clear()
        with dial(server) as sock:
            answer = read(sock)
        if tls:
            assert "" == answer
        else:
            assert answer.startswith("HTTP/1.1 503 ")
            assert "Retry-After: 10\r\n" in answer
        assert ["connection rejected (503 Service Unavailable)"] == caplog.messages
        for sock in silent:
            sock.close()
        emptied(server)
        if not tls:
            connecting(server).close()
            emptied(server)

        assert 1 == counted(server)["rejected_max_handshakes"]
        assert 2 == counted(server)["handshakes_broken"]


def test_handshakes_that_fail_leave_their_places():
    """
    Requests that are wrong, hooks that refuse, clients that vanish, also those for
    which a hook still works.
    """
    asked, go_on = threading.Event(), threading.Event()

    def process_request(connection, request):
        if "X-Wait" in request.headers:
            asked.set()
            go_on.wait(TIMEOUT)
        return connection.respond(403, "no\n") if "X-No" in request.headers else None

    options = {"max_connections": 1, "process_request": process_request}
    with serving(max_handshakes=1, **options) as server:
        assert 403 == ask(server, "X-No: 1\r\n")[0]
        emptied(server)
        assert 400 == ask(server, "Sec-WebSocket-Key: again\r\n")[0]
        emptied(server)
        for end in ("", "X-Wait: 1\r\n\r\n"):
            with dial(server) as sock:
                sock.sendall((REQUEST + end).encode())
                if end:
                    assert asked.wait(TIMEOUT)
                else:
                    eventually(lambda: counted(server).get("handshakes"))
                reset(sock)
            if end:
                go_on.set()
            emptied(server)
        connecting(server).close()
        emptied(server)

        numbers = counted(server)
        assert (5, 1, 2) == tuple(
            numbers[name] for name in ("accepted", "opened", "rejected")
        )
        assert 2 == numbers["handshakes_broken"]


@pytest.mark.parametrize("tls", [False, True])
def test_handshakes_that_time_out(tls, server_ssl_context):
    """
    Are counted, whether there is an answer or not.
    """
    options = {"ssl": server_ssl_context} if tls else {}
    with serving(open_timeout=0.01, **options) as server:
        with dial(server) as sock:
            answer = read(sock)
        emptied(server)

        numbers = {"accepted": 1, "handshakes_timed_out": 1}
        if not tls:
            assert answer.startswith("HTTP/1.1 408 ")
            numbers["rejected"] = 1
        assert numbers == counted(server)


def test_hooks_that_take_too_long():
    """
    Are the server's fault: 503.
    """

    def process_request(connection, request):
        time.sleep(0.03)

    with serving(process_request=process_request, open_timeout=0.01) as server:
        assert 503 == ask(server)[0]
        emptied(server)

        numbers = {"accepted": 1, "handshakes_timed_out": 1, "rejected": 1}
        assert numbers == counted(server)


# Rates and silence.


def test_too_many_messages():
    """
    Close code 1008, behind the answers to those which came before.
    """
    with serving(max_message_rate=(0.001, 5), max_byte_rate=1e6) as server:
        with connecting(server) as client:
            for number in range(6):
                client.send(str(number))
            assert [*"012345"] == [client.recv(TIMEOUT) for _ in range(6)]
            assert client.wait_closed(TIMEOUT)
        emptied(server)

        ending = 1008, "too many messages per second"
        assert ending == (client.close_code, client.close_reason)
        assert 1 == counted(server)["closed_1008"]


def test_too_many_bytes():
    """
    A large message is refused while it arrives.
    """
    with serving(max_byte_rate=(1000, 50_000)) as server:
        with connecting(server, compression=None) as client:
            with contextlib.suppress(lib.ConnectionClosed):
                client.send(bytes(200_000))
            assert client.wait_closed(TIMEOUT)

    assert "too many bytes per second" == client.close_reason


@pytest.mark.parametrize("receives", [True, False])
def test_silence(receives):
    """
    Close code 1001, whether the handler receives or waits for something else.
    """
    ended = threading.Event()

    def handler(connection):
        if receives:
            for message in connection:
                connection.send(message)
        else:
            connection.wait_closed()
        ended.set()

    with serving(handler, idle_timeout=0.02) as server:
        with connecting(server) as client:
            assert client.wait_closed(TIMEOUT)
        assert ended.wait(TIMEOUT)
        emptied(server)

        assert (1001, "idle timeout") == (client.close_code, client.close_reason)
        assert 1 == counted(server)["closed_1001"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_connections", 0),
        ("max_message_rate", 0),
        ("idle_timeout", 0),
        ("trusted_proxies", ["nowhere"]),
    ],
)
def test_limits_that_make_no_sense(option, value):
    """
    Are refused before anything listens.
    """
    with pytest.raises(ValueError, match=r"must be|does not appear"):
        server_module.serve(print, "127.0.0.1", 0, **{option: value})


# Statistics.


def test_gauges():
    """
    Tell how many there are now.
    """
    with serving() as server:
        assert {0} == {*server.statistics().values()}
        with dial(server), connecting(server):
            eventually(lambda: counted(server).get("handshakes") == 1)
            assert 1 == counted(server)["connections"]
            eventually(lambda: counted(server).get("handlers") == 1)
        emptied(server)


def test_handlers_that_fail():
    """
    Are counted; those that end with their connection have not failed.
    """

    def handler(connection):
        raise LookupError(connection.recv())

    with serving(handler) as server:
        with connecting(server) as client:
            client.send("this")
            assert client.wait_closed(TIMEOUT)
        with RawClient(server) as client:
            client.sock.shutdown(socket.SHUT_RDWR)
            emptied(server)

        assert 1 == counted(server)["handlers_failed"]
        assert 1 == counted(server)["closed_1006"]


# Draining.


def test_draining(caplog):
    """
    Connections are closed evenly over the time, with 1012; new ones get 503.
    """
    caplog.set_level(logging.INFO)
    with serving() as server:
        clients = [connecting(server) for _ in range(3)]
        eventually(lambda: 3 == len(server.connections))
        start = time.monotonic()
        closing = threading.Thread(target=server.shutdown, kwargs={"drain": 0.3})
        closing.start()
        eventually(server.is_closing)
        assert 503 == ask(server)[0]
        for client in clients:
            assert client.wait_closed(TIMEOUT)
        closing.join(TIMEOUT)

        assert not closing.is_alive()
        assert time.monotonic() - start >= 0.2
        assert [(1012, "")] * 3 == [(c.close_code, c.close_reason) for c in clients]
    assert "server draining 3 connections over 0 s" in caplog.messages


def test_the_end_of_draining():
    """
    `shutdown(drain=0)` closes what is left; `shutdown()` alone does nothing.
    """
    with serving() as server:
        clients = [connecting(server) for _ in range(3)]
        eventually(lambda: 3 == len(server.connections))
        closing = threading.Thread(
            target=server.shutdown, kwargs={"drain": 3600, "code": 4000}
        )
        closing.start()
        eventually(lambda: 2 == len(server.connections))
        server.shutdown()
        assert 2 == len(server.connections)
        server.shutdown(drain=0)
        closing.join(TIMEOUT)

        assert not closing.is_alive()
        assert [4000] * 3 == [client.close_code for client in clients]


def test_draining_in_a_signal_handler():
    """
    A second signal ends it.
    """
    server = server_module.serve(lambda c: c.wait_closed(), "127.0.0.1", 0)
    signals = []

    def stop(*_):
        signals.append(None)
        server.shutdown(drain=3600 if len(signals) == 1 else 0)

    before = signal.signal(signal.SIGUSR1, stop)
    main = threading.get_ident()
    clients = []

    def interrupt():
        clients.extend(connecting(server) for _ in range(2))
        eventually(lambda: 2 == len(server.connections))
        signal.pthread_kill(main, signal.SIGUSR1)
        eventually(lambda: 1 == len(server.connections))
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        server.serve_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join(TIMEOUT)

    assert [1012, 1012] == [client.close_code for client in clients]
    assert -1 == server.fileno()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"drain": -1}, "drain must be positive or zero"),
        ({"drain": float("nan")}, "drain must be positive or zero"),
        ({"drain": 1, "close_connections": False}, "only with close_connections"),
    ],
)
def test_draining_that_makes_no_sense(options, problem):
    """
    Is refused, and the server goes on.
    """
    with serving() as server:
        with pytest.raises(ValueError, match=problem):
            server.shutdown(**options)
        assert not server.is_closing()


def test_nothing_can_be_accepted(caplog, monkeypatch):
    """
    When file descriptors run out, the server goes on afterwards.
    """
    monkeypatch.setattr(submodule("_sockets"), "PAUSE", 0.01)
    server = server_module.serve(print, "127.0.0.1", 0)

    class Exhausted:
        def accept(self):
            raise OSError(24, "Too many open files")

    real, server.socket = server.socket, Exhausted()
    server._accept()
    server._accept()
    server.socket = real
    server.shutdown()

    [message] = caplog.messages
    problem = "cannot accept connections, trying again every 0 s: Too many open files"
    assert problem == message
    assert 2 == server.statistics()["accept_pauses"]


def test_no_more_threads(monkeypatch, caplog):
    """
    Connections are closed, which is said once, and the server goes on afterwards.
    """
    monkeypatch.setattr(submodule("_sockets"), "PAUSE", 0.01)

    def start(thread):
        raise RuntimeError("can't start new thread")

    with serving() as server:
        monkeypatch.setattr(threading.Thread, "start", start)
        for _ in range(2):
            with socket.create_connection(server.socket.getsockname()) as sock:
                sock.settimeout(TIMEOUT)
                assert b"" == sock.recv(1)
        monkeypatch.undo()
        with connecting(server) as client:
            client.send("Hello")
            assert "Hello" == client.recv(TIMEOUT)
        numbers = server.statistics()

    said = "cannot accept connections, trying again every 0 s: can't start new thread"
    assert [said] == caplog.messages
    assert (2, 2) == (numbers["accept_pauses"], numbers["handshakes_broken"])
