"""
How a client takes the answers of servers, right and wrong ones.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re

import pytest

from tests.asyncio.exchange import connecting, nothing_left_over
from tests.asyncio.raw import ACCEPT_SUFFIX, RawFrame, RawListener
from tests.under_test import lib

pytestmark = pytest.mark.anyio

TOO_LONG = r"read \d+ bytes, expected no more than 8192 bytes"


def accept_value(head):
    """
    Return the answer to the key of a request (RFC 6455, 4.2.2).
    """
    [key] = head.get_all("Sec-WebSocket-Key")
    digest = hashlib.sha1(key.encode() + ACCEPT_SUFFIX, usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


def switching(head, *added, without=()):
    """
    Return a 101 response, right but for what is asked.
    """
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_value(head)),
    ]
    fields = [pair for pair in fields if pair[0] not in without]
    lines = [f"{name}: {value}" for name, value in [*fields, *added]]
    return "\r\n".join(["HTTP/1.1 101 Fine", *lines, "", ""]).encode("latin-1")


@contextlib.asynccontextmanager
async def answered(answer, *, then=None, **options):
    """
    Let a client connect to a raw server that gives one answer.

    Args:
        answer: Bytes, or a function of the request that makes them.
        then: What the peer does next, by name; it closes in the end anyway.
        options: Arguments of `connect()`.

    Yields:
        The task in which `connect()` runs, and the peer.
    """
    listener = RawListener()
    uri = f"ws://127.0.0.1:{listener.port}/"
    opening = asyncio.create_task(connecting(uri, **options).connect())
    try:
        with contextlib.closing(await listener.accept()) as peer:
            head = await peer.read_head()
            data = answer(head) if callable(answer) else answer
            await peer.send(data)
            if then:
                getattr(peer, then)()
            yield opening, peer
            if not opening.done() or not opening.exception():
                (await opening).transport.abort()
    finally:
        listener.close()


async def error_after(answer, **options):
    """
    Return the exception with which `connect()` ends.
    """
    async with nothing_left_over():
        async with answered(answer, **options) as (opening, _):
            await asyncio.wait([opening])

            return opening.exception()


async def test_a_right_answer_opens():
    """
    Case, white space and further fields are free.
    """

    def answer(head):
        return (
            "HTTP/1.1 101 \r\n"
            "UPGRADE:WebSocket\r\n"
            "connection:  keep-alive, upgrade \r\n"
            f"sec-websocket-accept:\t{accept_value(head)}\t\r\n"
            "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
        ).encode()

    async with answered(answer) as (opening, _):
        connection = await opening

        assert lib.State.OPEN is connection.state
        assert ["a=1", "b=2"] == connection.response.headers.get_all("Set-Cookie")


async def test_an_answer_may_be_split_anywhere():
    """
    Where TCP cuts the response does not matter.
    """
    listener = RawListener()
    uri = f"ws://127.0.0.1:{listener.port}/"
    try:
        for at in range(1, 130, 3):
            opening = asyncio.create_task(connecting(uri).connect())
            with contextlib.closing(await listener.accept()) as peer:
                data = switching(await peer.read_head()) + peer.frame("81", b"first")
                await peer.send_split(data, at)
                connection = await opening

                assert "first" == await connection.recv(), at
                connection.transport.abort()
    finally:
        listener.close()


async def test_frames_right_behind_the_answer_are_received():
    """
    Bytes that arrive with the response belong to the connection.
    """

    def answer(head):
        return switching(head) + b"\x81\x05first\x82\x06second\x89\x00"

    async with answered(answer) as (opening, peer):
        connection = await opening

        assert "first" == await connection.recv()
        assert b"second" == await connection.recv()
        assert RawFrame(0x8A, b"") == await peer.read_frame()


async def test_a_close_frame_right_behind_the_answer():
    """
    A server may accept a connection only to say why it closes it.
    """

    def answer(head):
        return switching(head) + b"\x88\x06\x0f\xa0full"

    async with answered(answer, then="half_close") as (opening, _):
        connection = await opening

        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()
        assert (4000, "full") == (raised.value.rcvd.code, raised.value.rcvd.reason)


# Refusals: InvalidStatus with the whole response


@pytest.mark.parametrize("status", [100, 200, 204, 400, 403, 404, 426, 503])
async def test_another_status_is_a_refusal(status):
    """
    InvalidStatus tells the status and has the response.
    """
    answer = f"HTTP/1.1 {status} Whatever\r\nX-Why: because\r\n\r\n".encode()
    error = await error_after(answer, then="half_close")

    assert isinstance(error, lib.InvalidStatus)
    assert isinstance(error, lib.InvalidHandshake)
    assert f"server rejected WebSocket connection: HTTP {status}" == str(error)
    assert (status, "Whatever") == (
        error.response.status_code,
        error.response.reason_phrase,
    )
    assert "because" == error.response.headers["X-Why"]


@pytest.mark.parametrize(
    ("fields", "content", "then", "body"),
    [
        ("Content-Length: 4", b"full", None, b"full"),
        ("Content-Length: 0", b"", None, b""),
        ("Content-Length: 4", b"full, and more", None, b"full"),
        (
            "Transfer-Encoding: chunked",
            b"3\r\nful\r\n1\r\nl\r\n0\r\n\r\n",
            None,
            b"full",
        ),
        ("Transfer-Encoding: chunked", b"4;x=y\r\nfull\r\n0\r\n\r\n", None, b"full"),
        ("Transfer-Encoding: chunked", b"0\r\n\r\n", None, b""),
        ("Connection: close", b"full", "half_close", b"full"),
        ("Connection: close", b"", "half_close", b""),
    ],
    ids=[
        *("length", "no length", "less than sent", "chunks", "chunk extension"),
        *("no chunks", "until the end", "nothing until the end"),
    ],
)
async def test_the_body_of_a_refusal_is_read(fields, content, then, body):
    """
    By Content-Length, by chunks, or up to the end (RFC 9112, 6.3).
    """
    answer = f"HTTP/1.1 403 Forbidden\r\n{fields}\r\n\r\n".encode() + content
    error = await error_after(answer, then=then)

    assert isinstance(error, lib.InvalidStatus)
    assert body == bytes(error.response.body)


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ("Content-Length: 2000000", b""),
        ("Content-Length: -1", b""),
        ("Content-Length: ten", b""),
        ("Content-Length: 4", b"fu"),
        ("Transfer-Encoding: chunked", b"x\r\n"),
        ("Transfer-Encoding: chunked", b"200000\r\n"),
        ("Transfer-Encoding: gzip", b""),
    ],
)
async def test_a_wrong_body_is_no_valid_response(fields, content):
    """
    Bodies have 1 MiB at most, and an end that can be found.
    """
    answer = f"HTTP/1.1 403 Forbidden\r\n{fields}\r\n\r\n".encode() + content
    error = await error_after(answer, then="half_close")

    assert isinstance(error, lib.InvalidMessage)
    assert "did not receive a valid HTTP response" == str(error)


# No valid response at all


@pytest.mark.parametrize("then", ["half_close", "reset"])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101 Fi",
        b"HTTP/1.1 101 Fine\r\nUpgrade: webs",
        b"220 smtp.test ESMTP\r\n\r\n",
        b"HTTP/2.0 101 Fine\r\n\r\n",
        b"HTTP/1.1 1 Fine\r\n\r\n",
        b"HTTP/1.1 abc Fine\r\n\r\n",
        b"HTTP/1.1 101\x00Fine\r\n\r\n",
        b"HTTP/1.1 101 Fine\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Fine\r\nX : space\r\n\r\n",
        b"HTTP/1.1 101 Fine\nUpgrade: websocket\n\n",
    ],
)
async def test_no_valid_response(answer, then):
    """
    InvalidMessage, whatever it was instead; the cause tells more.
    """
    error = await error_after(answer, then=then)

    assert isinstance(error, lib.InvalidMessage)
    assert isinstance(error, lib.InvalidHandshake)
    assert "did not receive a valid HTTP response" == str(error)
    assert error.__cause__ is not None


async def test_a_server_that_ends_without_an_answer():
    """
    The cause of InvalidMessage is EOFError; programs ask for it.
    """
    error = await error_after(b"", then="half_close")

    assert isinstance(error.__cause__, EOFError)


async def test_an_over_long_status_line():
    """
    A line has 8192 bytes at most.
    """
    error = await error_after(b"HTTP/1.1 101 " + b"a" * 9000, then="half_close")

    assert isinstance(error, lib.StatusLineTooLong)
    assert isinstance(error, lib.SecurityError)
    assert re.fullmatch(TOO_LONG, str(error))


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        (b"X: " + b"a" * 9000, lib.HeaderLineTooLong, TOO_LONG),
        (b"X: a\r\n" * 200, lib.TooManyHeaders, "expected no more than 128 headers"),
    ],
    ids=["header line", "headers"],
)
async def test_over_long_headers(fields, kind, text):
    """
    8192 bytes a line, 128 fields: more is no valid response, the cause says so.
    """
    answer = b"HTTP/1.1 101 Fine\r\n" + fields + b"\r\n"
    error = await error_after(answer, then="half_close")

    assert isinstance(error, lib.InvalidMessage)
    assert isinstance(error.__cause__, kind)
    assert re.fullmatch(text, str(error.__cause__))


# Wrong handshakes


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"without": ("Upgrade",)}, lib.InvalidUpgrade, "missing Upgrade header"),
        (
            {"without": ("Upgrade",), "added": ("Upgrade", "h2c")},
            lib.InvalidUpgrade,
            "invalid Upgrade header: h2c",
        ),
        ({"without": ("Connection",)}, lib.InvalidUpgrade, "missing Connection header"),
        (
            {"without": ("Connection",), "added": ("Connection", "close")},
            lib.InvalidUpgrade,
            "invalid Connection header: close",
        ),
        (
            {"without": ("Sec-WebSocket-Accept",)},
            lib.InvalidHeader,
            "missing Sec-WebSocket-Accept header",
        ),
        (
            {
                "without": ("Sec-WebSocket-Accept",),
                "added": ("Sec-WebSocket-Accept", "wrong"),
            },
            lib.InvalidHeaderValue,
            "invalid Sec-WebSocket-Accept header: wrong",
        ),
        (
            {"added": ("Sec-WebSocket-Accept", "twice")},
            lib.InvalidHeader,
            "invalid Sec-WebSocket-Accept header: multiple values",
        ),
        (
            {"added": ("Sec-WebSocket-Extensions", "x-unknown")},
            lib.NegotiationError,
            "Unsupported extension: name = x-unknown, params = []",
        ),
        (
            {"added": ("Sec-WebSocket-Protocol", "chat")},
            lib.NegotiationError,
            "no subprotocols supported",
        ),
    ],
)
async def test_a_wrong_handshake(changes, kind, text):
    """
    Each violation has its exception, which names the field.
    """
    added = [changes["added"]] if "added" in changes else []

    def answer(head):
        return switching(head, *added, without=changes.get("without", ()))

    error = await error_after(answer)

    assert kind is type(error)
    assert isinstance(error, lib.InvalidHandshake)
    assert text == str(error)


async def test_a_subprotocol_that_was_not_offered():
    """
    The server must choose one of the client's (RFC 6455, 4.1).
    """

    def answer(head):
        return switching(head, ("Sec-WebSocket-Protocol", "other"))

    error = await error_after(answer, subprotocols=["chat"])

    assert isinstance(error, lib.NegotiationError)
    assert "unsupported subprotocol: other" == str(error)


async def test_the_subprotocol_that_was_chosen():
    """
    `subprotocol` is the server's choice.
    """

    def answer(head):
        return switching(head, ("Sec-WebSocket-Protocol", "superchat"))

    async with answered(answer, subprotocols=["chat", "superchat"]) as (opening, _):
        assert "superchat" == (await opening).subprotocol


@pytest.mark.parametrize(
    "answer",
    [
        lambda head: switching(head, without=("Upgrade",)),
        b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["wrong handshake", "refusal"],
)
async def test_the_tcp_connection_ends_with_the_error(answer):
    """
    When `connect()` raises, the server sees the end.
    """
    async with nothing_left_over(), answered(answer) as (opening, peer):
        await asyncio.wait([opening])

        assert opening.exception() is not None
        assert b"" == await peer.read_rest()
