"""
Servers on threads: handshakes, hooks, shutting down.
"""

from __future__ import annotations

import http
import logging
import signal
import socket
import threading
import time

import pytest

from tests.sync.harness import (
    TIMEOUT,
    connecting,
    eventually,
    pair,
    serving,
    url,
)
from tests.under_test import lib, submodule

server_module = submodule("sync.server")
client_module = submodule("sync.client")

REQUEST = (
    b"GET /path HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def ask(server, request):
    """
    Send bytes to a server and return what it answers until it ends.
    """
    with socket.create_connection(server.socket.getsockname()) as sock:
        sock.settimeout(TIMEOUT)
        sock.sendall(request)
        return read(sock)


def read(sock):
    """
    Read until the end.
    """
    answer = b""
    while data := sock.recv(4096):
        answer += data
    return answer


def refused(server, status, **kwargs):
    """
    Connect, expect a status, and return the response.
    """
    with pytest.raises(lib.InvalidStatus) as raised:
        connecting(server, **kwargs)
    assert status == raised.value.response.status_code
    return raised.value.response


# Answers of the opening handshake.


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"426 Upgrade Required"),
        (REQUEST.replace(b"GET", b"POST"), b"405 Method Not Allowed"),
        (b"rubbish\r\n\r\n", b"400 Bad Request"),
    ],
)
def test_what_is_no_handshake(request_, status):
    """
    It is answered, and the handler not called.
    """
    with serving(pytest.fail) as server:
        assert ask(server, request_).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_is_too_slow():
    """
    It is told with 408.
    """
    with serving(open_timeout=0.05) as server:
        assert ask(server, b"GET /").startswith(b"HTTP/1.1 408 ")


def test_a_client_that_leaves():
    """
    It is no trouble.
    """
    with serving() as server:
        socket.create_connection(server.socket.getsockname()).close()
        with connecting(server) as client:
            client.send("fine")
            assert "fine" == client.recv(TIMEOUT)


@pytest.mark.parametrize("origin", ["https://a.example", None])
def test_origins(origin):
    """
    Only those that are acceptable.
    """
    with serving(origins=["https://a.example", None]) as server:
        connecting(server, origin=origin).close()
        refused(server, 403, origin="https://b.example")


def test_subprotocols():
    """
    The first of the server's that the client offers.
    """
    with serving(subprotocols=["a", "b"]) as server:
        with connecting(server, subprotocols=["b", "a"]) as client:
            assert "a" == client.subprotocol
        refused(server, 400, subprotocols=["c"])


def test_selecting_a_subprotocol():
    """
    The hook gets the connection.
    """

    def select(connection, subprotocols):
        assert isinstance(connection, server_module.ServerConnection)
        return subprotocols[-1]

    with (
        serving(select_subprotocol=select) as server,
        connecting(server, subprotocols=["a", "b"]) as client,
    ):
        assert "b" == client.subprotocol


def test_compression():
    """
    Used unless one side does not want it.
    """
    for server_has, client_has in [("deflate", "deflate"), (None, "deflate")]:
        with (
            serving(compression=server_has) as server,
            connecting(server, compression=client_has) as client,
        ):
            assert bool(server_has) == bool(client.protocol.extensions)
    for make in (server_module.serve, client_module.connect):
        with pytest.raises(ValueError, match="unsupported compression: zip"):
            make("ws://localhost", compression="zip")


# Hooks.


def test_process_request_answers():
    """
    A response takes the place of the handshake.
    """

    def health(connection, request):
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        return None

    with serving(process_request=health) as server:
        response = refused(server, 200, path="/healthz")
        assert b"OK\n" == response.body
        connecting(server).close()


def test_process_response_changes_the_response():
    """
    In place or by another one.
    """

    def change(connection, request, response):
        response.headers["X-Added"] = "yes"

    with (
        serving(process_response=change, server_header="Tests") as server,
        connecting(server) as client,
    ):
        assert "yes" == client.response.headers["X-Added"]
        assert "Tests" == client.response.headers["Server"]


@pytest.mark.parametrize("hook", ["process_request", "process_response"])
def test_a_hook_that_raises(hook, caplog):
    """
    500, and an ERROR in the log; nothing is told to the client.
    """

    def fail(*args):
        raise RuntimeError("secret")

    with serving(**{hook: fail}) as server:
        response = refused(server, 500)

    assert b"secret" not in response.body
    assert f"{hook} failed" in caplog.text


def test_a_hook_that_is_no_function(caplog):
    """
    A coroutine function has no place on threads.
    """

    async def hook(connection, request):
        return None

    with serving(process_request=hook) as server:
        refused(server, 500)

    assert "must return a Response or None" in caplog.text


