"""Our client with the servers of others."""

from __future__ import annotations

import asyncio

import pytest

from socketeer.asyncio.client import connect
from socketeer.exceptions import ConnectionClosed

from .messages import MESSAGES, assorted
from .peers import Deflate, pieces_of
from .test_our_server import CLOSES, COMPRESSIONS, LARGE

pytestmark = pytest.mark.anyio


@pytest.fixture(params=COMPRESSIONS)
def compression(request):
    """Test without and with compression, by default and by parameters."""
    return request.param


def both_sides(compression):
    """Return arguments for our client and for the server of the peer."""
    if compression == "plain":
        return {"compression": None}, {"deflate": Deflate()}
    return {}, {"deflate": Deflate()}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_returns_as_it_was(peer, compression, message):
    """
    Text returns as text and bytes as bytes, with every character and byte.
    """
    ours, theirs = both_sides(compression)
    received = []
    async with peer.serve("/echo", **theirs) as url, connect(url, **ours) as connection:
        for _ in range(2):
            await connection.send(message)
            received.append(await connection.recv())

    assert [message, message] == received


async def test_compression_is_negotiated_when_both_want_it(peer):
    """
    The default of connect() gets compression; compression=None gets none.
    """
    async with peer.serve("/echo", deflate=Deflate()) as url:
        async with connect(url) as connection:
            deflate = connection.response.headers["Sec-WebSocket-Extensions"]
        async with connect(url, compression=None) as connection:
            plain = connection.response.headers.get("Sec-WebSocket-Extensions")

    assert "permessage-deflate" == deflate.partition(";")[0]
    assert plain is None


async def test_many_messages_in_flight_stay_in_order(peer, compression):
    """
    Messages sent without waiting return in the order in which they left.
    """
    ours, theirs = both_sides(compression)
    messages = assorted(500)

    async def send_all(connection):
        for message in messages:
            await connection.send(message)

    async with peer.serve("/echo", **theirs) as url, connect(url, **ours) as connection:
        sending = asyncio.create_task(send_all(connection))
        received = [await connection.recv() for _ in messages]
        await sending

    assert messages == received


@pytest.mark.parametrize("kind", ["text", "binary"])
async def test_a_large_message_returns_as_it_was(peer, compression, kind):
    """
    Several MiB go through when max_size allows it.
    """
    ours, theirs = both_sides(compression)
    message = "läßt grüßen " * (LARGE // 15) if kind == "text" else bytes(LARGE)
    async with (
        peer.serve("/echo", **theirs) as url,
        connect(url, max_size=2 * LARGE, **ours) as connection,
    ):
        await connection.send(message)
        received = await connection.recv()

    assert message == received


async def test_a_message_above_the_limit_ends_the_connection(peer, compression):
    """
    We fail the connection with 1009, although the message was compressed.
    """
    ours, theirs = both_sides(compression)
    async with peer.serve("/echo", **theirs) as url:
        connection = await connect(url, max_size=1000, **ours)
        await connection.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as raised:
            await connection.recv()

    assert 1009 == raised.value.sent.code


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_the_peer_joins_our_fragments(peer, compression, size):
    """
    What we send in fragments returns as one message of the right kind.
    """
    ours, theirs = both_sides(compression)
    text = "fragmenté 世界 👋 " * 50
    async with peer.serve("/echo", **theirs) as url, connect(url, **ours) as connection:
        await connection.send(pieces_of(text, size), text=True)
        await connection.send(pieces_of(text.encode(), size))
        received = [await connection.recv(), await connection.recv()]

    assert [text, text.encode()] == received


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_we_join_the_fragments_of_the_peer(fragmenting_peer, compression, size):
    """
    Fragments may split characters; they arrive as one, or one by one.
    """
    ours, theirs = both_sides(compression)
    text = "fragmenté 世界 👋 " * 50
    async with (
        fragmenting_peer.serve("/fragments", size=size, **theirs) as url,
        connect(url, **ours) as connection,
    ):
        for message in (text, text.encode(), text):
            await connection.send(message)
        received = [await connection.recv(), await connection.recv()]
        streamed = [fragment async for fragment in connection.recv_streaming()]

    assert [text, text.encode()] == received
    assert text == "".join(streamed)


async def test_we_answer_the_pings_of_the_peer(peer):
    """
    The peer gets the payload of its ping back.
    """
    async with peer.serve("/ping") as url, connect(url) as connection:
        received = await connection.recv()

    assert "pong from the server" == received


async def test_the_peer_answers_our_pings(peer):
    """
    A ping is acknowledged, also several at a time.
    """
    async with peer.serve("/echo") as url, connect(url) as connection:
        waiters = [await connection.ping() for _ in range(3)]
        latencies = [await waiter for waiter in waiters]

    assert [True] * 3 == [0 <= latency < 10 for latency in latencies]


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_we_see_how_the_peer_closed(peer, code, reason):
    """
    Code and reason of the peer are in the exception and on the connection.
    """
    async with (
        peer.serve("/close", code=code, reason=reason) as url,
        connect(url) as connection,
    ):
        with pytest.raises(ConnectionClosed) as raised:
            await connection.recv()
        await connection.wait_closed()

    assert (code, reason) == (raised.value.rcvd.code, raised.value.rcvd.reason)
    assert (code, reason) == (connection.close_code, connection.close_reason)
    assert raised.value.rcvd_then_sent


async def test_we_see_that_the_peer_gave_no_code(node_peer):
    """
    An empty close frame is 1005 for the program, and a normal end.
    """
    async with node_peer.serve("/close") as url, connect(url) as connection:
        received = [message async for message in connection]

    assert [] == received
    assert 1005 == connection.close_code


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_the_peer_sees_how_we_closed(peer, code, reason):
    """
    Code and reason that a program gives to close() arrive.
    """
    async with peer.serve("/listen") as url, connect(url) as connection:
        await connection.close(code, reason)
    async with peer.serve("/report") as url, connect(url) as connection:
        assert f"{code} {reason}" == await connection.recv()


SUBPROTOCOLS = [
    (["v2", "v1"], ["v1"], "v1"),
    (["v1"], ["v1", "v2"], "v1"),
    (["v1"], [], None),
    (None, [], None),
]


@pytest.mark.parametrize(("ours", "theirs", "agreed"), SUBPROTOCOLS)
async def test_both_agree_on_a_subprotocol(peer, ours, theirs, agreed):
    """
    The server chooses among those that we offer, or none.
    """
    async with (
        peer.serve("/echo", subprotocols=theirs) as url,
        connect(url, subprotocols=ours) as connection,
    ):
        assert agreed == connection.subprotocol
