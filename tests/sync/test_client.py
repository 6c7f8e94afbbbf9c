"""
Clients on threads: redirects, proxies, connecting again.
"""

from __future__ import annotations

import contextlib
import http
import itertools
import socket
import threading
import time

import pytest

from tests.sync.harness import TIMEOUT, connecting, serving, url
from tests.under_test import lib, submodule

client_module = submodule("sync.client")


def redirecting(location, status=http.HTTPStatus.FOUND):
    """
    Return a hook that redirects from everywhere but ``/there``.
    """

    def process_request(connection, request):
        if request.path == "/there":
            return None
        response = connection.respond(status, "elsewhere\n")
        response.headers["Location"] = location
        return response

    return process_request


def test_redirects_are_followed():
    """
    And remembered.
    """
    with serving(process_request=redirecting("/there")) as server:
        connecter = client_module.reconnect(url(server), proxy=None)
        with connecter as client:
            assert "/there" == client.request.path

        assert url(server, "/there") == connecter.uri


def test_too_many_redirects():
    """
    Ten are enough.
    """
    with (
        serving(process_request=redirecting("/again")) as server,
        pytest.raises(lib.SecurityError, match="more than 10 redirects"),
    ):
        connecting(server)


def test_redirects_to_another_origin():
    """
    Credentials stay at home, and an explicit address forbids them.
    """
    with serving() as other:
        hook = redirecting(url(other, "/there"))
        with serving(process_request=hook) as server:
            headers = {"Authorization": "Basic x", "X-Kept": "yes"}
            with connecting(server, additional_headers=headers) as client:
                assert "Authorization" not in client.request.headers
                assert "yes" == client.request.headers["X-Kept"]
            address = server.socket.getsockname()
            with pytest.raises(ValueError, match="explicit host or port"):
                connecting(server, address=address)
            sock = socket.create_connection(address)
            with pytest.raises(ValueError, match="preexisting socket"):
                connecting(server, sock=sock)


@pytest.mark.parametrize(
    ("uri", "kwargs", "problem"),
    [
        ("ws://localhost", {"ssl": True}, "ssl argument is incompatible"),
        (
            "ws://localhost",
            {"proxy": "http://localhost:9", "proxy_ssl": True},
            "proxy_ssl argument is incompatible",
        ),
    ],
)
def test_contradictory_arguments(uri, kwargs, problem):
    """
    They are refused before anything happens.
    """
    with pytest.raises(ValueError, match=problem):
        client_module.connect(uri, **kwargs)


def test_nobody_listens():
    """
    OSError, with each address tried.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        client_module.connect(f"ws://localhost:{port}", proxy=None)


def test_a_server_that_says_nothing():
    """
    TimeoutError after open_timeout.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError, match="timed out during opening handshake"),
    ):
        host, port = listener.getsockname()
        client_module.connect(f"ws://{host}:{port}", proxy=None, open_timeout=0.05)


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_ends(tls):
    """
    Before its response is complete.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            listener.accept()[0].close()

        thread = threading.Thread(target=accept)
        thread.start()
        host, port = listener.getsockname()
        with pytest.raises(OSError if tls else lib.InvalidMessage):
            client_module.connect(f"ws{'s' * tls}://{host}:{port}", proxy=None)
        thread.join(TIMEOUT)


def test_connecting_again_and_again():
    """
    When the server closes, or the attempt fails with what may pass.
    """
    answers = itertools.chain(
        [http.HTTPStatus.SERVICE_UNAVAILABLE], itertools.repeat(0)
    )

    def busy(connection, request):
        status = next(answers)
        return connection.respond(status, "busy\n") if status else None

    with serving(lambda connection: connection.send("Hello"), process_request=busy) as (
        server
    ):
        received = []
        for connection in client_module.reconnect(
            url(server), proxy=None, reconnect_delays=lambda: itertools.repeat(0.0)
        ):
            with contextlib.suppress(lib.ConnectionClosed):
                received.append(connection.recv(TIMEOUT))
                connection.recv(TIMEOUT)
            if len(received) == 3:
                break

    assert ["Hello"] * 3 == received


def test_connecting_again_may_be_given_up():
    """
    ``process_exception`` decides.
    """
    with serving(
        process_request=lambda connection, _: connection.respond(
            http.HTTPStatus.NOT_FOUND, "nothing\n"
        )
    ) as server:
        with pytest.raises(lib.InvalidStatus):
            next(iter(client_module.reconnect(url(server), proxy=None)))


def test_contexts():
    """
    They do not nest, and the older way to get one is known.
    """
    with serving() as server:
        connecter = connecting(server, legacy=False)
        assert isinstance(connecter, client_module.reconnect)
        with connecter, pytest.raises(RuntimeError, match="isn't reentrant"):
            connecter.__enter__()


def pump(one, other):
    """
    Copy bytes from one socket to the other.
    """
    with contextlib.suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxying(answer, tls=None):
    """
    Run a proxy for one connection, which answers CONNECT.
    """
    requests = []

    def serve(listener):
        sock = listener.accept()[0]
        with contextlib.suppress(OSError):
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
            with sock:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += sock.recv(1)
                requests.append(head.decode())
                sock.sendall(answer)
                if not answer.startswith(b"HTTP/1.1 200"):
                    return
                host, _, port = head.split()[1].decode().rpartition(":")
                with socket.create_connection((host, int(port))) as target:
                    thread = threading.Thread(target=pump, args=[target, sock])
                    thread.start()
                    pump(sock, target)
                    thread.join(TIMEOUT)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        yield listener.getsockname()[1], requests
        thread.join(TIMEOUT)


def test_http_proxies():
    """
    The proxy is asked to connect, with its credentials.
    """
    with proxying(b"HTTP/1.1 200 OK\r\n\r\n") as (port, requests), serving() as server:
        proxy = f"http://me:secret@127.0.0.1:{port}"
        with client_module.connect(url(server), proxy=proxy) as client:
            client.send("through")
            assert "through" == client.recv(TIMEOUT)

        assert "Proxy-Authorization: Basic" in requests[0]


def test_tls_through_a_proxy(server_ssl_context, client_ssl_context):
    """
    With the server, behind a proxy without.
    """
    with (
        proxying(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _),
        serving(ssl=server_ssl_context) as server,
        client_module.connect(
            url(server, scheme="wss"),
            proxy=f"http://127.0.0.1:{port}",
            ssl=client_ssl_context,
        ) as client,
    ):
        client.send(b"x" * 200_000)
        assert 200_000 == len(client.recv(TIMEOUT))


def test_tls_in_tls(server_ssl_context, client_ssl_context):
    """
    To the server, within that to the proxy.
    """
    with (
        proxying(b"HTTP/1.1 200 OK\r\n\r\n", server_ssl_context) as (port, _),
        serving(ssl=server_ssl_context) as server,
        client_module.connect(
            url(server, scheme="wss"),
            proxy=f"https://127.0.0.1:{port}",
            proxy_ssl=client_ssl_context,
            ssl=client_ssl_context,
        ) as client,
    ):
        client.send("within")
        assert "within" == client.recv(TIMEOUT)


def test_proxies_that_refuse():
    """
    Their status is told.
    """
    with (
        proxying(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n") as (port, _),
        pytest.raises(lib.InvalidProxyStatus),
    ):
        client_module.connect("ws://localhost:1", proxy=f"http://127.0.0.1:{port}")


def test_socks_proxies_that_are_none():
    """
    What python-socks raises is a ProxyError, or OSError if nobody is there.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises((OSError, lib.ProxyError)):
        client_module.connect("ws://localhost:1", proxy=f"socks5://127.0.0.1:{port}")


