"""
permessage-deflate: negotiation (RFC 7692, 7.1) and frames (7.2).
"""

from __future__ import annotations

import itertools
import random
import zlib

import pytest
import websockets.extensions.permessage_deflate as reference

from tests.under_test import submodule

from .wire import CONT, TEXT, close, frame, from_client

exceptions = submodule("exceptions")
frames = submodule("frames")
protocol = submodule("protocol")
deflate = submodule("extensions.permessage_deflate")

Close, Frame, Opcode = frames.Close, frames.Frame, frames.Opcode
PerMessageDeflate = deflate.PerMessageDeflate
ClientFactory = deflate.ClientPerMessageDeflateFactory
ServerFactory = deflate.ServerPerMessageDeflateFactory

HELLO = bytes.fromhex("f248cdc9c90700")
HELLO_AGAIN = bytes.fromhex("f200110000")


@pytest.fixture
def extension():
    """
    With context takeover and the largest windows.
    """
    return PerMessageDeflate(False, False, 15, 15)


def describe(extension):
    """
    Return what both sides must agree on.
    """
    return (
        extension.remote_no_context_takeover,
        extension.local_no_context_takeover,
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
    )


# Negotiation

# All values that matter: those around every limit, and all kinds of nonsense.
OFFERED_BITS = ["absent", None, "8", "9", "12", "15", "7", "16", "08", "x", ""]
CLIENT_CONFIGURATIONS = list(
    itertools.product(
        [False, True], [False, True], [None, 8, 9, 12, 15], [None, True, 9, 12, 15]
    )
)
SERVER_CONFIGURATIONS = list(
    itertools.product(
        *([False, True], [False, True], [None, 9, 12, 15], [None, 8, 9, 12, 15]),
        [False, True],
    )
)


def parameters():
    """
    Give every combination of parameters, and some that have no place.
    """
    for flags in itertools.product(["absent", None, "1"], repeat=2):
        for bits in itertools.product(OFFERED_BITS, repeat=2):
            names = [
                *("server_no_context_takeover", "client_no_context_takeover"),
                *("server_max_window_bits", "client_max_window_bits"),
            ]
            yield [
                (name, value)
                for name, value in zip(names, (*flags, *bits), strict=True)
                if value != "absent"
            ]
    for name in names:
        yield [(name, "10"), (name, "10")]
        yield [(name, None), (name, None)]
    yield [("x-unknown", None)]
    yield [("x-unknown", "1"), ("server_max_window_bits", "x")]


def outcome(function, *args):
    """
    Call a function; return what it returns or raises, in comparable form.
    """
    try:
        result = function(*args)
    except Exception as exc:  # noqa: BLE001 - all of them are compared
        return type(exc).__name__, str(exc)
    if isinstance(result, tuple):
        return result[0], describe(result[1])
    return describe(result)


@pytest.mark.parametrize("configuration", CLIENT_CONFIGURATIONS)
def test_clients_take_every_answer_as_websockets_does(configuration):
    """
    For every configuration and every combination of parameters, the result or
    the error is the same.
    """
    ours = ClientFactory(*configuration)
    theirs = reference.ClientPerMessageDeflateFactory(*configuration)
    for params in parameters():
        expected = outcome(theirs.process_response_params, params, [])
        assert expected == outcome(ours.process_response_params, params, []), params


@pytest.mark.parametrize("configuration", SERVER_CONFIGURATIONS)
def test_servers_answer_every_offer_as_websockets_does(configuration):
    """
    For every configuration and every combination of parameters, the answer, the
    result or the error is the same.
    """
    server_nct, client_nct, server_bits, client_bits, required = configuration
    if required and client_bits is None:
        return
    args = (server_nct, client_nct, server_bits, client_bits, None, required)
    ours = ServerFactory(*args)
    theirs = reference.ServerPerMessageDeflateFactory(*args)
    for params in parameters():
        expected = outcome(theirs.process_request_params, params, [])
        assert expected == outcome(ours.process_request_params, params, []), params


@pytest.mark.parametrize("configuration", CLIENT_CONFIGURATIONS)
def test_clients_offer_what_websockets_offers(configuration):
    """
    Same parameters, same order.
    """
    ours = ClientFactory(*configuration)
    theirs = reference.ClientPerMessageDeflateFactory(*configuration)

    assert theirs.get_request_params() == ours.get_request_params()


