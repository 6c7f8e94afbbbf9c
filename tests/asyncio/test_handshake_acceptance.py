"""
What a server accepts as an opening handshake, and how it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from email.utils import parsedate_to_datetime

import pytest

from tests.asyncio.exchange import ACCEPT, dial, opening_request, serving
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = pytest.mark.anyio

LINE = "GET / HTTP/1.1"
PYTHON = f"Python/{sys.version_info[0]}.{sys.version_info[1]}"
DEFLATE = "permessage-deflate"


def instead(name, value):
    """
    Return an opening request with another value of a usual field.
    """
    return opening_request(LINE, (name, value), without=(name,))


async def response_to(request_bytes, **options):
    """
    Return the head with which a server answers.
    """
    async with serving(**options) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(request_bytes)
            return await peer.read_head()


async def test_the_answer_has_its_fields_in_order():
    """
    101 with the accept value of RFC 6455, 1.3; Server comes last.
    """
    head = await response_to(opening_request())

    assert "HTTP/1.1 101 Switching Protocols" == head.first_line
    [(date, moment), *rest] = head.lines
    assert "Date" == date
    parsedate_to_datetime(moment)
    assert [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
        ("Server", f"{PYTHON} {lib.__name__}/{lib.__version__}"),
    ] == rest


async def test_extension_and_subprotocol_stand_before_the_server_field():
    """
    Sec-WebSocket-Extensions, then Sec-WebSocket-Protocol, then Server.
    """
    request = opening_request(
        LINE, ("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Extensions", DEFLATE)
    )
    head = await response_to(request, subprotocols=["chat"])

    assert [
        ("Sec-WebSocket-Extensions", f"{DEFLATE}; server_max_window_bits=12"),
        ("Sec-WebSocket-Protocol", "chat"),
    ] == list(head.lines[4:6])


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (DEFLATE, [f"{DEFLATE}; server_max_window_bits=12"]),
        (
            f"{DEFLATE}; client_max_window_bits",
            [f"{DEFLATE}; server_max_window_bits=12; client_max_window_bits=12"],
        ),
        ("x-unknown", []),
        (f"x-unknown, {DEFLATE}", [f"{DEFLATE}; server_max_window_bits=12"]),
    ],
)
async def test_compression_is_accepted_with_small_windows(offer, answer):
    """
    By default both windows are 2^12 bytes, the client's if it can be chosen.
    """
    request = opening_request(LINE, ("Sec-WebSocket-Extensions", offer))
    head = await response_to(request)

    assert answer == head.get_all("Sec-WebSocket-Extensions")


async def test_compression_none_accepts_no_extension():
    """
    With `compression=None` the offer goes unanswered.
    """
    request = opening_request(LINE, ("Sec-WebSocket-Extensions", DEFLATE))
    head = await response_to(request, compression=None)

    assert [] == head.get_all("Sec-WebSocket-Extensions")


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        (["superchat, chat"], "chat"),
        (["superchat", "chat"], "chat"),
        (["other, superchat"], "superchat"),
    ],
)
async def test_the_server_prefers_its_first_subprotocol(offers, chosen):
    """
    The choice is the first of the server's list that the client offers.
    """
    fields = [("Sec-WebSocket-Protocol", offer) for offer in offers]
    request = opening_request(LINE, *fields)
    head = await response_to(request, subprotocols=["chat", "superchat"])

    assert [chosen] == head.get_all("Sec-WebSocket-Protocol")


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(instead("Connection", "keep-alive, Upgrade"), id="Firefox"),
        pytest.param(instead("Connection", "upgrade,keep-alive"), id="no space"),
        pytest.param(instead("Connection", "UPGRADE"), id="upper case"),
        pytest.param(instead("Connection", ", Upgrade ,"), id="empty elements"),
        pytest.param(instead("Upgrade", "WebSocket"), id="WebSocket"),
        pytest.param(
            opening_request(LINE, ("Connection", "keep-alive")), id="two fields"
        ),
        pytest.param(opening_request(without=("Host",)), id="no Host"),
        pytest.param(
            opening_request(LINE, ("Content-Length", "0")), id="empty content"
        ),
        pytest.param(
            opening_request().replace(b": ", b":"), id="no space behind colons"
        ),
        pytest.param(
            opening_request(LINE, ("X-Empty", ""), ("X-Latin-1", "\xe9")),
            id="empty and non-ASCII values",
        ),
        pytest.param(
            opening_request()
            .replace(b"Sec-WebSocket", b"sec-websocket")
            .replace(b"Connection", b"connection")
            .replace(b"Upgrade:", b"UPGRADE:"),
            id="names in any case",
        ),
        pytest.param(opening_request("GET * HTTP/1.1"), id="asterisk"),
        pytest.param(opening_request("GET /%20?a=b&c HTTP/1.1"), id="query"),
    ],
)
async def test_unusual_requests_are_accepted(request_bytes):
    """
    Lists, case, white space and order are as free as the RFCs leave them.
    """
    head = await response_to(request_bytes)

    assert "HTTP/1.1 101 Switching Protocols" == head.first_line
    assert [ACCEPT] == head.get_all("Sec-WebSocket-Accept")


async def test_white_space_around_values_is_not_part_of_them():
    """
    Optional white space belongs to the line, not to the value (RFC 9110, 5.5).
    """
    seen = []

    def process_request(connection, request):
        seen.append(request.headers["X-Padded"])

    request = opening_request(LINE, ("X-Padded", "\t in the middle \t"))
    await response_to(request, process_request=process_request)

    assert ["in the middle"] == seen


async def test_a_request_may_come_in_two_pieces_split_anywhere():
    """
    Where TCP cuts the request does not matter.
    """
    request = opening_request()
    async with serving() as server:
        for at in range(1, len(request)):
            with contextlib.closing(await dial(server.port)) as peer:
                await peer.send_split(request, at)
                head = await peer.read_head()

            assert "HTTP/1.1 101 Switching Protocols" == head.first_line, at


async def test_a_request_may_come_byte_by_byte():
    """
    A line may be spread over any number of reads.
    """
    async with serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            for byte in opening_request():
                await peer.send_split(bytes([byte]), 0)
            head = await peer.read_head()

    assert "HTTP/1.1 101 Switching Protocols" == head.first_line


async def test_frames_right_behind_the_request_are_received():
    """
    Bytes that arrive with the request belong to the connection.
    """
    async with serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            frames = peer.frame("81", b"first") + peer.frame("82", b"second")
            await peer.send(opening_request() + frames)
            await peer.read_head()

            assert RawFrame(0x81, b"first") == await peer.read_frame()
            assert RawFrame(0x82, b"second") == await peer.read_frame()


async def test_a_frame_may_begin_behind_the_request_and_end_later():
    """
    Wherever the first read ends in a frame, the frame arrives whole.
    """
    async with serving() as server:
        for at in range(1, 12):
            with contextlib.closing(await dial(server.port)) as peer:
                request = opening_request()
                data = request + peer.frame("81", b"whole")
                await peer.send_split(data, len(request) + at)
                await peer.read_head()

                assert RawFrame(0x81, b"whole") == await peer.read_frame(), at


async def test_frames_behind_the_request_wait_for_a_slow_hook():
    """
    A coroutine that decides about the request delays frames, and loses none.
    """

    async def process_request(connection, request):
        await asking.wait()

    asking = asyncio.Event()
    async with serving(process_request=process_request) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request() + peer.frame("81", b"early"))
            await peer.send(peer.frame("81", b"later"))
            asking.set()
            await peer.read_head()

            assert RawFrame(0x81, b"early") == await peer.read_frame()
            assert RawFrame(0x81, b"later") == await peer.read_frame()


@pytest.mark.ours
async def test_a_close_frame_right_behind_the_request_closes_at_once():
    """
    The closing handshake may follow the opening one in the same read.
    """
    async with serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request() + peer.frame("88", b"\x03\xe8"))
            await peer.read_head()

            assert (1000, "") == await peer.read_close()
            assert b"" == await peer.read_rest()


async def test_the_handler_sees_the_request_and_the_response():
    """
    `request` and `response` are what was on the wire.
    """
    seen = []

    async def handler(connection):
        seen.append((connection.request, connection.response))

    async with serving(handler) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request("GET /a?b=c HTTP/1.1", ("X-Twice", "1")))
            head = await peer.read_head()
            await peer.read_close()

    [(request, response)] = seen
    assert "/a?b=c" == request.path
    assert "1" == request.headers["x-twice"]
    assert (101, "Switching Protocols") == (
        response.status_code,
        response.reason_phrase,
    )
    assert list(head.lines) == list(response.headers.raw_items())