def test_addresses_are_tried_in_turn(monkeypatch):
    """
    One that refuses does not matter, nor does one where nobody answers.
    """
    with serving() as server:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            dead = listener.getsockname()
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        infos = [(*kind, dead), (*kind, server.socket.getsockname())]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: infos)
        connecting(server, source_address=("127.0.0.1", 0)).close()
        infos[1] = infos[0]
        with pytest.raises(ConnectionRefusedError):
            connecting(server, timeout=TIMEOUT)
        with pytest.raises(ExceptionGroup, match="create_connection failed"):
            connecting(server, all_errors=True)


def test_an_address_that_cannot_be_used():
    """
    OSError for a source address that is not ours.
    """
    with serving() as server, pytest.raises(OSError, match="assign"):
        connecting(server, source_address=("192.0.2.1", 0))


def test_the_older_name_of_ssl(server_ssl_context, client_ssl_context, tmp_path):
    """
    Until version 13 of the model, it was ``ssl_context``; a Unix socket has TLS by it.
    """
    path = tmp_path / "socket"
    with (
        serving(path=path, ssl_context=server_ssl_context) as server,
        client_module.unix_connect(
            path, ssl_context=client_ssl_context, server_hostname="localhost"
        ) as client,
    ):
        client.send("Hello")
        assert "Hello" == client.recv(TIMEOUT)

    assert isinstance(server, submodule("sync.server").WebSocketServer)


def test_a_unix_socket_that_is_not_there(tmp_path):
    """
    The error of the system comes through.
    """
    with pytest.raises(FileNotFoundError):
        client_module.unix_connect(tmp_path / "none")
    with (
        socket.socket() as sock,
        pytest.raises(ValueError, match="path is incompatible with sock"),
    ):
        client_module.unix_connect(tmp_path / "none", sock=sock)
    with pytest.raises(ValueError, match="missing path argument"):
        client_module.unix_connect()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        # Documentation has it (RFC 5737), no machine: it cannot be bound here.
        ({"source_address": ("192.0.2.1", 0)}, OSError),
        ({"timeout": 0.05, "open_timeout": None}, TimeoutError),
    ],
)
def test_how_the_server_is_dialled(options, error):
    """
    Options of ``socket.create_connection()`` are obeyed.
    """
    # Nobody answers here: the queue of those who wait to be accepted is full.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        host, port = listener.getsockname()
        waiting = []
        try:
            for _ in range(8):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex((host, port))
                waiting.append(sock)
            began = time.monotonic()
            with pytest.raises(error):
                client_module.connect(f"ws://{host}:{port}", proxy=None, **options)

            # Not the time for all of connecting, which is twice as long.
            assert time.monotonic() - began < TIMEOUT
        finally:
            for sock in waiting:
                sock.close()