@pytest.mark.parametrize("client_configuration", CLIENT_CONFIGURATIONS)
def test_both_sides_agree(client_configuration):
    """
    Whatever a server answers, the client accepts it, and each side's local
    parameters are the other's remote ones.
    """
    client = ClientFactory(*client_configuration)
    offer = client.get_request_params()
    for *configuration, required in SERVER_CONFIGURATIONS:
        if required and configuration[3] is None:
            continue
        server = ServerFactory(*configuration, None, required)
        if ("server_max_window_bits", "8") in offer or (
            required and client.client_max_window_bits is None
        ):
            with pytest.raises(exceptions.NegotiationError):
                server.process_request_params(offer, [])
            continue
        answer, at_server = server.process_request_params(offer, [])
        if ("client_max_window_bits", "8") in answer:
            # It may ask for that; zlib cannot do it.
            with pytest.raises(exceptions.NegotiationError, match="8, use 9$"):
                client.process_response_params(answer, [])
            continue
        at_client = client.process_response_params(answer, [])

        # A client may do more than it was asked for.
        received = describe(at_client)[:1] + describe(at_client)[2:3]
        assert received == (
            at_server.local_no_context_takeover,
            at_server.local_max_window_bits,
        )
        assert (
            at_client.local_no_context_takeover >= at_server.remote_no_context_takeover
        )
        assert at_client.local_max_window_bits <= at_server.remote_max_window_bits


def test_reads_the_example_of_the_rfc():
    """
    RFC 7692, 7.1.3: the second offer is accepted without the hint.
    """
    factory = ServerFactory(server_max_window_bits=10)

    assert [("server_max_window_bits", "10")] == factory.process_request_params(
        [("client_max_window_bits", None)], []
    )[0]


def test_is_negotiated_once(extension):
    """
    Two extensions cannot both use RSV1.
    """
    with pytest.raises(
        exceptions.NegotiationError, match="^received duplicate permessage-deflate$"
    ):
        ClientFactory().process_response_params([], [extension])
    with pytest.raises(
        exceptions.NegotiationError, match="^skipped duplicate permessage-deflate$"
    ):
        ServerFactory().process_request_params([], [extension])


# Configuration

WRONG = [
    *[
        (ClientFactory, {"server_max_window_bits": bits}, "between 8 and 15")
        for bits in (0, 7, 16, True)
    ],
    *[
        (ClientFactory, {"client_max_window_bits": bits}, "between 9 and 15")
        for bits in (0, 8, 16, False)
    ],
    *[
        (ServerFactory, {"server_max_window_bits": bits}, "between 9 and 15")
        for bits in (0, 8, 16, True)
    ],
    *[
        (ServerFactory, {"client_max_window_bits": bits}, "between 8 and 15")
        for bits in (0, 7, 16, True)
    ],
    (
        *(ClientFactory, {"compress_settings": {"wbits": 12}}),
        "compress_settings must not include wbits, set client_max_window_bits instead",
    ),
    (
        *(ServerFactory, {"compress_settings": {"wbits": 12}}),
        "compress_settings must not include wbits, set server_max_window_bits instead",
    ),
    (
        *(ServerFactory, {"require_client_max_window_bits": True}),
        (
            "require_client_max_window_bits is enabled, "
            "but client_max_window_bits isn't configured"
        ),
    ),
]


@pytest.mark.parametrize(("factory", "kwargs", "text"), WRONG)
def test_refuses_a_wrong_configuration(factory, kwargs, text):
    """
    At once, not when a peer connects.
    """
    with pytest.raises(ValueError, match=f"{text}$"):
        factory(**kwargs)


@pytest.mark.parametrize(
    "args",
    [
        (False, False, 7, 15),
        (False, False, 16, 15),
        (False, False, 15, 8),
        (False, False, 15, 16),
    ],
)
def test_refuses_window_bits_out_of_range(args):
    """
    8 bits are for the peer's compressor only.
    """
    with pytest.raises((ValueError, AssertionError)):
        PerMessageDeflate(*args)


def test_shows_what_was_negotiated():
    """
    In logs.
    """
    extension = PerMessageDeflate(True, False, 12, 9, {"memLevel": 5})

    assert (
        "PerMessageDeflate(remote_no_context_takeover=True, "
        "local_no_context_takeover=False, remote_max_window_bits=12, "
        "local_max_window_bits=9)"
    ) == repr(extension)
    assert {"memLevel": 5} == extension.compress_settings


def test_clients_compress_by_default():
    """
    With 32 KiB at most, and less memory than zlib's default.
    """
    for extensions in (None, [], ()):
        [factory] = deflate.enable_client_permessage_deflate(extensions)

        assert [("client_max_window_bits", None)] == factory.get_request_params()
        assert {"memLevel": 5} == factory.compress_settings


def test_servers_compress_by_default():
    """
    With 4 KiB in both directions if the client allows it.
    """
    for extensions in (None, [], ()):
        [factory] = deflate.enable_server_permessage_deflate(extensions)
        params, extension = factory.process_request_params(
            [("client_max_window_bits", None)], []
        )

        assert [
            ("server_max_window_bits", "12"),
            ("client_max_window_bits", "12"),
        ] == params
        assert (False, False, 12, 12) == describe(extension)
        assert {"memLevel": 5} == extension.compress_settings


