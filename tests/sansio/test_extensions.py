"""
Extensions at work: every frame passes through them, both ways.
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.under_test import submodule

from .wire import CLOSE, CONT, PING, PONG, TEXT, close, frame, from_client, request

exceptions = submodule("exceptions")
extensions = submodule("extensions")
frames = submodule("frames")
protocol = submodule("protocol")
server = submodule("server")
deflate = submodule("extensions.permessage_deflate")

Close, Frame, Opcode = frames.Close, frames.Frame, frames.Opcode


class Tag(extensions.Extension):
    """
    Put a mark behind every payload and set RSV2.
    """

    name = "x-tag"

    def __init__(self, mark, seen=None):
        self.mark = mark
        self.seen = seen if seen is not None else []

    def encode(self, frame):
        self.seen.append(("encode", self.mark, frame.opcode))
        return dataclasses.replace(frame, data=frame.data + self.mark, rsv2=True)

    def decode(self, frame, *, max_size=None):
        self.seen.append(("decode", self.mark, frame.opcode, max_size))
        assert frame.data.endswith(self.mark)
        return dataclasses.replace(
            frame, data=frame.data[: -len(self.mark)], rsv2=False
        )


def make(*items, **kwargs):
    """
    Return a server's end of an open connection with extensions.
    """
    endpoint = protocol.Protocol(protocol.Side.SERVER, **kwargs)
    endpoint.extensions = list(items)
    return endpoint


def test_every_frame_is_encoded():
    """
    Control frames as well, also those that the protocol sends by itself.
    """
    endpoint = make(Tag(b"!"))
    endpoint.send_text(b"one", fin=False)
    endpoint.send_ping(b"two")
    endpoint.send_continuation(b"three", fin=True)
    endpoint.receive_data(from_client(PING, b"four!", rsv=2))
    endpoint.send_close(1000)

    assert [
        frame(TEXT, b"one!", fin=False, rsv=2),
        frame(PING, b"two!", rsv=2),
        frame(CONT, b"three!", rsv=2),
        frame(PONG, b"four!", rsv=2),
        frame(CLOSE, close(1000) + b"!", rsv=2),
    ] == endpoint.data_to_send()


@pytest.mark.parametrize("size", [1, 1000])
def test_every_frame_is_decoded(size):
    """
    Control frames as well; what they mean is what was decoded.
    """
    endpoint = make(Tag(b"!"))
    data = (
        from_client(TEXT, b"one!", fin=False, rsv=2)
        + from_client(PONG, b"two!", rsv=2)
        + from_client(CONT, b"three!", rsv=2)
        + from_client(CLOSE, close(1000) + b"!", rsv=2)
    )
    for start in range(0, len(data), size):
        endpoint.receive_data(data[start : start + size])

    assert [
        Frame(Opcode.TEXT, b"one", fin=False),
        Frame(Opcode.PONG, b"two"),
        Frame(Opcode.CONT, b"three"),
        Frame(Opcode.CLOSE, close(1000)),
    ] == endpoint.events_received()
    assert Close(1000, "") == endpoint.close_rcvd


def test_extensions_are_used_in_order():
    """
    In the order of negotiation when sending, in reverse when receiving
    (RFC 6455, 9.1).
    """
    seen = []
    endpoint = make(Tag(b"1", seen), Tag(b"2", seen))
    endpoint.send_text(b"x")
    endpoint.receive_data(from_client(TEXT, b"x12", rsv=2))

    assert [frame(TEXT, b"x12", rsv=2)] == endpoint.data_to_send()
    assert [Frame(Opcode.TEXT, b"x")] == endpoint.events_received()
    assert [
        ("encode", b"1", Opcode.TEXT),
        ("encode", b"2", Opcode.TEXT),
        ("decode", b"2", Opcode.TEXT, 2**20),
        ("decode", b"1", Opcode.TEXT, 2**20),
    ] == seen


@pytest.mark.parametrize(
    ("max_size", "sizes"),
    [
        (None, [None, None]),
        (10, [10, 7]),
        ((None, 5), [5, 5]),
        ((10, 8), [8, 7]),
    ],
)
def test_extensions_are_told_how_much_may_result(max_size, sizes):
    """
    What is left of the message's limit after decoding, or the frame's limit.
    """
    seen = []
    endpoint = make(Tag(b"!", seen), max_size=max_size)
    endpoint.receive_data(from_client(TEXT, b"one!", fin=False, rsv=2))
    endpoint.receive_data(from_client(CONT, b"two!", rsv=2))

    assert sizes == [item[3] for item in seen]


@pytest.mark.parametrize("rsv", [4, 1])
def test_bits_that_no_extension_clears_fail_the_connection(rsv):
    """
    Of data frames and of control frames.
    """
    for opcode in (TEXT, PING):
        endpoint = make(Tag(b"!"))
        endpoint.receive_data(from_client(opcode, b"one!", rsv=rsv | 2))

        assert "reserved bits must be 0" == str(endpoint.parser_exc)
        assert [] == endpoint.events_received()


class Broken(extensions.Extension):
    """
    Raise an exception while decoding.
    """

    name = "x-broken"

    def __init__(self, exc):
        self.exc = exc

    def encode(self, frame):
        return frame

    def decode(self, frame, *, max_size=None):
        raise self.exc


def test_what_an_extension_raises_fails_the_connection(caplog):
    """
    Code 1011 and a traceback in the log: it is a mistake on our side.
    """
    exc = ZeroDivisionError("secret")
    endpoint = make(Broken(exc))
    endpoint.receive_data(from_client(TEXT, b"x"))
    [record] = caplog.records

    assert Close(1011, "") == endpoint.close_sent
    assert endpoint.parser_exc is exc
    assert ("ERROR", "parser failed") == (record.levelname, record.getMessage())
    assert record.exc_info[1] is exc


@pytest.mark.parametrize(
    ("exc", "code", "reason"),
    [
        (exceptions.ProtocolError("wrong marks"), 1002, "wrong marks"),
        (
            exceptions.PayloadTooBig(None, 7),
            *(1009, "frame after reading 3 bytes exceeds limit of 10 bytes"),
        ),
    ],
)
def test_violations_found_by_an_extension_fail_the_connection(
    caplog, exc, code, reason
):
    """
    These are mistakes of the peer. The size of a message counts from its start.
    """
    endpoint = make(max_size=10)
    endpoint.receive_data(from_client(TEXT, b"one", fin=False))
    endpoint.extensions = [Broken(exc)]
    endpoint.receive_data(from_client(CONT, b"x"))

    assert Close(code, reason) == endpoint.close_sent
    assert [] == caplog.records


@pytest.mark.parametrize(
    ("item", "method", "args"),
    [
        (extensions.Extension, "encode", (None,)),
        (extensions.Extension, "decode", (None,)),
        (extensions.ClientExtensionFactory, "get_request_params", ()),
        (extensions.ClientExtensionFactory, "process_response_params", ([], [])),
        (extensions.ServerExtensionFactory, "process_request_params", ([], [])),
    ],
)
def test_an_extension_has_to_do_its_part(item, method, args):
    """
    The base classes are the interface, nothing more.
    """
    with pytest.raises(NotImplementedError):
        getattr(item(), method)(*args)


class TagFactory(extensions.ServerExtensionFactory):
    """
    Accept "x-tag; mark=...".
    """

    name = "x-tag"

    def process_request_params(self, params, accepted_extensions):
        mark = dict(params).get("mark")
        if mark is None:
            raise exceptions.NegotiationError("a mark is needed")
        return [("mark", mark)], Tag(mark.encode())


def test_several_extensions_are_negotiated():
    """
    The answer has the order of the offer; so have the extensions.
    """
    endpoint = server.ServerProtocol(
        extensions=[TagFactory(), deflate.ServerPerMessageDeflateFactory()]
    )
    endpoint.receive_data(
        request(
            (
                "Sec-WebSocket-Extensions",
                "x-tag, permessage-deflate; server_no_context_takeover, x-tag; mark=x",
            )
        )
    )
    [event] = endpoint.events_received()
    response = endpoint.accept(event)

    assert (
        "permessage-deflate; server_no_context_takeover, x-tag; mark=x"
        == (response.headers["Sec-WebSocket-Extensions"])
    )
    assert ["permessage-deflate", "x-tag"] == [
        extension.name for extension in endpoint.extensions
    ]
