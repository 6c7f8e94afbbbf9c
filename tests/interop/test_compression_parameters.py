"""
Context takeover and window bits: every combination, with every peer.

Each test makes one connection through a relay that records it. Both ends must
understand each other, and the recording must show that each of our messages
kept to what the two had negotiated.
"""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest

from socketeer.asyncio.client import connect
from socketeer.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from .peers import Deflate
from .peers.aiohttp_peer import AiohttpPeer
from .wire import STEP, Inflater, Negotiated, tap

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    """Run on one event loop: what is compressed does not depend on it."""
    return "asyncio", {"use_uvloop": False}


# zlib has no windows of 8 bits for raw deflate streams.
WINDOW_BITS = range(9, 16)

COMBINATIONS = [
    Deflate(*combination)
    for combination in itertools.product(
        [False, True], [False, True], WINDOW_BITS, WINDOW_BITS
    )
]


def name(deflate):
    """Return a short name of a combination: bits, and who forgets."""
    forgets = "server " * deflate.server_no_context_takeover
    forgets += "client " * deflate.client_no_context_takeover
    bits = f"{deflate.server_max_window_bits} {deflate.client_max_window_bits}"
    return f"{bits} {forgets}".strip()


every_combination = pytest.mark.parametrize("deflate", COMBINATIONS, ids=name)

GENERATOR = random.Random(1951)


def digits(count):
    """Return random text: it can be compressed, but hardly repeats."""
    return "".join(GENERATOR.choices("0123456789abcdef", k=count))


# zlib refers no farther back than its window less 262 bytes: even the smallest
# window reaches from one of these messages into the one before it.
SHORT = digits(200)


def far_apart(bits):
    """
    Return text that repeats just beyond a window of so many bits.

    A larger window would refer to the first occurrence. (There is none larger
    than 15 bits, and nothing to prove about it.)
    """
    occurrence = digits(200)
    distance = 2**bits + STEP if bits < 15 else 1000
    return occurrence + digits(distance - len(occurrence)) + occurrence


FAR_APART = {bits: far_apart(bits) for bits in WINDOW_BITS}


def messages_for(deflate):
    """Return messages that would show a broken promise."""
    far = [
        FAR_APART[bits]
        for bits in {deflate.server_max_window_bits, deflate.client_max_window_bits}
        if bits is not None
    ]
    return [SHORT, SHORT, *far]


def negotiated(deflate):
    """Return the result of a handshake in which all wishes were granted."""
    return Negotiated(
        deflate.server_no_context_takeover,
        deflate.client_no_context_takeover,
        deflate.server_max_window_bits or 15,
        deflate.client_max_window_bits or 15,
    )


def check(recording, ours, promised, messages):
    """Check that our side of the recording kept to what it has promised."""
    takeover = not getattr(promised, f"{ours}_no_context_takeover")
    bits = getattr(promised, f"{ours}_max_window_bits")
    payloads = list(recording.messages(ours))
    inflater = Inflater(bits, takeover=takeover)

    assert messages == [inflater.inflate(payload).decode() for payload in payloads]
    # The second message is the first again: with takeover, a mere reference.
    assert takeover == (len(payloads[1]) < len(payloads[0]) // 2)


async def echo(connection):
    """Send back each message."""
    async for message in connection:
        await connection.send(message)


async def their_client_and_our_server(serving, peer, theirs, ours):
    """Exchange messages; return the recording, and what was sent."""
    messages = messages_for(theirs if theirs.asked_for() else ours)
    factory = ServerPerMessageDeflateFactory(**ours.asked_for())
    steps = [step for m in messages for step in (("send", m), ("receive",))]
    async with (
        serving(echo, compression=None, extensions=[factory]) as url,
        tap(url) as (relayed, recording),
    ):
        outcome = await peer.run(relayed, steps, deflate=theirs)
    assert messages == outcome.results
    return recording, messages


async def our_client_and_their_server(peer, ours, theirs):
    """Exchange messages; return the recording, and what was sent."""
    messages = messages_for(theirs if theirs.asked_for() else ours)
    options = {"client_max_window_bits": True, **ours.asked_for()}
    factory = ClientPerMessageDeflateFactory(**options)
    received = []
    async with (
        peer.serve("/echo", deflate=theirs) as url,
        tap(url) as (relayed, recording),
        connect(relayed, compression=None, extensions=[factory]) as connection,
    ):
        for message in messages:
            await connection.send(message)
            received.append(await connection.recv())
    assert messages == received
    return recording, messages


@every_combination
async def test_our_server_decides(serving, peer, deflate):
    """
    A client that asks for nothing gets what our server is configured for.
    """
    recording, messages = await their_client_and_our_server(
        serving, peer, Deflate(), deflate
    )

    assert negotiated(deflate) == recording.negotiated()
    check(recording, "server", negotiated(deflate), messages)


@every_combination
async def test_their_client_asks(serving, configurable_peer, deflate):
    """
    Our server, with no wishes of its own, does what the client asks for.
    """
    recording, messages = await their_client_and_our_server(
        serving, configurable_peer, deflate, Deflate()
    )

    assert negotiated(deflate) == recording.negotiated()
    check(recording, "server", negotiated(deflate), messages)


@every_combination
async def test_their_server_decides(configurable_peer, deflate):
    """
    Our client, which asks for nothing, does what the server decided.
    """
    recording, messages = await our_client_and_their_server(
        configurable_peer, Deflate(), deflate
    )

    assert negotiated(deflate) == recording.negotiated()
    check(recording, "client", negotiated(deflate), messages)


@every_combination
async def test_our_client_asks(configurable_peer, deflate):
    """
    Their server, with no wishes of its own, does what our client asks for.
    """
    recording, messages = await our_client_and_their_server(
        configurable_peer, deflate, Deflate()
    )

    assert negotiated(deflate) == recording.negotiated()
    check(recording, "client", negotiated(deflate), messages)


@pytest.mark.parametrize("bits", WINDOW_BITS)
async def test_a_client_of_aiohttp_asks(serving, bits):
    """
    The one parameter that such a client can ask for is granted.
    """
    deflate = Deflate(server_max_window_bits=bits)
    recording, messages = await their_client_and_our_server(
        serving, AiohttpPeer(), deflate, Deflate()
    )

    assert negotiated(deflate) == recording.negotiated()
    check(recording, "server", negotiated(deflate), messages)


@every_combination
async def test_our_client_asks_a_server_of_aiohttp(deflate):
    """
    Our client keeps to its own word, which such a server does not repeat.

    "By including this extension parameter in an extension negotiation offer,
    a client informs the peer server of a hint that even if the server doesn't
    include [it] in the corresponding extension negotiation response to the
    offer, the client is not going to use context takeover" (RFC 7692, 7.1.1.2;
    7.1.2.2 says the same of window bits).
    """
    # Such a server grants 15 bits without saying so, which is no answer to a
    # client that insists on them; leave them to the default.
    if deflate.server_max_window_bits == 15:
        deflate = dataclasses.replace(deflate, server_max_window_bits=None)
    recording, messages = await our_client_and_their_server(
        AiohttpPeer(), deflate, Deflate()
    )

    granted = dataclasses.replace(
        deflate, client_no_context_takeover=False, client_max_window_bits=15
    )
    assert negotiated(granted) == recording.negotiated()
    check(recording, "client", negotiated(deflate), messages)
