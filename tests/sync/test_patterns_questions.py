"""
What people ask about servers, on threads: patterns C1 to C14.

What has no meaning here: hooks that are coroutine functions (C3), the loop's ways to
start a server (C11), and what blocks or starves a loop (C13): a handler has a thread.
"""

from __future__ import annotations

import http
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.sync.harness import TIMEOUT, RawClient, connecting, eventually, serving
from tests.under_test import NAME, submodule
from tests.under_test import lib as websockets

server_module = submodule("sync.server")


def test_the_path_chooses_what_a_handler_does():
    """
    C1: `request.path` has path and query, as they were on the wire.
    """

    def handler(connection):
        if connection.request.path == "/blue":
            connection.send("blue handler")
        else:
            connection.send(f"not found: {connection.request.path}")

    with serving(handler) as server:
        with connecting(server, "/blue") as client:
            assert "blue handler" == client.recv(TIMEOUT)
        with connecting(server, "/red?shade=1") as client:
            assert "not found: /red?shade=1" == client.recv(TIMEOUT)


def test_headers_of_the_request_in_the_handler():
    """
    C2: `request.headers`, whatever the case of the name.
    """

    def handler(connection):
        connection.send(connection.request.headers["Authorization"])
        connection.send(connection.request.headers["authorization"])

    headers = {"Authorization": "Bearer token"}
    with serving(handler) as server:
        with connecting(server, additional_headers=headers) as client:
            assert ["Bearer token"] * 2 == [client.recv(TIMEOUT) for _ in range(2)]


@pytest.mark.ours
def test_the_older_names_of_path_and_headers():
    """
    C1, C2: `path`, `request_headers`, `response_headers`.
    """

    def handler(connection):
        connection.send(connection.path)
        connection.send(connection.request_headers["Host"])

    with serving(handler) as server, connecting(server, "/blue") as client:
        assert "/blue" == client.recv(TIMEOUT)
        assert client.recv(TIMEOUT).startswith("127.0.0.1")
        assert "websocket" == client.response_headers["Upgrade"]


def answer_of(server, path):
    """
    Return the status line and the body of the answer to a request.
    """
    with socket.create_connection(server.socket.getsockname(), TIMEOUT) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
        return head.decode().partition("\r\n")[0], body


def health_check(connection, request):
    """
    Answer a load balancer; leave everything else to the handshake.
    """
    if request.path == "/healthz":
        return connection.respond(http.HTTPStatus.OK, "OK\n")
    return None


def older_health_check(path, request_headers):
    """
    Do the same in the older form.
    """
    if path == "/healthz":
        return http.HTTPStatus.OK, [("X-Host", request_headers["Host"])], b"OK\n"
    return None


class OlderConnection(server_module.ServerConnection):
    """
    Does the same in a subclass.
    """

    def process_request(self, path, request_headers):
        return older_health_check(path, request_headers)


@pytest.mark.parametrize(
    "options",
    [
        {"process_request": health_check},
        pytest.param({"process_request": older_health_check}, marks=pytest.mark.ours),
        pytest.param({"create_protocol": OlderConnection}, marks=pytest.mark.ours),
        pytest.param({"create_connection": OlderConnection}, marks=pytest.mark.ours),
    ],
    ids=["today", "older", "create_protocol", "create_connection"],
)
def test_a_health_check_beside_connections(options):
    """
    C3, C4: `GET /healthz` is answered 200, everything else is as always.
    """
    with serving(**options) as server:
        assert ("HTTP/1.1 200 OK", b"OK\n") == answer_of(server, "/healthz")
        with connecting(server) as client:
            client.send("as always")
            assert "as always" == client.recv(TIMEOUT)


def test_process_request_uses_headers():
    """
    C3: who has no token is refused before there is a connection.
    """

    def process_request(connection, request):
        if request.headers.get("Authorization") != "Bearer secret":
            return connection.respond(401, "token, please\n")
        connection.user = "ada"
        return None

    headers = {"Authorization": "Bearer secret"}
    with serving(
        lambda connection: connection.send(connection.user),
        process_request=process_request,
    ) as server:
        with pytest.raises(websockets.InvalidStatus):
            connecting(server)
        with connecting(server, additional_headers=headers) as client:
            assert "ada" == client.recv(TIMEOUT)


def test_headers_are_set_on_both_sides():
    """
    C5: `process_response=`, `server_header=`, `additional_headers=`.
    """

    def process_response(connection, request, response):
        response.headers["X-Echo"] = request.headers["X-Sent"]

    with (
        serving(process_response=process_response, server_header=None) as server,
        connecting(
            server, additional_headers={"X-Sent": "value"}, user_agent_header=None
        ) as client,
    ):
        assert "value" == client.response.headers["X-Echo"]
        assert "Server" not in client.response.headers
        assert "User-Agent" not in client.request.headers


@pytest.mark.ours
def test_older_names_of_options_for_headers():
    """
    C5: `extra_headers=` on both sides.
    """

    def handler(connection):
        connection.send(connection.request.headers["X-A"])

    with serving(handler, extra_headers=lambda path, headers: {"X-B": path}) as server:
        with connecting(server, "/blue", extra_headers={"X-A": "1"}) as client:
            assert "1" == client.recv(TIMEOUT)
            assert "/blue" == client.response.headers["X-B"]


def test_the_address_of_a_client():
    """
    C6: `remote_address[0]`.
    """
    with serving(lambda c: c.send(c.remote_address[0])) as server:
        with connecting(server) as client:
            assert "127.0.0.1" == client.recv(TIMEOUT)
            assert server.socket.getsockname() == client.remote_address


