"""
Messages, fragments and pings on threads.
"""

from __future__ import annotations

import logging
import threading
import time

import pytest

from tests.sync.harness import (
    TIMEOUT,
    connecting,
    eventually,
    mute_server,
    pair,
    serving,
)
from tests.under_test import lib


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    "message", ["Hello", "", "é😀" * 40_000, b"", b"\xff" * 300_000, b"x" * 126]
)
def test_messages_come_back(message, compression):
    """
    Text and binary, of all sizes of headers, larger than a read.
    """
    with (
        serving() as server,
        connecting(server, compression=compression) as client,
    ):
        client.send(message)

        assert message == client.recv(TIMEOUT)


@pytest.mark.parametrize(
    ("message", "text", "received"),
    [
        (bytearray(b"abc"), None, b"abc"),
        (memoryview(b"abc"), None, b"abc"),
        (b"abc", True, "abc"),
        ("abc", False, b"abc"),
    ],
)
def test_kinds_of_messages(message, text, received):
    """
    The type decides on the opcode, unless the caller does.
    """
    with serving() as server, connecting(server) as client:
        client.send(message, text=text)

        assert received == client.recv(TIMEOUT)


@pytest.mark.parametrize("decode", [True, False])
def test_decoding_is_up_to_the_caller(decode):
    """
    ``decode`` decides on the type, whatever the opcode.
    """
    with serving() as server, connecting(server) as client:
        client.send("abc")
        client.send(b"abc")
        expected = "abc" if decode else b"abc"

        assert expected == client.recv(TIMEOUT, decode)
        assert expected == client.recv(TIMEOUT, decode=decode)


@pytest.mark.parametrize("parts", [["a", "é", "", "😀"], [b"a" * 70_000, b"", b"b"]])
def test_iterables_are_sent_in_fragments(parts):
    """
    A fragment for each item, and an empty one at the end (RFC 6455, 5.4).
    """
    with pair() as (client, server):
        client.send(iter(parts))

        assert [*parts, parts[0][:0]] == list(server.recv_streaming())
        client.send(parts)
        assert parts[0][:0].join(parts) == server.recv(TIMEOUT)


def test_an_unfragmented_message_is_one_fragment():
    """
    recv_streaming() takes any message.
    """
    with pair() as (client, server):
        client.send("whole")

        assert ["whole"] == list(server.recv_streaming())


def test_nothing_is_sent_for_an_empty_iterable():
    """
    There is no first fragment that could tell the opcode.
    """
    with pair() as (client, server):
        client.send([])
        client.send("next")

        assert "next" == server.recv(TIMEOUT)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"a": 1}, "data is a dict-like object"),
        (1, "data must be str, bytes, or iterable"),
        ([1], "iterable must contain bytes or str"),
    ],
)
def test_other_things_cannot_be_sent(message, problem):
    """
    Nothing is sent, and the connection stays OPEN.
    """
    with serving() as server, connecting(server) as client:
        with pytest.raises(TypeError, match=problem):
            client.send(message)
        client.send("still here")

        assert "still here" == client.recv(TIMEOUT)


def test_a_mixed_iterable_closes_the_connection():
    """
    What was begun cannot be taken back.
    """
    with pair() as (client, server):
        with pytest.raises(TypeError, match="iterable must contain uniform types"):
            client.send(["a", b"b"])
        assert client.wait_closed(TIMEOUT)

        eventually(lambda: server.state.name == "CLOSED")
        assert (1011, "error in fragmented message") == (
            server.close_code,
            server.close_reason,
        )


def test_receiving_has_a_timeout():
    """
    It loses no message; zero and less only look.
    """
    with pair() as (client, server):
        for timeout in (0.01, 0, -1):
            with pytest.raises(TimeoutError):
                server.recv(timeout)
        client.send("late")
        eventually(lambda: server._link.has_items() or server.ping().wait(0.001))

        assert "late" == server.recv(0)


def test_a_second_receiver_is_refused():
    """
    The first one is not disturbed.
    """
    with pair() as (client, server):
        received = []
        thread = threading.Thread(target=lambda: received.append(server.recv(TIMEOUT)))
        thread.start()
        eventually(lambda: server._link.receiving)
        for method in (server.recv, lambda: next(server.recv_streaming())):
            with pytest.raises(lib.ConcurrencyError, match="another thread"):
                method()
        client.send("for the first")
        thread.join(TIMEOUT)

        assert ["for the first"] == received


def test_streaming_is_to_be_finished():
    """
    Nobody else gets the rest of a message.
    """
    with pair() as (client, server):
        client.send(["a", "b"])
        stream = server.recv_streaming()
        assert "a" == next(stream)
        with pytest.raises(lib.ConcurrencyError):
            server.recv()

        assert ["b", ""] == list(stream)


def test_senders_do_not_wait_for_a_fragmented_message():
    """
    They are refused, and control frames are not.
    """
    with pair() as (client, server):

        def parts():
            yield "a"
            with pytest.raises(lib.ConcurrencyError, match="already running send"):
                client.send("between")
            client.ping()
            yield "b"

        client.send(parts())

        assert "ab" == server.recv(TIMEOUT)


