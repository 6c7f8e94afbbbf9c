"""Our server with the clients of others."""

from __future__ import annotations

import pytest

from socketeer.exceptions import ConnectionClosed

from .messages import MESSAGES, assorted
from .peers import Deflate, pieces_of

pytestmark = pytest.mark.anyio

LARGE = 8 * 2**20  # bytes

COMPRESSIONS = {"plain": None, "deflate": Deflate()}


@pytest.fixture(params=COMPRESSIONS.values(), ids=COMPRESSIONS)
def deflate(request):
    """Test without and with compression."""
    return request.param


async def echo(connection):
    """Send back each message."""
    async for message in connection:
        await connection.send(message)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_returns_as_it_was(peer, serving, deflate, message):
    """
    Text returns as text and bytes as bytes, with every character and byte.
    """
    async with serving(echo) as url:
        steps = [("send", message), ("receive",)] * 2
        outcome = await peer.run(url, steps, deflate=deflate)

    assert [message, message] == outcome.results


async def test_many_messages_in_flight_stay_in_order(peer, serving, deflate):
    """
    Messages sent without waiting return in the order in which they left.
    """
    messages = assorted(500)
    steps = [("send", message) for message in messages]
    steps += [("receive",)] * len(messages)
    async with serving(echo) as url:
        outcome = await peer.run(url, steps, deflate=deflate)

    assert messages == outcome.results


@pytest.mark.parametrize("kind", ["text", "binary"])
async def test_a_large_message_returns_as_it_was(peer, serving, deflate, kind):
    """
    Several MiB go through when max_size allows it.
    """
    message = "läßt grüßen " * (LARGE // 15) if kind == "text" else bytes(LARGE)
    async with serving(echo, max_size=2 * LARGE) as url:
        steps = [("send", message), ("receive",)]
        outcome = await peer.run(url, steps, deflate=deflate)

    assert message == outcome.results[0]


async def test_a_message_above_the_limit_ends_the_connection(peer, serving, deflate):
    """
    The peer sees 1009, although its message was small while compressed.
    """
    async with serving(echo, max_size=1000) as url:
        steps = [("send", "x" * 1001), ("closed",)]
        outcome = await peer.run(url, steps, deflate=deflate)

    assert 1009 == outcome.results[0][0]


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_we_join_the_fragments_of_the_peer(
    fragmenting_peer, serving, deflate, size
):
    """
    Fragments may split characters, and compression runs across them.
    """
    text = "fragmenté 世界 👋 " * 50
    steps = [
        ("fragments", pieces_of(text, size), True),
        ("receive",),
        ("fragments", pieces_of(text.encode(), size), False),
        ("receive",),
    ]
    async with serving(echo) as url:
        outcome = await fragmenting_peer.run(url, steps, deflate=deflate)

    assert [text, text.encode()] == outcome.results


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_the_peer_joins_our_fragments(peer, serving, deflate, size):
    """
    What we send in fragments arrives as one message of the right kind.
    """
    text = "fragmenté 世界 👋 " * 50

    async def send_fragments(connection):
        await connection.send(pieces_of(text, size), text=True)
        await connection.send(pieces_of(text.encode(), size))
        await connection.wait_closed()

    async with serving(send_fragments) as url:
        steps = [("receive",), ("receive",)]
        outcome = await peer.run(url, steps, deflate=deflate)

    assert [text, text.encode()] == outcome.results


async def test_we_answer_the_pings_of_the_peer(peer, serving):
    """
    The pong carries the payload of the ping.
    """
    async with serving(echo) as url:
        outcome = await peer.run(url, [("ping", "are you there?")])

    assert ["are you there?"] == outcome.results


async def test_the_peer_answers_our_pings(peer, serving):
    """
    A ping is acknowledged, also several at a time.
    """

    async def ping(connection):
        waiters = [await connection.ping() for _ in range(3)]
        latencies = [await waiter for waiter in waiters]
        await connection.send(str([0 <= latency < 10 for latency in latencies]))
        await connection.wait_closed()

    async with serving(ping) as url:
        outcome = await peer.run(url, [("receive",)])

    assert ["[True, True, True]"] == outcome.results


# The longest reason has 123 bytes, here in 62 characters.
CLOSES = [
    (1000, ""),
    (1000, "bye"),
    (1001, "going"),
    (1008, "policy"),
    (1011, ""),
    (3000, "registered"),
    (4999, "x" + "é" * 61),
]


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_the_peer_sees_how_we_closed(peer, serving, code, reason):
    """
    Code and reason that a handler gives to close() arrive.
    """

    async def close(connection):
        await connection.close(code, reason)

    async with serving(close) as url:
        outcome = await peer.run(url, [("closed",)])

    assert [[code, reason]] == outcome.results


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_we_see_how_the_peer_closed(peer, serving, code, reason):
    """
    Code and reason of the peer are in the exception and on the connection.
    """
    seen = []

    async def listen(connection):
        try:
            await connection.recv()
        except ConnectionClosed as closed:
            seen.append((closed.rcvd.code, closed.rcvd.reason, closed.rcvd_then_sent))
            seen.append((connection.close_code, connection.close_reason))

    async with serving(listen) as url:
        await peer.run(url, [("close", code, reason)])

    assert [(code, reason, True), (code, reason)] == seen


async def test_we_see_that_the_peer_gave_no_code(node_peer, serving):
    """
    An empty close frame is 1005 for the program, and an empty one in return.
    """
    seen = []

    async def listen(connection):
        async for _ in connection:
            pass
        seen.append(connection.close_code)

    async with serving(listen) as url:
        outcome = await node_peer.run(url, [("close",), ("closed",)])

    assert [1005] == seen
    assert [[1005, ""]] == outcome.results


# Without ["v1"] offered to a server that has none: clients of ws give up then.
SUBPROTOCOLS = [
    (["v2", "v1"], ["v1", "v2"], "v2"),
    (["v2", "v1"], ["v1"], "v1"),
    (None, [], None),
]


@pytest.mark.parametrize(("ours", "theirs", "agreed"), SUBPROTOCOLS)
async def test_both_agree_on_a_subprotocol(peer, serving, ours, theirs, agreed):
    """
    The first of our list that the client offers is chosen, on both sides.
    """

    async def tell(connection):
        await connection.send(str(connection.subprotocol))

    async with serving(tell, subprotocols=ours) as url:
        outcome = await peer.run(url, [("receive",)], subprotocols=theirs)

    assert ([str(agreed)], agreed) == outcome