@pytest.mark.ours
def test_where_to_listen():
    """
    C7: the arguments of `socket.create_server()`: one address; with
    `dualstack_ipv6`, IPv4 and IPv6.
    """
    with server_module.serve(print, "127.0.0.2", 0, backlog=10) as server:
        assert "127.0.0.2" == server.socket.getsockname()[0]
    if socket.has_dualstack_ipv6():
        options = {"family": socket.AF_INET6, "dualstack_ipv6": True}
        with server_module.serve(print, "::", 0, **options) as server:
            port = server.socket.getsockname()[1]
            socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), 1000, ""),
        ((4000,), 4000, ""),
        ((1008, "not allowed"), 1008, "not allowed"),
    ],
)
def test_closing_a_connection(arguments, code, reason):
    """
    C8: `close(code, reason)`; the peer learns both.
    """
    with serving(lambda c: c.close(*arguments)) as server:
        with connecting(server) as client:
            assert client.wait_closed(TIMEOUT)

    assert (code, reason) == (client.close_code, client.close_reason)


STOPPED_BY_SIGTERM = f"""
import signal
from {NAME}.sync.server import serve

def handler(connection):
    for message in connection:
        connection.send(message)

with serve(handler, "127.0.0.1", 0) as server:
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
print("stopped", flush=True)
"""


@pytest.mark.ours
def test_a_server_is_stopped_by_sigterm():
    """
    C9: clients see 1001, the process ends by itself and without complaint.
    """
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED_BY_SIGTERM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            port = int(process.stdout.readline())
            connect = submodule("sync.client").connect
            with connect(f"ws://127.0.0.1:{port}", proxy=None) as client:
                client.send("before")
                assert "before" == client.recv(TIMEOUT)
                process.send_signal(signal.SIGTERM)
                assert client.wait_closed(TIMEOUT)
            out, err = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()

    assert 1001 == client.close_code
    assert (b"stopped\n", b"", 0) == (out, err, process.returncode)


@pytest.mark.ours
def test_stopping_keeps_connections_open():
    """
    C10: `shutdown(close_connections=False)`; the last client ends the server.
    """
    with serving() as server:
        with connecting(server) as client:
            eventually(lambda: server.connections)
            closing = threading.Thread(target=server.shutdown, args=[False])
            closing.start()
            eventually(server.is_closing)
            client.send("still here")
            assert "still here" == client.recv(TIMEOUT)
            assert closing.is_alive()
        closing.join(TIMEOUT)
        assert not closing.is_alive()


def test_ways_to_run_a_server():
    """
    C11: `serve_forever()` in this thread or in another one, with `with` or
    `shutdown()`.
    """
    server = server_module.serve(lambda c: c.send("hello"), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with connecting(server) as client:
        assert "hello" == client.recv(TIMEOUT)
    server.shutdown()
    thread.join(TIMEOUT)

    assert not thread.is_alive()


def test_small_answers_on_the_same_port():
    """
    C12: pages come from `process_request`, with headers of their own; also bytes.
    """
    icon = bytes(range(256))

    def process_request(connection, request):
        if request.path == "/":
            response = connection.respond(200, "<h1>chat</h1>")
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "text/html"
            return response
        if request.path == "/icon":
            headers = websockets.Headers([("Content-Length", "256")])
            return websockets.Response(200, "Fine", headers, icon)
        return None

    with serving(process_request=process_request) as server:
        assert ("HTTP/1.1 200 OK", b"<h1>chat</h1>") == answer_of(server, "/")
        assert ("HTTP/1.1 200 Fine", icon) == answer_of(server, "/icon")
        with connecting(server, "/chat") as client:
            client.send("hello")
            assert "hello" == client.recv(TIMEOUT)


def test_what_one_handler_does_disturbs_no_other():
    """
    C13: one sends as fast as it can, one computes or waits; others are served.
    """
    finish = threading.Event()

    def handler(connection):
        if connection.request.path == "/slow":
            finish.wait()
            connection.send("finished")
            return
        if connection.request.path == "/firehose":
            while not finish.is_set():
                connection.send("water")
            return
        for message in connection:
            connection.send(message)

    def drink():
        with connecting(server, "/firehose") as client:
            for _ in client:
                pass

    with serving(handler, compression=None) as server:
        drinking = threading.Thread(target=drink)
        drinking.start()
        with connecting(server, "/slow") as waiting, connecting(server) as other:
            for number in range(10):
                other.send(f"{number}")
                assert f"{number}" == other.recv(TIMEOUT)
            finish.set()
            assert "finished" == waiting.recv(TIMEOUT)
        drinking.join(TIMEOUT)

    assert not drinking.is_alive()


def test_a_handler_without_a_loop_closes_after_one_message():
    """
    C14: returning closes; a handler must loop to get more.
    """
    with serving(lambda c: c.send(c.recv())) as server, connecting(server) as client:
        client.send("one")
        client.send("two")

        assert "one" == client.recv(TIMEOUT)
        with pytest.raises(websockets.ConnectionClosedOK):
            client.recv(TIMEOUT)


def test_a_handler_that_does_not_wait_for_its_threads_closes_at_once():
    """
    C14: threads started and not joined do not keep a connection open.
    """
    threads = []

    def echo(connection):
        for message in connection:
            connection.send(message)

    def handler(connection):
        threads.append(threading.Thread(target=echo, args=[connection]))
        threads[0].start()

    with serving(handler) as server, RawClient(server) as client:
        assert (1000, "") == client.read_close()
        client.send_close(1000)
    threads[0].join(TIMEOUT)

    assert not threads[0].is_alive()