@pytest.mark.parametrize("side", ["client", "server"])
def test_defaults_do_not_replace_a_configuration(side):
    """
    Other extensions stay in front; an own factory stays alone.
    """
    enable = getattr(deflate, f"enable_{side}_permessage_deflate")
    factory = {"client": ClientFactory, "server": ServerFactory}[side](True)

    class Other:
        name = "x-other"

    assert [factory] == list(enable([factory]))
    assert ["x-other", "permessage-deflate"] == [item.name for item in enable([Other])]


# Frames


def test_compresses_messages(extension):
    """
    RSV1 tells that it is compressed; the second one refers to the first.
    """
    expected = [
        Frame(Opcode.TEXT, b"Hello"),
        Frame(Opcode.TEXT, b"Hello"),
    ]
    encoded = [extension.encode(item) for item in expected]
    peer = PerMessageDeflate(False, False, 15, 15)

    assert all(item.rsv1 for item in encoded)
    assert len(encoded[1].data) < len(encoded[0].data)
    assert expected == [peer.decode(item) for item in encoded]


def test_decompresses_the_messages_of_the_rfc(extension):
    """
    RFC 7692, 7.2.3.1 and 7.2.3.2.
    """
    decoded = [
        extension.decode(Frame(Opcode.TEXT, payload, rsv1=True))
        for payload in (HELLO, HELLO_AGAIN)
    ]

    assert [Frame(Opcode.TEXT, b"Hello")] * 2 == decoded


def test_decompresses_fragments(extension):
    """
    Only the first one has RSV1 set (RFC 7692, 7.2.3.1).
    """
    decoded = [
        extension.decode(Frame(Opcode.TEXT, HELLO[:3], fin=False, rsv1=True)),
        extension.decode(Frame(Opcode.PONG, b"x")),
        extension.decode(Frame(Opcode.CONT, HELLO[3:])),
    ]

    assert b"Hello" == decoded[0].data + decoded[2].data
    assert [False, True, True] == [item.fin for item in decoded]
    assert not any(item.rsv1 for item in decoded)


def test_compresses_fragments(extension):
    """
    Only the first one has RSV1 set (RFC 7692, 6.1).
    """
    encoded = [
        extension.encode(Frame(Opcode.BINARY, b"one", fin=False)),
        extension.encode(Frame(Opcode.CONT, b"two", fin=False)),
        extension.encode(Frame(Opcode.CONT, b"")),
    ]
    payload = b"".join(item.data for item in encoded)

    assert [True, False, False] == [item.rsv1 for item in encoded]
    assert b"onetwo" == zlib.decompressobj(-15).decompress(payload)


@pytest.mark.parametrize("opcode", [Opcode.CLOSE, Opcode.PING, Opcode.PONG])
def test_leaves_control_frames_alone(extension, opcode):
    """
    They are never compressed (RFC 7692, 6.1).
    """
    frame = Frame(opcode, b"\x03\xe8")

    assert extension.encode(frame) is frame
    assert extension.decode(frame) is frame


def test_leaves_uncompressed_messages_alone(extension):
    """
    The sender decides for every message (RFC 7692, 6).
    """
    items = [
        Frame(Opcode.TEXT, b"one", fin=False),
        Frame(Opcode.CONT, b"two"),
        Frame(Opcode.TEXT, b"three"),
    ]

    assert items == [extension.decode(item) for item in items]


@pytest.mark.parametrize("data", [bytearray(HELLO), memoryview(HELLO)], ids=type)
def test_takes_any_bytes(extension, data):
    """
    Frames of programs have any bytes-like object.
    """
    assert b"Hello" == extension.decode(Frame(Opcode.TEXT, data, rsv1=True)).data
    assert bytes is type(extension.encode(Frame(Opcode.TEXT, data)).data)


def test_bounds_what_it_decompresses(extension):
    """
    As many bytes as allowed pass; one more is too many.
    """
    decoded = extension.decode(Frame(Opcode.TEXT, HELLO, rsv1=True), max_size=5)
    assert b"Hello" == decoded.data

    with pytest.raises(
        exceptions.PayloadTooBig, match="^frame exceeds limit of 4 bytes$"
    ):
        extension.decode(Frame(Opcode.TEXT, HELLO, rsv1=True), max_size=4)