def test_a_hook_that_takes_too_long():
    """
    The client is told with 503.
    """
    with serving(
        process_request=lambda *args: time.sleep(0.1), open_timeout=0.05
    ) as server:
        refused(server, 503)


def test_older_forms():
    """
    Handlers of two arguments, hooks that get path and headers, extra headers.
    """

    def process_request(path, headers):
        return None if path == "/ws" else (http.HTTPStatus.OK, [], b"page\n")

    with serving(
        lambda connection, path: connection.send(path),
        process_request=process_request,
        extra_headers={"X-Extra": "yes"},
        timeout=3,
    ) as server:
        assert b"page\n" == refused(server, 200).body
        with connecting(server, "/ws", extra_headers=[("X-More", "1")]) as client:
            assert "/ws" == client.recv(TIMEOUT)
            assert "yes" == client.response_headers["X-Extra"]
            assert 3 == client.close_timeout - 7


@pytest.mark.parametrize(
    "kwargs",
    [
        {"credentials": ("ada", "secret")},
        {"credentials": [("bob", "x"), ("ada", "secret")]},
        {"check_credentials": lambda name, password: password == "secret"},
    ],
)
def test_basic_auth(kwargs):
    """
    With credentials or with a function.
    """
    names = []

    def handler(connection):
        names.append(connection.username)

    with serving(
        handler, process_request=server_module.basic_auth("here", **kwargs)
    ) as server:
        client_module.connect(
            url(server).replace("//", "//ada:secret@"), proxy=None
        ).close()
        response = refused(server, 401)
        assert 'Basic realm="here"' in response.headers["WWW-Authenticate"]
        refused(server, 401, additional_headers={"Authorization": "Basic YTpi"})
        refused(server, 401, additional_headers={"Authorization": "Bearer x"})
        eventually(lambda: names == ["ada"])


# Where it listens.


def test_tls(server_ssl_context, client_ssl_context):
    """
    Messages, pings, large ones, and the end, in both directions.
    """
    with serving(ssl=server_ssl_context) as server:
        address = url(server, scheme="wss", host="localhost")
        with client_module.connect(
            address, ssl=client_ssl_context, proxy=None
        ) as client:
            for message in ("Hello", b"x" * 1_000_000):
                client.send(message)
                assert message == client.recv(TIMEOUT)
            assert client.ping().wait(TIMEOUT)
        assert 1000 == client.close_code
        with pytest.raises(OSError, match="certificate"):
            client_module.connect(address, proxy=None)
        # Not TLS at all.
        assert b"HTTP" not in ask(server, REQUEST)


def test_unix_sockets(tmp_path):
    """
    A socket left over is removed.
    """
    path = tmp_path / "socket"
    for _ in range(2):
        with serving(path=path):
            with client_module.unix_connect(path) as client:
                client.send("Hello")
                assert "Hello" == client.recv(TIMEOUT)