def test_several_threads_send():
    """
    Messages leave whole, those of each thread in order.
    """
    with pair({"max_queue": None}, compression=None) as (client, server):

        def send(name):
            for number in range(50):
                client.send(f"{name} {number} " + "x" * 5000)

        threads = [threading.Thread(target=send, args=[name]) for name in range(4)]
        for thread in threads:
            thread.start()
        received = [server.recv(TIMEOUT).split()[:2] for _ in range(200)]
        for thread in threads:
            thread.join(TIMEOUT)

        for name in range(4):
            assert [str(number) for number in range(50)] == [
                number for sender, number in received if sender == str(name)
            ]


def test_both_directions_at_once():
    """
    Senders that wait for the peer do not keep it from being heard.
    """
    size = 3_000_000
    with pair({"max_size": None}, max_size=None, compression=None) as (client, server):
        threads = [
            threading.Thread(target=each.send, args=[b"x" * size])
            for each in (client, server)
        ]
        for thread in threads:
            thread.start()

        assert size == len(client.recv(TIMEOUT)) == len(server.recv(TIMEOUT))
        for thread in threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()


def test_pings_are_answered_although_nobody_receives():
    """
    The event is set, and the latency known.
    """
    with pair() as (client, server):
        assert 0.0 == client.latency
        assert client.ping().wait(TIMEOUT)
        assert server.ping("data").wait(TIMEOUT)
        assert 0.0 < client.latency < TIMEOUT


def test_pings_are_answered_while_somebody_receives():
    """
    By the thread that receives.
    """
    with serving() as server, connecting(server) as client:
        assert client.ping(b"1").wait(TIMEOUT)


def test_a_ping_waits_once():
    """
    The same payload could not be told apart.
    """
    with mute_server(close_timeout=0.05) as (client, _):
        client.ping("same")
        with pytest.raises(lib.ConcurrencyError, match="with the same data"):
            client.ping("same")


def test_a_ping_may_tell_of_the_end():
    """
    With ``ack_on_close``, waiting ends with the connection.
    """
    with mute_server() as (client, sock):
        told = client.ping(ack_on_close=True)
        untold = client.ping()
        sock.close()

        assert told.wait(TIMEOUT)
        assert not untold.is_set()


def test_unsolicited_pongs():
    """
    They mean nothing.
    """
    with serving() as server, connecting(server) as client:
        client.pong("unsolicited")
        client.pong()
        client.send("still here")

        assert "still here" == client.recv(TIMEOUT)


@pytest.mark.parametrize(
    ("data", "error"), [(1, TypeError), ("x" * 126, lib.ProtocolError)]
)
def test_what_cannot_be_in_a_ping(data, error):
    """
    The connection stays OPEN.
    """
    with serving() as server, connecting(server) as client:
        for method in (client.ping, client.pong):
            with pytest.raises(error):
                method(data)
        client.send("still here")

        assert "still here" == client.recv(TIMEOUT)


def test_keepalive():
    """
    Pings leave by themselves, while nobody uses the connection.
    """
    with pair(ping_interval=0.02) as (client, _):
        eventually(lambda: client.latency > 0)
        assert "OPEN" == client.state.name


@pytest.mark.parametrize("receives", [False, True])
def test_keepalive_fails(receives):
    """
    A peer that does not answer is given up with 1011.
    """
    with mute_server(ping_interval=0.02, ping_timeout=0.02, close_timeout=0.05) as (
        client,
        _,
    ):
        if receives:
            with pytest.raises(lib.ConnectionClosedError) as raised:
                client.recv(TIMEOUT)
            assert "keepalive ping timeout" in str(raised.value)
        assert client.wait_closed(TIMEOUT)

        assert 1011 == client.protocol.close_sent.code


def test_a_full_queue_pauses_reading():
    """
    The sender waits for the peer; nothing is lost, and pings are answered.
    """
    with pair({"max_queue": (2, 1)}, compression=None) as (client, server):
        count = 100
        sent = []

        def send():
            for number in range(count):
                client.send(b"%d " % number + b"x" * 100_000)
                sent.append(number)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.2)
        assert len(sent) < count
        received = [int(server.recv(TIMEOUT).split()[0]) for _ in range(count)]
        thread.join(TIMEOUT)

        assert list(range(count)) == received


def test_attributes():
    """
    As in the other rooms.
    """
    with pair() as (client, server):
        assert client.local_address == server.remote_address
        assert client.remote_address == server.local_address
        assert "/" == server.request.path
        assert 101 == client.response.status_code
        assert client.close_code is None
        assert client.subprotocol is None
        assert 20 == client.ping_interval
        assert "OPEN" in repr(client)
        assert "/" == server.path
        client.user = "ada"
        assert "ada" == client.user
        assert 1 == len({client, client})
        with pytest.raises(AttributeError):
            _ = client.nothing


def test_the_logger_can_be_replaced():
    """
    What is logged of the connection goes there.
    """
    own = logging.getLogger("tests.own")
    with pair() as (client, _):
        assert "socketeer.client" == client.logger.logger.name
        client.logger = own
        assert own is client.logger
        assert own is client.protocol.logger
