"""
Servers on trio: how many may come, how much they may send, what is counted, and how
they close. On real sockets where these matter, in memory where time does.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from socketeer import _sockets, _watching
from socketeer.auth import bearer_token
from socketeer.exceptions import ConnectionClosed, ConnectionClosedOK
from socketeer.trio.server import serve
from tests.trio.harness import (
    MemoryListener,
    StreamPeer,
    connecting,
    echo,
    eventually,
    linked,
    raw_client,
    serving,
    serving_tcp,
    url,
)

REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)


async def ask(server, *lines):
    """
    Ask for a connection; return the status, the head and the text of the answer.
    """
    async with raw_client(server, opens=False) as client:
        await client.send((REQUEST + "".join(lines) + "\r\n").encode())
        head = await client.read_head()
        text = (await client.read_rest()).decode()
        return int(head.first_line.split()[1]), head, text


def counted(server):
    """
    Return the numbers that are not zero.
    """
    return {name: n for name, n in server.statistics().items() if n}


async def emptied(server):
    """
    Wait until nobody is there.
    """
    gauges = "connections", "handshakes", "handlers"
    await eventually(lambda: not counted(server).keys() & {*gauges})


# Connections.


async def test_more_connections_than_allowed(real_clock, caplog):
    """
    The next one gets 503 and is told when to try again; then there is room. Hooks
    are asked first: a server that is full is not ill.
    """
    caplog.set_level(logging.INFO)

    async def process_request(connection, request):
        if "X-Health" in request.headers:
            return connection.respond(200, "OK\n")
        return None

    options = {"max_connections": 2, "process_request": process_request}
    async with serving_tcp(**options) as server:
        async with connecting(server), connecting(server):
            caplog.clear()
            status, head, text = await ask(server)
            assert 503 == status
            assert ["10"] == head.get_all("Retry-After")
            assert "Too many connections.\n" == text
            assert ["connection rejected (503 Service Unavailable)"] == caplog.messages
            assert 200 == (await ask(server, "X-Health: ?\r\n"))[0]
        await emptied(server)
        async with connecting(server) as client:
            await client.send("there is room")
            assert "there is room" == await client.recv()
        await emptied(server)

        assert {
            "accepted": 5,
            "opened": 3,
            "closed": 3,
            "closed_1000": 3,
            "rejected": 2,
            "rejected_max_connections": 1,
        } == counted(server)


async def test_addresses_are_those_of_clients(real_clock):
    """
    Two clients behind one proxy are two; one of them twice is too many: 429.
    """
    addresses = []

    async def handler(connection):
        addresses.append(connection.remote_address)
        await connection.wait_closed()

    options = {"max_connections_per_address": 1, "trusted_proxies": ["127.0.0.0/8"]}
    async with serving_tcp(handler, **options) as server:
        async with contextlib.AsyncExitStack() as stack:
            for host in ("192.0.2.1", "2001:db8::1"):
                headers = {"X-Forwarded-For": host}
                client = connecting(server, additional_headers=headers)
                await stack.enter_async_context(client)
            assert 429 == (await ask(server, "X-Forwarded-For: 192.0.2.1\r\n"))[0]
            assert 400 == (await ask(server, "Forwarded: what?\r\n"))[0]
            assert 2 == counted(server)["addresses"]

    assert {("192.0.2.1", 0), ("2001:db8::1", 0, 0, 0)} == {*addresses}


async def test_origins_of_the_same_host(real_clock):
    """
    Pages of the server itself, wherever it is.
    """
    async with serving_tcp(origins="same-host") as server:
        assert 403 == (await ask(server, "Origin: http://evil.example\r\n"))[0]
        origin = url(server, "", "http")
        async with connecting(server, origin=origin):
            pass


@pytest.mark.parametrize("tls", [False, True])
async def test_more_handshakes_than_allowed(
    real_clock, tls, server_ssl_context, caplog
):
    """
    The next one gets 503 at once, or nothing if it would need TLS first.
    """
    caplog.set_level(logging.INFO)
    options = {"ssl": server_ssl_context} if tls else {}
    async with serving_tcp(max_handshakes=2, **options) as server:
        async with (
            raw_client(server, opens=False),
            raw_client(server, opens=False),
        ):
            await eventually(lambda: counted(server).get("handshakes") == 2)
            caplog.clear()
            async with raw_client(server, opens=False) as client:
                if tls:
                    assert b"" == await client.read_rest()
                else:
                    await client.send(REQUEST.encode())
                    head = await client.read_head()
                    assert "HTTP/1.1 503 Service Unavailable" == head.first_line
                    assert ["10"] == head.get_all("Retry-After")
            assert ["connection rejected (503 Service Unavailable)"] == caplog.messages
        await emptied(server)

        assert 1 == counted(server)["rejected_max_handshakes"]
        assert 2 == counted(server)["handshakes_broken"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_clients_that_leave_when_they_are_turned_away(when):
    """
    Get no answer, and disturb nobody.
    """
    async with serving(max_handshakes=1) as running:
        silent = running.listener.connect()
        await wait_all_tasks_blocked()
        stream = running.listener.connect()
        if when == "after":
            await stream.send_all(b"GET")
            stream.receive_stream.close()
        else:
            stream.send_stream.close()
            stream.receive_stream.close()
        await wait_all_tasks_blocked()
        await silent.aclose()
        await wait_all_tasks_blocked()

        assert 1 == counted(running.server)["rejected_max_handshakes"]
        await running.raw_client()


async def test_clients_that_say_nothing_when_they_are_turned_away():
    """
    Are waited for no longer than a moment.
    """
    async with serving(max_handshakes=1) as running:
        running.listener.connect()
        await wait_all_tasks_blocked()
        peer = StreamPeer(running.listener.connect(), "client")
        head = await peer.read_head()

        assert "HTTP/1.1 503 Service Unavailable" == head.first_line


async def test_handshakes_that_fail_leave_their_places(real_clock):
    """
    Requests that are wrong, hooks that refuse, clients that vanish.
    """

    def process_request(connection, request):
        return connection.respond(403, "no\n") if "X-No" in request.headers else None

    options = {"max_connections": 1, "process_request": process_request}
    async with serving_tcp(max_handshakes=1, **options) as server:
        assert 403 == (await ask(server, "X-No: 1\r\n"))[0]
        await emptied(server)
        assert 400 == (await ask(server, "Sec-WebSocket-Key: again\r\n"))[0]
        await emptied(server)
        async with raw_client(server, opens=False) as client:
            await client.send(REQUEST.encode())
        await emptied(server)
        async with connecting(server):
            pass
        await emptied(server)

        assert {
            "accepted": 4,
            "rejected": 2,
            "handshakes_broken": 1,
            "opened": 1,
            "closed": 1,
            "closed_1000": 1,
        } == counted(server)


async def test_handshakes_that_time_out(real_clock, server_ssl_context):
    """
    Are counted, whether there is an answer or not.
    """
    async with serving_tcp(open_timeout=0.01) as server:
        async with raw_client(server, opens=False) as client:
            head = await client.read_head()
            assert "HTTP/1.1 408 Request Timeout" == head.first_line
        await emptied(server)

        numbers = {"accepted": 1, "rejected": 1, "handshakes_timed_out": 1}
        assert numbers == counted(server)
    async with serving_tcp(open_timeout=0.01, ssl=server_ssl_context) as server:
        async with raw_client(server, opens=False) as client:
            assert b"" == await client.read_rest()
        await emptied(server)

        assert {"accepted": 1, "handshakes_timed_out": 1} == counted(server)


async def test_a_hook_that_closes_the_connection(real_clock, caplog):
    """
    There is no answer; it counts as a handshake that broke.
    """

    async def process_request(connection, request):
        await connection.aclose()

    async with serving_tcp(process_request=process_request) as server:
        async with raw_client(server, opens=False) as client:
            await client.send(f"{REQUEST}\r\n".encode())
            assert b"" == await client.read_rest()
        await emptied(server)

        assert {"accepted": 1, "handshakes_broken": 1} == counted(server)
        assert [] == caplog.messages


# Rates and silence.


async def test_too_many_messages():
    """
    Close code 1008, behind the answers to those which came before.
    """
    async with linked(echo, max_message_rate=(0.001, 5), max_byte_rate=1e6) as client:
        for number in range(6):
            await client.send(str(number))
        assert [*"012345"] == [await client.recv() for _ in range(6)]
        await client.wait_closed()

    ending = 1008, "too many messages per second"
    assert ending == (client.close_code, client.close_reason)


async def test_too_many_bytes():
    """
    A large message is refused while it arrives.
    """
    async with linked(echo, max_byte_rate=(1000, 50_000)) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(bytes(200_000))
        await client.wait_closed()

    assert "too many bytes per second" == client.close_reason


@pytest.mark.parametrize("receives", [True, False])
async def test_silence(receives):
    """
    Close code 1001, whether the handler receives or waits for something else.
    """

    async def handler(connection):
        await (echo(connection) if receives else connection.wait_closed())

    began = trio.current_time()
    async with linked(handler, idle_timeout=300) as client:
        await client.wait_closed()

    assert (1001, "idle timeout") == (client.close_code, client.close_reason)
    assert 300 <= trio.current_time() - began < 301


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_connections", 0),
        ("max_message_rate", 0),
        ("idle_timeout", 0),
        ("trusted_proxies", ["nowhere"]),
    ],
)
async def test_limits_that_make_no_sense(option, value):
    """
    Are refused before anything listens.
    """
    with pytest.raises(ValueError, match=r"must be|does not appear"):
        await serve(echo, 0, **{option: value})


# Statistics.


async def test_gauges(real_clock):
    """
    Tell how many there are now.
    """
    async with serving_tcp() as server:
        assert {0} == {*server.statistics().values()}
        async with raw_client(server, opens=False), connecting(server):
            await eventually(lambda: counted(server).get("handshakes") == 1)
            assert 1 == counted(server)["connections"]
            assert 1 == counted(server)["handlers"]
        await emptied(server)


async def test_handlers_that_fail(real_clock):
    """
    Are counted; those that end with their connection have not failed.
    """

    async def handler(connection):
        async with trio.open_nursery():
            raise LookupError(await connection.recv())

    async with serving_tcp(handler) as server:
        async with connecting(server) as client:
            await client.send("this")
            await client.wait_closed()
        async with raw_client(server):
            pass
        await emptied(server)

        assert 1 == counted(server)["handlers_failed"]
        assert 1 == counted(server)["closed_1006"]


class Exhausted(MemoryListener):
    """
    Runs out of file descriptors three times.
    """

    failures = 3

    async def accept(self):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return await super().accept()


async def test_nothing_can_be_accepted(caplog):
    """
    When file descriptors run out, the server goes on afterwards, and says it once.
    """
    listener = Exhausted()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda **kw: serve(echo, listeners=[listener], **kw))
        began = trio.current_time()
        async with listener.connect() as stream:
            await StreamPeer(stream, "client").open_as_client()
        nursery.cancel_scope.cancel()

    assert 3 * _sockets.PAUSE <= trio.current_time() - began
    [message] = caplog.messages
    problem = "cannot accept connections, trying again every 1 s: Too many open files"
    assert problem == message


async def test_listeners_that_fail():
    """
    End the server: whoever runs it learns why.
    """

    class Broken(MemoryListener):
        async def accept(self):
            raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(ExceptionGroup) as raised:
        await serve(echo, listeners=[Broken()])

    assert raised.group_contains(OSError, match="Bad file descriptor")


async def test_a_handler_that_blocks_the_run(real_clock, caplog, monkeypatch):
    """
    Is noticed, said once, counted each time, and survived.
    """
    monkeypatch.setattr(_watching, "BLOCKED_AFTER", 0.02)
    monkeypatch.setattr(_watching, "INTERVAL", 0.01)

    async def handler(connection):
        async for message in connection:
            time.sleep(0.06)  # noqa: ASYNC251 - what is wrong with it
            await connection.send(message)

    def blocked():
        return server.statistics()["loop_blocked"]

    async with serving_tcp(handler) as server, connecting(server) as client:
        for number in range(1, 3):
            await client.send("block")
            assert "block" == await client.recv()
            await eventually(lambda number=number: blocked() >= number)

    [message] = caplog.messages
    assert message.startswith("event loop blocked for 0.")


# Bearer tokens: in other rooms, they are tested with the router.


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer secret"},
        {"Sec-WebSocket-Protocol": "bearer, secret"},
        {"Cookie": "token=secret", "Origin": "https://a.example"},
        {},
    ],
)
async def test_bearer_tokens(headers):
    """
    In the request, or in the first message.
    """
    found = []

    async def handler(connection):
        found.append(await bearer_token(connection, cookie="token"))

    of_client = {"additional_headers": headers}
    origins = ["https://a.example", None]
    async with linked(handler, of_client=of_client, origins=origins) as client:
        if not headers:
            await client.send('{"token": "secret"}')
        await client.wait_closed()

    assert ["secret"] == found


async def test_no_bearer_token():
    """
    Not in the request, for a hook; not in a message in time; not before the end.
    """
    found = []

    async def process_request(connection, request):
        found.append(await bearer_token(connection))

    async def handler(connection):
        found.append(await bearer_token(connection, timeout=None))
        began = trio.current_time()
        found.append(await bearer_token(connection, timeout=3))
        assert 3 == pytest.approx(trio.current_time() - began)
        await connection.send("too late")
        try:
            await bearer_token(connection)
        except ConnectionClosedOK:
            found.append("gone")

    async with linked(handler, process_request=process_request) as client:
        assert "too late" == await client.recv()
        await client.aclose()
        await wait_all_tasks_blocked()

    assert [None, None, None, "gone"] == found