def test_a_socket_that_is_there():
    """
    Listening, or connected.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    with serving(sock=listener) as server:
        assert listener.fileno() == server.fileno()
        sock = socket.create_connection(listener.getsockname())
        with client_module.connect("ws://example.com/", sock=sock) as client:
            client.send("Hello")
            assert "Hello" == client.recv(TIMEOUT)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda s: server_module.serve(print, "h", sock=s), "host is incompatible"),
        (lambda s: server_module.serve(print, None, 1, sock=s), "port is incompatible"),
        (
            lambda s: server_module.unix_serve(print, "p", sock=s),
            "path is incompatible",
        ),
        (lambda s: server_module.unix_serve(print), "missing path argument"),
        (lambda s: client_module.unix_connect(), "missing path argument"),
        (lambda s: client_module.unix_connect("p", sock=s), "path is incompatible"),
    ],
)
def test_contradictory_arguments(make, problem):
    """
    They are refused before anything happens.
    """
    with socket.socket() as sock, pytest.raises(ValueError, match=problem):
        make(sock)


# The end.


def test_shutdown_closes_connections():
    """
    With code and reason, in whatever thread handlers wait.
    """
    with serving() as server, connecting(server) as client:
        eventually(lambda: len(server.connections) == 1)
        address = server.socket.getsockname()
        server.shutdown(code=1012, reason="restart")

        assert client.wait_closed(TIMEOUT)
        assert (1012, "restart") == (client.close_code, client.close_reason)
        assert set() == server.connections
        eventually(lambda: server.fileno() == -1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_shutdown_leaves_handlers_that_do_not_end(caplog):
    """
    Shutting down takes no longer than close_timeout, whatever handlers do.
    """
    over = threading.Event()
    with serving(lambda connection: over.wait(), close_timeout=0.1) as server:
        client = connecting(server)
        began = time.monotonic()
        server.shutdown()

        assert time.monotonic() - began < TIMEOUT / 2
        assert client.wait_closed(TIMEOUT)
        assert 1001 == client.close_code
        assert "1 handlers go on" in caplog.text
        over.set()


def test_shutdown_may_wait_for_handlers():
    """
    Without closing their connections.
    """
    with serving() as server, connecting(server) as client:
        thread = threading.Thread(
            target=server.shutdown, kwargs={"close_connections": False}
        )
        thread.start()
        eventually(server.is_closing)
        client.send("still served")
        assert "still served" == client.recv(TIMEOUT)
        client.close()
        thread.join(TIMEOUT)

        assert not thread.is_alive()


def test_shutdown_refuses_handshakes():
    """
    Those in progress get 503.
    """
    with (
        serving() as server,
        socket.create_connection(server.socket.getsockname()) as sock,
    ):
        sock.settimeout(TIMEOUT)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        eventually(lambda: server._openings)
        thread = threading.Thread(target=server.shutdown)
        thread.start()

        assert read(sock).startswith(b"HTTP/1.1 503 ")
        sock.close()
        thread.join(TIMEOUT)


def test_shutdown_in_a_signal_handler():
    """
    In the thread that serves.
    """
    server = server_module.serve(lambda connection: None, "127.0.0.1", 0)
    before = signal.signal(signal.SIGUSR1, lambda *args: server.shutdown())
    try:
        timer = threading.Timer(
            0.05, signal.pthread_kill, [threading.get_ident(), signal.SIGUSR1]
        )
        timer.start()
        server.serve_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)

    server.serve_forever()
    server.shutdown()
    assert -1 == server.fileno()


@pytest.mark.parametrize("words", [(999, ""), (1005, ""), (1001, "x" * 124)])
def test_shutdown_with_what_cannot_be_sent(words):
    """
    Nothing is closed.
    """
    with serving() as server, connecting(server) as client:
        with pytest.raises(lib.ProtocolError):
            server.shutdown(True, *words)
        client.send("still here")
        assert "still here" == client.recv(TIMEOUT)
        connecting(server).close()


def test_logging(caplog):
    """
    As in the other rooms: quiet about what happens every day.
    """
    caplog.set_level(logging.INFO)

    def handler(connection):
        if connection.request.path == "/fail":
            raise RuntimeError("broken")
        connection.recv()

    with serving(handler) as server:
        with connecting(server):
            pass
        assert connecting(server, "/fail").wait_closed(TIMEOUT)
        eventually(lambda: 2 == caplog.text.count("connection closed"))
    records = [
        (record.levelname, record.getMessage().partition(" 127")[0])
        for record in caplog.records
        if record.name == "socketeer.server"
    ]

    assert ("INFO", "server listening on") == records[0]
    assert ("INFO", "connection open") in records
    assert ("ERROR", "connection handler failed") in records
    assert 2 == records.count(("INFO", "connection closed"))
    assert [("INFO", "server closing"), ("INFO", "server closed")] == records[-2:]
    assert 1 == sum(level == "ERROR" for level, _ in records)


def test_frames_are_logged(caplog):
    """
    At level DEBUG, with the connection in the record.
    """
    caplog.set_level(logging.DEBUG)
    with serving() as server, connecting(server) as client:
        client.send("Hello")
        client.recv(TIMEOUT)

        assert "> TEXT 'Hello' [5 bytes]" in caplog.text
        assert "< TEXT 'Hello' [5 bytes]" in caplog.text


def test_one_thread_for_each_connection():
    """
    And one for the process, whatever the number of connections.
    """
    before = threading.active_count()
    with serving() as server:
        clients = [connecting(server) for _ in range(5)]
        for client in clients:
            client.send("x")
            client.recv(TIMEOUT)

        # Besides, serve_forever() has one, and the watch.
        assert 5 + 1 + 1 >= threading.active_count() - before
        for client in clients:
            client.close()


@pytest.mark.parametrize("data", [b"rubbish", None])
def test_tls_that_is_broken(data, server_ssl_context, client_ssl_context):
    """
    The connection ends, and the cause is told.
    """
    with (
        pair({"ssl": server_ssl_context}, ssl=client_ssl_context, secure=True) as (
            client,
            server,
        ),
    ):
        if data is not None:
            client.socket.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(lib.ConnectionClosedError) as raised:
            server.recv(TIMEOUT)

        assert raised.value.__cause__ is not None


def test_a_handler_that_only_sends():
    """
    It learns of the end by sending.
    """
    raised = threading.Event()

    def handler(connection):
        try:
            while True:
                connection.send(b"x" * 10_000)
        except lib.ConnectionClosed:
            raised.set()

    with serving(handler) as server:
        client = connecting(server)
        client.recv(TIMEOUT)
        client.socket.shutdown(socket.SHUT_RDWR)

        assert raised.wait(TIMEOUT)
