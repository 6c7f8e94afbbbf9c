"""
How many may come, how much they may send, and what a server counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.asyncio.exchange import (
    Answer,
    ask,
    connecting,
    dial,
    nothing_left_over,
    opening_request,
    read_answer,
    serving,
)
from tests.asyncio.harness import settle, wait_until
from tests.asyncio.raw import RawPeer
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


def counted(server):
    """
    Return the numbers that are not zero.
    """
    return {name: n for name, n in server.server.statistics().items() if n}


async def emptied(server):
    """
    Wait until nobody is there.
    """
    gauges = "connections", "handshakes", "handlers"
    await wait_until(lambda: not counted(server).keys() & {*gauges})


async def refused(server):
    """
    Return the status and the `Retry-After` of a request for a connection.
    """
    answer = await ask(server.port, opening_request())
    return answer.status, answer["Retry-After"], answer.text


# Connections


async def test_more_connections_than_allowed(caplog):
    """
    The next one gets 503 and is told when to try again; then there is room.
    """
    caplog.set_level(logging.INFO)
    async with nothing_left_over(), serving(max_connections=2) as server:
        async with connecting(server.uri), connecting(server.uri):
            caplog.clear()
            answer = 503, "10", "Too many connections.\n"
            assert answer == await refused(server)
            assert ["connection rejected (503 Service Unavailable)"] == caplog.messages
        await emptied(server)
        async with connecting(server.uri) as client:
            await client.send("there is room")
            assert "there is room" == await client.recv()
        await emptied(server)

        assert {
            "accepted": 4,
            "opened": 3,
            "closed": 3,
            "closed_1000": 3,
            "rejected": 1,
            "rejected_max_connections": 1,
        } == counted(server)


async def test_health_checks_when_there_is_no_room():
    """
    A server that is full is not ill: hooks are asked first.
    """

    def process_request(connection, request):
        return connection.respond(200, "OK\n") if request.path == "/healthz" else None

    async with (
        serving(max_connections=1, process_request=process_request) as server,
        connecting(server.uri),
    ):
        answer = await ask(server.port, opening_request("GET /healthz HTTP/1.1"))

        assert 200 == answer.status
        assert 503 == (await refused(server))[0]


async def test_more_connections_from_one_address_than_allowed():
    """
    429: it is the client's turn to do something about it.
    """
    async with serving(max_connections_per_address=1) as server:
        async with connecting(server.uri):
            assert 1 == counted(server)["addresses"]
            assert (429, "10", "Too many connections.\n") == await refused(server)
        await emptied(server)

        assert 1 == counted(server)["rejected_max_connections_per_address"]
        async with connecting(server.uri):
            pass


async def test_addresses_are_those_of_clients():
    """
    Two clients behind one proxy are two; one of them twice is too many.
    """
    async with serving(
        max_connections_per_address=1, trusted_proxies=["127.0.0.0/8"]
    ) as server:
        async with contextlib.AsyncExitStack() as stack:
            for host in ("192.0.2.1", "192.0.2.2"):
                headers = {"X-Forwarded-For": host}
                await stack.enter_async_context(
                    connecting(server.uri, additional_headers=headers)
                )
            request = opening_request("GET / HTTP/1.1", ("X-Forwarded-For", host))
            assert 429 == (await ask(server.port, request)).status
            assert 2 == counted(server)["addresses"]


@pytest.mark.parametrize("ssl", [False, True])
async def test_more_handshakes_than_allowed(ssl, server_ssl_context, caplog):
    """
    The next one gets 503 at once, or nothing if it would need TLS first.
    """
    caplog.set_level(logging.INFO)
    options = {"ssl": server_ssl_context} if ssl else {}
    async with serving(max_handshakes=2, **options) as server:
        silent = [await dial(server.port) for _ in range(2)]
        await wait_until(lambda: counted(server).get("handshakes") == 2)
        caplog.clear()
        with contextlib.closing(await dial(server.port)) as peer:
            if ssl:
                assert b"" == await peer.read_rest()
            else:
                answer = await read_answer(peer)
                assert 503 == answer.status
                assert "10" == answer["Retry-After"]
                assert "Server" in answer.names
        assert ["connection rejected (503 Service Unavailable)"] == caplog.messages
        assert 1 == counted(server)["rejected_max_handshakes"]
        for peer in silent:
            peer.close()
        await emptied(server)
        if not ssl:
            async with connecting(server.uri):
                pass

        assert 2 == counted(server)["handshakes_broken"]


async def test_a_request_that_is_refused_before_it_is_read():
    """
    Is read as far as it is there, or its answer would be lost with a reset.
    """
    async with serving(max_handshakes=1, server_header=None) as server:
        with contextlib.closing(await dial(server.port)) as silent:
            await wait_until(lambda: counted(server).get("handshakes") == 1)
            answer: Answer = await ask(server.port, opening_request())
            assert 503 == answer.status
            assert "Server" not in answer.names
            silent.close()


async def test_a_handshake_that_fails_leaves_its_place():
    """
    Requests that are wrong, hooks that refuse, clients that vanish.
    """

    async def process_request(connection, request):
        await asyncio.sleep(0)
        if request.path == "/":
            return None
        return connection.respond(403, "no\n")

    async with (
        nothing_left_over(),
        serving(
            max_connections=1, max_handshakes=1, process_request=process_request
        ) as server,
    ):
        wrong = opening_request(without=("Upgrade",))
        for request in (wrong, opening_request("GET /no HTTP/1.1"), b"?\r\n\r\n"):
            assert (await ask(server.port, request)).status in {400, 403, 426}
            await emptied(server)
        peer = await dial(server.port)
        await peer.send(opening_request()[:-2])
        await settle()
        peer.reset()
        await emptied(server)
        async with connecting(server.uri):
            pass
        await emptied(server)

        assert {
            "accepted": 5,
            "rejected": 3,
            "handshakes_broken": 1,
            "opened": 1,
            "closed": 1,
            "closed_1000": 1,
        } == counted(server)


async def test_a_place_that_was_kept_for_a_slow_hook():
    """
    Two who ask at the same time do not get the same place.
    """
    let_go = asyncio.Event()

    async def process_response(connection, request, response):
        if response.status_code == 101:
            await let_go.wait()

    async with serving(max_connections=1, process_response=process_response) as server:
        first = asyncio.create_task(connecting(server.uri).__aenter__())
        await wait_until(lambda: server.server.census._admitted == 1)
        assert 503 == (await refused(server))[0]
        let_go.set()
        await (await first).close()


async def test_handshakes_that_time_out():
    """
    Are counted, whether there is an answer or not.
    """
    async with serving(open_timeout=0.01) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            assert 408 == (await read_answer(peer)).status
        await emptied(server)

        numbers = {"accepted": 1, "rejected": 1, "handshakes_timed_out": 1}
        assert numbers == counted(server)


async def test_tls_handshakes_that_time_out(server_ssl_context):
    """
    There is no answer, and they are not rejected.
    """
    async with serving(ssl=server_ssl_context, open_timeout=0.01) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.read_rest()
        await emptied(server)

        assert {"accepted": 1, "handshakes_timed_out": 1} == counted(server)


# Rates and silence


async def test_too_many_messages():
    """
    Close code 1008, behind the answers to those which came before.
    """
    async with (
        serving(max_message_rate=(0.001, 5), max_byte_rate=1e6) as server,
        connecting(server.uri) as client,
    ):
        for number in range(6):
            await client.send(str(number))
        received = [await client.recv() for _ in range(6)]
        await client.wait_closed()

        assert ["0", "1", "2", "3", "4", "5"] == received
        assert (1008, "too many messages per second") == (
            client.close_code,
            client.close_reason,
        )
        await wait_until(lambda: counted(server).get("closed_1008") == 1)


async def test_too_many_bytes():
    """
    A large message is refused while it arrives.
    """
    async with (
        serving(max_byte_rate=(1000, 50_000)) as server,
        connecting(server.uri, compression=None) as client,
    ):
        with contextlib.suppress(lib.ConnectionClosed):
            await client.send(bytes(200_000))
        await client.wait_closed()

        assert (1008, "too many bytes per second") == (
            client.close_code,
            client.close_reason,
        )


async def test_silence():
    """
    Close code 1001; the handler's loop ends as at any other normal end.
    """
    ended = []

    async def handler(connection):
        async for message in connection:
            await connection.send(message)
        ended.append(connection.close_exc)

    async with (
        serving(handler, idle_timeout=0.02) as server,
        connecting(server.uri) as client,
    ):
        await client.wait_closed()
        await wait_until(lambda: bool(ended))

        assert (1001, "idle timeout") == (client.close_code, client.close_reason)
        assert isinstance(ended[0], lib.ConnectionClosedOK)
        await wait_until(lambda: counted(server).get("closed_1001") == 1)


async def test_limits_are_not_for_the_core_when_off():
    """
    A connection without limits has no meter and no deadline of silence.
    """
    async with serving() as server, connecting(server.uri):
        [connection] = server.server.connections

        assert connection._link.meter is None
        assert connection._link.idle_timeout < 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_connections", 0),
        ("max_connections_per_address", 0),
        ("max_handshakes", 0),
        ("max_message_rate", 0),
        ("max_byte_rate", (1, 0)),
        ("idle_timeout", 0),
        ("trusted_proxies", ["nowhere"]),
    ],
)
async def test_limits_that_make_no_sense(option, value):
    """
    Are refused before anything listens.
    """
    with pytest.raises(ValueError, match=r"must be|does not appear"):
        lib.serve(None, "127.0.0.1", 0, **{option: value})


# Statistics


async def test_statistics_of_a_server_that_has_not_started():
    """
    Everything is zero, and everything is there.
    """
    numbers = lib.serve(None, "127.0.0.1", 0).statistics()

    assert {0} == set(numbers.values())
    assert {"connections", "handshakes", "handlers", "accepted"} <= set(numbers)


async def test_gauges():
    """
    Tell how many there are now.
    """
    async with serving() as server:
        before = set(server.server.statistics())
        with contextlib.closing(await dial(server.port)):
            async with connecting(server.uri):
                await wait_until(lambda: counted(server).get("handshakes") == 1)
                assert 1 == counted(server)["connections"]
                assert 1 == counted(server)["handlers"]
        await emptied(server)

        assert not counted(server).keys() & {"connections", "handlers", "handshakes"}
        assert before == set(server.server.statistics())


@pytest.mark.parametrize(
    ("code", "key"),
    [(None, "closed_1005"), (1000, "closed_1000"), (3000, "closed_other")],
)
async def test_close_codes_are_counted(code, key):
    """
    By the code of the close frame that came first.
    """
    async with serving() as server:
        peer = await RawPeer.connect(server.port)
        with contextlib.closing(peer):
            await peer.close_with(code)
        await emptied(server)

        assert 1 == counted(server)[key]
        assert 1 == counted(server)["closed"]
