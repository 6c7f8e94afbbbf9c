"""
Handlers as tutorials write them, and first programs, on threads: patterns A1 to A9
and D1 to D4.

What has no meaning here: canceling a task (A5) and one loop over two futures (A6).
A thread cannot be canceled; their counterparts are a timeout of ``recv()``, which
loses nothing either, and closing the connection, which ends both threads.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import queue
import socket
import threading

import pytest

from tests.sync.harness import (
    TIMEOUT,
    RawClient,
    connecting,
    eventually,
    serving,
    url,
)
from tests.under_test import lib as websockets
from tests.under_test import submodule

connect = submodule("sync.client").connect


def errors(caplog):
    """
    Return the records above INFO.
    """
    return [record for record in caplog.records if record.levelno > logging.INFO]


# A. Handlers.


def test_a_consumer_iterates_over_messages(caplog):
    """
    A1: str for Text, bytes for Binary; the loop ends when the peer closes.
    """
    received, ended = [], threading.Event()

    def handler(connection):
        for message in connection:
            received.append(message)  # noqa: PERF402 - as tutorials write it
        ended.set()

    with serving(handler) as server:
        with connecting(server) as client:
            client.send("text")
            client.send(b"binary")
        assert ended.wait(TIMEOUT)

    assert ["text", b"binary"] == received
    assert [str, bytes] == [type(message) for message in received]
    assert [] == errors(caplog)


@pytest.mark.parametrize("end", ["close", "vanish"])
def test_a_consumer_that_calls_recv_ends_by_connection_closed(end):
    """
    A2: `while True: recv()` is left by an exception that tells how it ended.
    """
    received, ended = [], queue.Queue()

    def handler(connection):
        try:
            while True:
                received.append(connection.recv())
        except websockets.ConnectionClosed as error:
            ended.put(error)

    with serving(handler) as server, RawClient(server) as client:
        client.send_frame("81", b"one")
        client.send_frame("81", b"two")
        if end == "close":
            client.send_close(1000)
            client.read_close()
        client.sock.shutdown(socket.SHUT_RDWR)
        error = ended.get(timeout=TIMEOUT)

    assert ["one", "two"] == received
    closed_ok = isinstance(error, websockets.ConnectionClosedOK)
    assert (end == "close") == closed_ok
    assert (1000 if closed_ok else None) == (error.rcvd and error.rcvd.code)


@pytest.mark.parametrize("catches", [True, False])
@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_producer_ends_by_connection_closed(end, catches, caplog):
    """
    A3: `while True: send(...)`, with `except ConnectionClosed: break` or without;
    a handler that ends by it has not failed.
    """
    ended = threading.Event()
    asked = threading.Event()

    def handler(connection):
        try:
            while True:
                try:
                    connection.send(produce())
                except websockets.ConnectionClosed:
                    if catches:
                        break
                    raise
        finally:
            ended.set()

    def produce():
        asked.wait(0.001)
        return "news"

    with serving(handler) as server:
        client = connecting(server)
        assert "news" == client.recv()
        if end == "close":
            client.close()
        else:
            client.socket.shutdown(socket.SHUT_RDWR)
        assert ended.wait(TIMEOUT)

    assert [] == errors(caplog)


class Chat:
    """
    A consumer and a producer as in the tutorials, with a queue between.
    """

    def __init__(self):
        self.received = []
        self.outgoing = queue.Queue()
        self.ended = threading.Event()

    def consumer(self, connection):
        for message in connection:
            self.received.append(message)

    def producer(self, connection):
        while (message := self.outgoing.get()) is not None:
            try:
                connection.send(message)
            except websockets.ConnectionClosed:
                break

    def both_until_both_end(self, connection):
        thread = threading.Thread(target=self.producer, args=[connection])
        thread.start()
        self.consumer(connection)
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        self.ended.set()

    def both_until_one_ends(self, connection):
        def receive():
            self.consumer(connection)
            self.outgoing.put(None)

        thread = threading.Thread(target=receive)
        thread.start()
        self.producer(connection)
        connection.close()
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        self.ended.set()


def test_both_until_both_end(caplog):
    """
    A4: a thread for the producer; both notice the end.
    """
    chat = Chat()
    with serving(chat.both_until_both_end) as server:
        with connecting(server) as client:
            client.send("up")
            chat.outgoing.put("down")
            assert "down" == client.recv()
        chat.outgoing.put("too late")
        assert chat.ended.wait(TIMEOUT)

    assert ["up"] == chat.received
    assert [] == errors(caplog)


@pytest.mark.parametrize("first", ["consumer", "producer"])
def test_both_until_one_ends(first, caplog):
    """
    A5: when one ends, the connection is closed, and so the other one ends.
    """
    chat = Chat()
    with serving(chat.both_until_one_ends) as server:
        with connecting(server) as client:
            client.send("up")
            chat.outgoing.put("down")
            assert "down" == client.recv()
            if first == "producer":
                chat.outgoing.put(None)
                with pytest.raises(websockets.ConnectionClosedOK):
                    client.recv()
        assert chat.ended.wait(TIMEOUT)

    assert 1000 == client.close_code
    assert ["up"] == chat.received
    assert [] == errors(caplog)


def test_both_in_one_loop_lose_nothing():
    """
    A6: `recv()` with a timeout and sending by turns; no message is lost.
    """
    chat = Chat()

    def handler(connection):
        try:
            while True:
                try:
                    chat.received.append(connection.recv(timeout=0.0001))
                except TimeoutError:
                    connection.send(str(len(chat.received)))
        except websockets.ConnectionClosed:
            chat.ended.set()

    sent = [str(number) for number in range(200)]
    with serving(handler) as server:
        with connecting(server) as client:
            for text in sent:
                client.send(text)
            while client.recv(TIMEOUT) != "200":
                pass
        assert chat.ended.wait(TIMEOUT)

    assert sent == chat.received


class Greeter:
    """
    Handlers that are no plain functions.
    """

    def __call__(self, connection):
        connection.send("object")

    def method(self, connection):
        connection.send("method")

    def of_two(self, connection, path):
        connection.send(path)


def greet(greeting, connection):
    """
    Send a greeting bound before.
    """
    connection.send(greeting)


@pytest.mark.parametrize(
    ("handler", "greeting"),
    [
        (Greeter(), "object"),
        (Greeter().method, "method"),
        (functools.partial(greet, "partial"), "partial"),
        (lambda connection: connection.send("lambda"), "lambda"),
    ],
)
def test_handlers_of_all_kinds(handler, greeting):
    """
    A9: bound arguments, callable objects, methods.
    """
    with serving(handler) as server, connecting(server) as client:
        assert greeting == client.recv(TIMEOUT)


@pytest.mark.ours
@pytest.mark.parametrize(
    "handler",
    [Greeter().of_two, lambda connection, path: connection.send(path)],
)
def test_a_handler_of_two_arguments_gets_the_path(handler):
    """
    A7: the older form, with the query.
    """
    with serving(handler) as server:
        with connecting(server, "/chat?room=1") as client:
            assert "/chat?room=1" == client.recv(TIMEOUT)


def test_a_handler_that_returns_closes_with_1000(caplog):
    """
    A8: returning is the normal end.
    """
    with serving(lambda connection: None) as server, connecting(server) as client:
        assert client.wait_closed(TIMEOUT)

    assert (1000, "") == (client.close_code, client.close_reason)
    assert [] == errors(caplog)


def test_a_handler_that_raises_closes_with_1011(caplog):
    """
    A8: the peer learns of an internal error, the log has the traceback once.
    """

    def handler(connection):
        raise ValueError("a secret of the house")

    with serving(handler) as server, connecting(server) as client:
        assert client.wait_closed(TIMEOUT)

    assert (1011, "") == (client.close_code, client.close_reason)
    [record] = errors(caplog)
    assert ("ERROR", "connection handler failed") == (
        record.levelname,
        record.getMessage(),
    )
    assert "a secret of the house" == str(record.exc_info[1])


# D. First steps.


@pytest.fixture
def no_proxy(monkeypatch):
    """
    First programs do not mention proxies; the machine's are none of theirs.
    """
    monkeypatch.setenv("no_proxy", "*")


def hello(connection):
    """
    Read a name, send a greeting, return.
    """
    connection.send(f"Hello {connection.recv()}!")


def test_the_hello_server_closes_with_1000():
    """
    D1: after the greeting the connection is closed normally.
    """
    with serving(hello) as server, RawClient(server) as client:
        client.send_frame("81", b"Ada")

        assert (0x81, b"Hello Ada!") == client.read_frame()
        assert (1000, "") == client.read_close()
        client.send_close(1000)
        assert b"" == client.read_rest()


def test_the_hello_client(no_proxy):
    """
    D2: `with connect(...)`, or `connection = connect(...)` closed by hand.
    """
    with serving(hello) as server:
        with connect(url(server)) as connection:
            connection.send("Ada")
            assert "Hello Ada!" == connection.recv()
        connection = connect(url(server))
        connection.send("Bob")
        assert "Hello Bob!" == connection.recv()
        connection.close()

    assert 1000 == connection.close_code


def test_the_time_server_on_the_wire():
    """
    D3: what a browser gets: one unmasked text frame for each time.
    """

    def show_time(connection):
        for _ in range(3):
            connection.send(dt.datetime.now(tz=dt.UTC).isoformat())
        connection.recv()

    with serving(show_time) as server:
        with RawClient(server, ("Origin", "http://localhost")) as client:
            frames = [client.read_frame() for _ in range(3)]
            client.send_close(1001)
            assert (1001, "") == client.read_close()

    assert [0x81] * 3 == [head for head, _ in frames]
    times = [dt.datetime.fromisoformat(payload.decode()) for _, payload in frames]
    assert times == sorted(times)


def test_pings_and_closing_need_no_care():
    """
    D4: a handler that only receives answers pings and the closing handshake.
    """

    def handler(connection):
        for _ in connection:
            pass

    with serving(handler) as server, RawClient(server) as client:
        client.send_frame("89", b"are you there?")
        assert (0x8A, b"are you there?") == client.read_frame()
        client.send_close(1000, "bye")
        assert (1000, "bye") == client.read_close()
        assert b"" == client.read_rest()


def test_keepalive_needs_no_care():
    """
    D4: pings go out by themselves, one after the other, while all is quiet.
    """

    def handler(connection):
        for _ in connection:
            pass

    pings = []
    with serving(handler, ping_interval=0.005) as server, RawClient(server) as client:
        for _ in range(3):
            pings.append(client.read_frame())
            client.send_frame("8a", pings[-1][1])
        eventually(lambda: all(each.latency for each in server.connections))
        client.send_close(1000)

    assert [0x89] * 3 == [head for head, _ in pings]
    assert 3 == len({payload for _, payload in pings})
