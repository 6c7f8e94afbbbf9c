"""
The same input for websockets and for us: the same frames, states and bytes.

What `docs/differences.md` lists is kept out of the input or of the comparison,
each time with a comment.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import zlib

import websockets.client
import websockets.extensions.permessage_deflate
import websockets.protocol
import websockets.server
import websockets.uri
from hypothesis import given, settings
from hypothesis import strategies as st

import socketeer.client
import socketeer.extensions.permessage_deflate
import socketeer.protocol
import socketeer.server
import socketeer.uri

from .wire import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    chain,
    close,
    frame,
    from_client,
    request,
    response,
    unmasked,
)

SERVER, CLIENT = 0, 1

MAX_SIZE = 1000
MAX_CONTROL_SIZE = 200


def pair(side, max_size, *, compressed):
    """
    Make one connection of each library.
    """
    for library in (websockets, socketeer):
        endpoint = library.protocol.Protocol(
            library.protocol.Side(side), max_size=max_size
        )
        if compressed:
            deflate = library.extensions.permessage_deflate
            endpoint.extensions = [deflate.PerMessageDeflate(False, False, 15, 15)]
        yield endpoint


# Input


@dataclasses.dataclass
class Stream:
    """
    What a peer sends, and how far its messages have got.
    """

    side: int
    frames: list[bytes] = dataclasses.field(default_factory=list)
    size: int = 0
    is_fragmented: bool = False
    compressor: object = None

    def add(self, opcode, payload=b"", **kwargs):
        write = from_client if self.side == SERVER else frame
        self.frames.append(write(opcode, payload, **kwargs))

    def add_message_frame(self, opcode, payload, *, fin, form):
        rsv = 0
        self.size = 0 if fin else self.size + len(payload)
        if self.compressor is not None:
            payload = self.compressor.compress(payload)
            payload += self.compressor.flush(zlib.Z_SYNC_FLUSH)
            payload = payload[:-4] if fin and payload else payload
            rsv = 0 if self.is_fragmented else 4
        size = len(payload)
        form = max(form, 7 if size < 126 else 16)
        opcode = CONT if self.is_fragmented else opcode
        self.add(opcode, payload, fin=fin, rsv=rsv, form=form)
        self.is_fragmented = not fin


def payloads(most):
    return st.binary(max_size=20) | st.integers(0, most).map(bytes)


VALID_CLOSES = [b"", *[close(code, b"bye") for code in (1000, 1001, 1011, 3000, 4999)]]
INVALID_CLOSES = [b"x", close(999), close(1005), close(2999), close(5000)]


@st.composite
def streams(draw, side, *, compressed):
    """
    Draw the frames of a stream: some messages and control frames, perhaps with
    a violation among them, perhaps with a closing handshake.
    """
    stream = Stream(side)
    if compressed:
        stream.compressor = zlib.compressobj(wbits=-15)
    for _ in range(draw(st.integers(1, 8))):
        # For websockets, max_size bounds control frames as well.
        has_room = stream.size + MAX_CONTROL_SIZE <= MAX_SIZE
        match draw(st.sampled_from("mmmmmpcv" if has_room else "m")):
            case "m":
                stream.add_message_frame(
                    draw(st.sampled_from([TEXT, BINARY])),
                    draw(payloads(700)),
                    fin=draw(st.booleans()),
                    # Lengths need not be minimal, except for control frames.
                    form=draw(st.sampled_from([7, 16, 64])),
                )
            case "p":
                stream.add(draw(st.sampled_from([PING, PONG])), draw(payloads(125)))
            # A close frame within a fragmented message is echoed by us only.
            case "c" if not stream.is_fragmented:
                stream.add(CLOSE, draw(st.sampled_from(VALID_CLOSES)))
            case "v":
                draw(violations(stream))
    return stream.frames


@st.composite
def violations(draw, stream):
    """
    Add a frame with exactly one fault.
    """
    control = st.sampled_from([PING, PONG])
    match draw(st.integers(0, 6)):
        case 0:
            stream.add(draw(st.sampled_from([3, 7, 11, 15])))
        case 1:
            # With an extension, RSV1 of a data frame has a meaning.
            stream.add(draw(control), rsv=draw(st.integers(1, 7)))
        case 2:
            stream.add(draw(control), fin=False)
        case 3:
            stream.add(draw(control), bytes(draw(st.integers(126, MAX_CONTROL_SIZE))))
        case 4:
            stream.add(TEXT if stream.is_fragmented else CONT)
        case 5:
            stream.add(CLOSE, draw(st.sampled_from(INVALID_CLOSES)))
        case 6:
            wrong = from_client if stream.side == CLIENT else frame
            stream.frames.append(wrong(CONT if stream.is_fragmented else TEXT))


def split(data, cuts):
    """
    Divide data at some places.
    """
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 2**16), max_size=12)

CALLS = st.one_of(
    *[
        st.tuples(st.just(name), payloads(300), st.booleans())
        for name in ("send_text", "send_binary", "send_continuation")
    ],
    # Behind the end of our stream, we refuse control frames.
    st.tuples(
        st.just("send_close"),
        st.sampled_from([None, 1000, 1001, 1005, 999, 4000]),
        st.sampled_from(["", "bye", "x" * 124]),
    ),
    st.tuples(
        st.just("fail"),
        # 1006 leaves the state of websockets OPEN.
        st.sampled_from([1002, 1011, 999]),
        st.sampled_from(["", "bye", "x" * 124]),
    ),
)


# Output


def show_frame(event):
    """
    Give a frame in comparable form; payloads may be of different types.
    """
    bits = (event.fin, event.rsv1, event.rsv2, event.rsv3)
    return int(event.opcode), bytes(event.data), *bits


def show_written(data, side, *, compressed):
    """
    Give written frames in comparable form: masking keys differ.
    """
    if compressed:
        # Compressed bytes are those of another zlib, perhaps.
        return [item[:1] for item in data]
    if side == SERVER:
        return data
    return [item and unmasked(item) for item in data]


def show_close(sent):
    return None if sent is None else (int(sent.code), sent.reason)


def same_text(text):
    """
    Take out what is not the same in texts.
    """
    # We say so only if there was something to read.
    text = text.replace(" after reading 0 bytes", "")
    # The text of the EOFError is a matter of the parser.
    return re.sub(r"^stream ends after .*|^unexpected end of stream$", "EOF", text)


def observe(endpoint, side, *, compressed):
    """
    Give all that a program can see of a connection.
    """
    written = endpoint.data_to_send()
    exc = endpoint.parser_exc
    is_closed = endpoint.state == 3
    sent = show_close(endpoint.close_sent)
    if sent is not None:
        sent = (sent[0], same_text(sent[1]))
    return {
        "events": [show_frame(event) for event in endpoint.events_received()],
        "written": None
        if sent and "exceeds" in sent[1]
        else show_written(written, side, compressed=compressed),
        "state": int(endpoint.state),
        "close_expected": endpoint.close_expected(),
        "eof_sent": endpoint.eof_sent,
        "close_rcvd": show_close(endpoint.close_rcvd),
        "close_sent": sent,
        "close_rcvd_then_sent": endpoint.close_rcvd_then_sent,
        "close_code": endpoint.close_code,
        "close_reason": endpoint.close_reason,
        "parser_exc": exc and (type(exc).__name__, same_text(str(exc))),
        "close_exc": same_text(str(endpoint.close_exc)) if is_closed else None,
    }


def call(endpoint, name, *args):
    """
    Call a method; give the exception in comparable form.
    """
    try:
        getattr(endpoint, name)(*args)
    except Exception as exc:  # noqa: BLE001 - all of them are compared
        return type(exc).__name__, str(exc)
    return None


# Comparison


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from([SERVER, CLIENT]), st.booleans(), CUTS, st.booleans())
def test_receives_any_stream_as_websockets_does(data, side, compressed, cuts, eof):
    """
    However the network divides it: same frames, same answers, same end.
    """
    stream = b"".join(data.draw(streams(side, compressed=compressed)))
    max_size = data.draw(st.sampled_from([None, MAX_SIZE]))
    observations = []
    for endpoint in pair(side, max_size, compressed=compressed):
        for piece in split(stream, cuts):
            endpoint.receive_data(piece)
        seen = [observe(endpoint, side, compressed=compressed)]
        if eof:
            endpoint.receive_eof()
            seen.append(observe(endpoint, side, compressed=compressed))
        observations.append(seen)

    theirs, ours = observations
    assert theirs == ours


@settings(max_examples=400, deadline=None)
@given(
    st.data(),
    st.sampled_from([SERVER, CLIENT]),
    st.booleans(),
    st.lists(st.none() | CALLS, max_size=16),
)
def test_behaves_as_websockets_does_in_any_order(data, side, compressed, actions):
    """
    Calls of the program between frames of the peer: same results, same errors.
    """
    theirs, ours = pair(side, MAX_SIZE, compressed=compressed)
    # Whole frames, because we refuse some by their headers alone.
    frames = data.draw(streams(side, compressed=compressed))
    for action in actions:
        if action is not None:
            name, *args = action
            assert call(theirs, name, *args) == call(ours, name, *args)
        elif frames:
            received = frames.pop(0)
            theirs.receive_data(received)
            ours.receive_data(received)
    expected = observe(theirs, side, compressed=compressed)
    assert expected == observe(ours, side, compressed=compressed)

    for endpoint in (theirs, ours):
        endpoint.receive_eof()
    expected = observe(theirs, side, compressed=compressed)
    assert expected == observe(ours, side, compressed=compressed)


# Opening handshake

NAMES = [
    *("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
    *("Sec-WebSocket-Accept", "Origin", "X-Other"),
    *("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"),
]
VALUES = [
    *("", "websocket", "WebSocket", "Upgrade", "keep-alive, Upgrade", "upgrade/1"),
    *("13", "12", KEY, "AAAA", "x", "@", ",", "a b", 'x="y"', "chat", "y, chat"),
    *("permessage-deflate", "permessage-deflate; client_max_window_bits", "x-y; z=1"),
    *("permessage-deflate; server_max_window_bits=8", "http://a", "http://b"),
    "permessage-deflate; q, permessage-deflate; server_no_context_takeover",
]
EXTRA = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3)
WITHOUT = st.lists(st.sampled_from(NAMES), max_size=2)


def show_response(item):
    """
    Give a response in comparable form, without what differs by design.
    """
    ignored = {"Date", "Sec-WebSocket-Version"}
    fields = [(k, v) for k, v in item.headers.raw_items() if k not in ignored]
    return item.status_code, item.reason_phrase, fields, bytes(item.body)


def show_extensions(endpoint):
    return [repr(extension) for extension in endpoint.extensions]


@settings(max_examples=300, deadline=None)
@given(
    EXTRA,
    WITHOUT,
    st.sampled_from(["GET / HTTP/1.1", "GET / HTTP/1.0", "POST /x?y HTTP/1.1"]),
    st.sampled_from([None, [], ["http://a"], [None, "http://b"]]),
    st.sampled_from([None, [], ["chat"], ["x", "chat"]]),
    st.sampled_from([None, {}, {"server_max_window_bits": 10}]),
    CUTS,
)
def test_servers_answer_any_request_as_websockets_does(
    extra, without, line, origins, subprotocols, deflate, cuts
):
    """
    Same status, same text, same headers, same state.
    """
    data = request(*extra, without=without, line=line)
    observations = []
    for library in (websockets, socketeer):
        factory = library.extensions.permessage_deflate.ServerPerMessageDeflateFactory
        endpoint = library.server.ServerProtocol(
            origins=origins,
            subprotocols=subprotocols,
            extensions=None if deflate is None else [factory(**deflate)],
        )
        for piece in split(data, cuts):
            endpoint.receive_data(piece)
        [event] = endpoint.events_received()
        answer = endpoint.accept(event)
        endpoint.send_response(answer)
        observations.append(
            (
                (event.method, event.path, event.protocol),
                list(event.headers.raw_items()),
                show_response(answer),
                chain(endpoint.handshake_exc),
                int(endpoint.state),
                (endpoint.origin, endpoint.subprotocol, show_extensions(endpoint)),
                (endpoint.close_expected(), endpoint.eof_sent),
                len(endpoint.data_to_send()),
            )
        )

    theirs, ours = observations
    assert theirs == ours


@settings(max_examples=300, deadline=None)
@given(
    EXTRA,
    WITHOUT,
    st.sampled_from([101, 101, 101, 200, 302, 503]),
    st.sampled_from([None, ["chat"], ["x", "chat"]]),
    st.sampled_from([None, {}, {"server_max_window_bits": 10}]),
    st.binary(max_size=10),
    CUTS,
)
def test_clients_take_any_response_as_websockets_does(
    extra, without, status, subprotocols, deflate, body, cuts
):
    """
    Same state, same errors, same negotiation.
    """
    data = response(*extra, without=without, status=status)
    observations = []
    for library in (websockets, socketeer):
        factory = library.extensions.permessage_deflate.ClientPerMessageDeflateFactory
        endpoint = library.client.ClientProtocol(
            library.uri.parse_uri("ws://example.com/chat"),
            subprotocols=subprotocols,
            extensions=None if deflate is None else [factory(**deflate)],
        )
        endpoint.key = KEY
        sent = endpoint.connect()
        endpoint.send_request(sent)
        written = endpoint.data_to_send()
        for piece in split(data, cuts):
            endpoint.receive_data(piece)
        seen = [int(endpoint.state), endpoint.close_expected(), endpoint.eof_sent]
        # A body as far as the end of the stream.
        if status != 101:
            endpoint.receive_data(body)
        endpoint.receive_eof()
        events = endpoint.events_received()
        observations.append(
            (
                written,
                seen,
                [show_response(event) for event in events],
                chain(endpoint.handshake_exc),
                (endpoint.subprotocol, show_extensions(endpoint)),
                int(endpoint.state),
                endpoint.data_to_send(),
            )
        )

    theirs, ours = observations
    assert theirs == ours