def test_every_combination_carries_messages():
    """
    Context takeover and window bits in both directions, with messages that
    refer to each other.
    """
    source = random.Random(7692)
    words = [source.randbytes(40) for _ in range(50)]
    for remote, local in itertools.product([False, True], repeat=2):
        for bits in range(9, 16):
            sender = PerMessageDeflate(remote, local, 15, bits)
            receiver = PerMessageDeflate(local, remote, bits, 15)
            for _ in range(20):
                data = b"".join(source.choices(words, k=30))
                item = Frame(Opcode.BINARY, data)
                assert item == receiver.decode(sender.encode(item))


# On a connection


def connect(**kwargs):
    """
    Return a server's end of an open connection with compression.
    """
    endpoint = protocol.Protocol(protocol.Side.SERVER, **kwargs)
    endpoint.extensions = [PerMessageDeflate(False, False, 15, 15)]
    return endpoint


def test_messages_are_compressed_on_the_wire():
    """
    In both directions.
    """
    endpoint = connect()
    endpoint.receive_data(
        from_client(TEXT, HELLO[:2], fin=False, rsv=4) + from_client(CONT, HELLO[2:])
    )
    endpoint.send_text(b"Hello")
    [data] = endpoint.data_to_send()

    assert b"Hello" == b"".join(item.data for item in endpoint.events_received())
    assert 0xC1 == data[0]
    assert b"Hello" == zlib.decompressobj(-15).decompress(data[2:])


VIOLATIONS = [
    (
        from_client(TEXT, b"\xff\xff\xff", rsv=4),
        *(1002, "decompression failed"),
    ),
    (
        from_client(TEXT, HELLO[:2], fin=False, rsv=4)
        + from_client(CONT, HELLO[2:], rsv=4),
        *(1002, "RSV1 bit set in continuation frame"),
    ),
    (
        from_client(TEXT, b"He", fin=False) + from_client(CONT, b"llo", rsv=4),
        *(1002, "reserved bits must be 0"),
    ),
    (
        from_client(TEXT, HELLO, rsv=6),
        *(1002, "reserved bits must be 0"),
    ),
    (
        from_client(9, b"", rsv=4),
        *(1002, "reserved bits must be 0"),
    ),
    (
        from_client(TEXT, zlib.compress(bytes(11), wbits=-15)[:-1] + b"\0", rsv=4),
        *(1009, "frame exceeds limit of 10 bytes"),
    ),
    (
        from_client(TEXT, HELLO[:2], fin=False, rsv=4)
        + from_client(CONT, HELLO[2:], fin=False)
        + from_client(CONT, bytes(11)),
        *(1009, "frame with 11 bytes after reading 5 bytes exceeds limit of 10 bytes"),
    ),
]


@pytest.mark.parametrize(("data", "code", "reason"), VIOLATIONS)
def test_violations_fail_the_connection(data, code, reason):
    """
    With the code and reason for each.
    """
    endpoint = connect(max_size=10)
    endpoint.receive_data(data)

    assert Close(code, reason) == endpoint.close_sent
    assert frame(8, close(code, reason.encode())) == endpoint.data_to_send()[0]


def test_a_message_is_bounded_after_decompression():
    """
    Frames that are small on the wire add up.
    """
    endpoint = connect(max_size=9)
    sender = PerMessageDeflate(False, False, 15, 15)
    for item in (
        Frame(Opcode.TEXT, b"Hello", fin=False),
        Frame(Opcode.CONT, b"Hello"),
    ):
        encoded = sender.encode(item)
        endpoint.receive_data(
            from_client(item.opcode, encoded.data, fin=item.fin, rsv=4 * encoded.rsv1)
        )

    assert 1009 == endpoint.close_sent.code


@pytest.mark.ours
def test_is_its_codec(extension):
    """
    A core that works on payloads shares the contexts.
    """
    extension.decode(Frame(Opcode.TEXT, HELLO, rsv1=True))

    assert b"Hello" == extension.decompress(HELLO_AGAIN, True, -1)


@pytest.mark.ours
@pytest.mark.parametrize(
    ("factory", "negotiate"),
    [
        (ServerFactory(), lambda made: made.process_request_params([], [])[1]),
        (ClientFactory(), lambda made: made.process_response_params([], [])),
    ],
    ids=["server", "client"],
)
def test_connections_share_what_was_agreed_on(factory, negotiate):
    """
    And nothing else; settings of the factory that change count from then on.
    """
    one, another = negotiate(factory), negotiate(factory)
    one.decode(Frame(Opcode.TEXT, HELLO, rsv1=True))
    factory.compress_settings = {"level": 1}
    later = negotiate(factory)

    assert one.compress_settings is another.compress_settings
    with pytest.raises(exceptions.ProtocolError):
        another.decode(Frame(Opcode.TEXT, HELLO_AGAIN, rsv1=True))
    assert ({}, {"level": 1}) == (one.compress_settings, later.compress_settings)
