from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import websockets.datastructures
import websockets.exceptions
import websockets.frames
import websockets.http11

import socketeer.datastructures
import socketeer.exceptions
import socketeer.frames
import socketeer.http11
from socketeer.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    TooManyFragments,
)
from socketeer.frames import Close

CLOSE_1000 = ("Close", 1000, "")
CLOSE_1011 = ("Close", 1011, "keepalive ping timeout")
CLOSE_3000 = ("Close", 3000, "bye")
RESPONSE = ("Response", 403, "Forbidden")

# Class, arguments, text. A tuple stands for an object of that class.
EXAMPLES = [
    ("ConnectionClosed", (None, None), "no close frame received or sent"),
    (
        "ConnectionClosedError",
        (None, CLOSE_1011),
        "sent 1011 (internal error) keepalive ping timeout; no close frame received",
    ),
    (
        "ConnectionClosedError",
        (CLOSE_3000, None),
        "received 3000 (registered) bye; no close frame sent",
    ),
    (
        "ConnectionClosedOK",
        (CLOSE_1000, CLOSE_1000, True),
        "received 1000 (OK); then sent 1000 (OK)",
    ),
    (
        "ConnectionClosedError",
        (CLOSE_3000, CLOSE_1000, False),
        "sent 1000 (OK); then received 3000 (registered) bye",
    ),
    (
        "InvalidURI",
        ("http://h", "scheme isn't ws or wss"),
        "http://h isn't a valid URI: scheme isn't ws or wss",
    ),
    (
        "InvalidProxy",
        ("ftp://h", "scheme ftp isn't supported"),
        "ftp://h isn't a valid proxy: scheme ftp isn't supported",
    ),
    ("InvalidHandshake", ("no",), "no"),
    ("SecurityError", ("more than 10 redirects",), "more than 10 redirects"),
    ("RequestLineTooLong", ("read 9 bytes",), "read 9 bytes"),
    ("StatusLineTooLong", ("read 9 bytes",), "read 9 bytes"),
    ("HeaderLineTooLong", ("read 9 bytes",), "read 9 bytes"),
    ("TooManyHeaders", ("expected no more",), "expected no more"),
    ("ProxyError", ("failed",), "failed"),
    ("InvalidProxyMessage", ("did not receive",), "did not receive"),
    ("InvalidProxyStatus", (RESPONSE,), "proxy rejected connection: HTTP 403"),
    (
        "InvalidMessage",
        ("did not receive a valid HTTP request",),
        "did not receive a valid HTTP request",
    ),
    ("InvalidMethod", ("POST",), "unsupported HTTP method: POST"),
    ("InvalidProtocol", ("HTTP/1.0",), "unsupported HTTP version: HTTP/1.0"),
    (
        "InvalidStatus",
        (RESPONSE,),
        "server rejected WebSocket connection: HTTP 403",
    ),
    ("InvalidHeader", ("Name",), "missing Name header"),
    ("InvalidHeader", ("Name", None), "missing Name header"),
    ("InvalidHeader", ("Name", ""), "empty Name header"),
    ("InvalidHeader", ("Name", "value"), "invalid Name header: value"),
    (
        "InvalidHeaderFormat",
        ("Name", "expected token", "a=|", 3),
        "invalid Name header: expected token at 3 in a=|",
    ),
    ("InvalidHeaderValue", ("Name", "value"), "invalid Name header: value"),
    ("InvalidOrigin", ("http://evil",), "invalid Origin header: http://evil"),
    ("InvalidOrigin", (None,), "missing Origin header"),
    ("InvalidUpgrade", ("Upgrade",), "missing Upgrade header"),
    ("InvalidUpgrade", ("Connection", "close"), "invalid Connection header: close"),
    ("NegotiationError", ("missing subprotocol",), "missing subprotocol"),
    ("DuplicateParameter", ("a",), "duplicate parameter: a"),
    ("InvalidParameterName", ("a",), "invalid parameter name: a"),
    ("InvalidParameterValue", ("a", None), "missing value for parameter a"),
    ("InvalidParameterValue", ("a", ""), "empty value for parameter a"),
    ("InvalidParameterValue", ("a", "b"), "invalid value for parameter a: b"),
    ("ProtocolError", ("invalid opcode",), "invalid opcode"),
    ("PayloadTooBig", (10, 5), "frame with 10 bytes exceeds limit of 5 bytes"),
    ("PayloadTooBig", (None, 5), "frame exceeds limit of 5 bytes"),
    (
        "PayloadTooBig",
        (10, 5, 3),
        "frame with 10 bytes after reading 3 bytes exceeds limit of 8 bytes",
    ),
    (
        "PayloadTooBig",
        (10, 5, 0),
        "frame with 10 bytes after reading 0 bytes exceeds limit of 5 bytes",
    ),
    (
        "PayloadTooBig",
        (None, 5, 3),
        "frame after reading 3 bytes exceeds limit of 8 bytes",
    ),
    (
        "TooManyFragments",
        (4096,),
        "fragmented message exceeds limit of 4096 frames",
    ),
    ("InvalidState", ("connection is closing",), "connection is closing"),
    ("ConcurrencyError", ("already receiving",), "already receiving"),
    ("WebSocketException", ("text",), "text"),
]


def build(library, name, arguments):
    """Make an exception of a library; tuples among the arguments are objects."""
    real = []
    for argument in arguments:
        match argument:
            case ("Close", code, reason):
                real.append(library.frames.Close(code, reason))
            case ("Response", status_code, reason):
                headers = library.datastructures.Headers()
                real.append(library.http11.Response(status_code, reason, headers))
            case _:
                real.append(argument)
    return getattr(library.exceptions, name)(*real)


@pytest.mark.parametrize(("name", "arguments", "text"), EXAMPLES)
def test_exceptions_say_what_those_of_websockets_say(name, arguments, text):
    """
    Texts are interface: programs match them.
    """
    assert text == str(build(socketeer, name, arguments))
    assert text == str(build(websockets, name, arguments))


@pytest.mark.parametrize(("name", "arguments", "text"), EXAMPLES)
def test_exceptions_have_the_attributes_of_those_of_websockets(name, arguments, text):
    """
    Attributes are interface: same names, same values.
    """
    theirs = vars(build(websockets, name, arguments))
    ours = vars(build(socketeer, name, arguments))

    assert {key: str(value) for key, value in theirs.items()}.items() <= {
        # str() of a response is its representation, which in websockets
        # shows a deprecated attribute.
        key: str(value).replace("b'')", "b'', _exception=None)")
        for key, value in ours.items()
    }.items()


@pytest.mark.parametrize(("name", "arguments", "text"), EXAMPLES)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        *(
            lambda exc, protocol=protocol: pickle.loads(pickle.dumps(exc, protocol))
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_exceptions_can_be_copied_and_pickled(duplicate, name, arguments, text):
    """
    Class, arguments, attributes and text survive. The pickle protocols 0 and
    1 are left out: they don't know the slots of headers.
    """
    exc = build(socketeer, name, arguments)
    again = duplicate(exc)

    assert type(exc) is type(again)
    assert exc.args == again.args
    assert vars(exc) == vars(again)
    assert text == str(again)


def test_exceptions_made_with_keywords_can_be_pickled():
    """
    Python's own way would call the class without arguments.
    """
    exc = ConnectionClosedOK(
        rcvd=Close(1000, ""), sent=Close(1000, ""), rcvd_then_sent=True
    )
    again = pickle.loads(pickle.dumps(exc))

    assert str(exc) == str(again)
    assert exc.rcvd == again.rcvd


@pytest.mark.parametrize("name", websockets.exceptions.__all__)
def test_the_tree_is_that_of_websockets(name):
    """
    Every class of websockets 17.4 exists and has the same bases, in the same
    order, down to those of Python.
    """
    theirs = getattr(websockets.exceptions, name).__mro__
    ours = getattr(socketeer.exceptions, name).__mro__

    assert [cls.__name__ for cls in theirs] == [cls.__name__ for cls in ours]
    assert name in socketeer.exceptions.__all__


CONSTRUCTORS = [
    name
    for name in websockets.exceptions.__all__
    if "__init__" in vars(getattr(websockets.exceptions, name))
]


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors_take_the_arguments_of_websockets(name):
    """
    Same parameters with the same defaults.
    """
    theirs = getattr(websockets.exceptions, name)
    ours = getattr(socketeer.exceptions, name)

    assert [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(theirs).parameters.values()
    ] == [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(ours).parameters.values()
    ]


# ConnectionClosed


@pytest.mark.parametrize(
    ("rcvd", "code", "reason"),
    [(Close(1001, "bye"), 1001, "bye"), (None, 1006, "")],
)
def test_code_and_reason_are_deprecated(rcvd, code, reason):
    """
    They tell what the peer sent, 1006 if nothing (RFC 6455, 7.1.5), and warn
    at the line that uses them.
    """
    exc = ConnectionClosedError(rcvd, None)

    with pytest.warns(DeprecationWarning, match="deprecated") as code_warnings:
        assert code == exc.code
    with pytest.warns(DeprecationWarning, match="deprecated") as reason_warnings:
        assert reason == exc.reason

    assert [
        (
            "ConnectionClosed.code is deprecated; "
            "use Protocol.close_code or ConnectionClosed.rcvd.code"
        )
    ] == [str(warning.message) for warning in code_warnings]
    assert [
        (
            "ConnectionClosed.reason is deprecated; "
            "use Protocol.close_reason or ConnectionClosed.rcvd.reason"
        )
    ] == [str(warning.message) for warning in reason_warnings]
    assert __file__ == code_warnings[0].filename == reason_warnings[0].filename


@pytest.mark.parametrize(
    "arguments",
    [
        (Close(1000, ""), Close(1000, "")),
        (Close(1000, ""), Close(1000, ""), None),
        (Close(1000, ""), None, True),
        (None, Close(1000, ""), False),
        (None, None, True),
    ],
)
def test_the_order_of_close_frames_needs_two_of_them(arguments):
    """
    rcvd_then_sent is for two close frames and only for two.
    """
    with pytest.raises(AssertionError, match="order of two close frames"):
        ConnectionClosed(*arguments)


# PayloadTooBig


def test_the_size_of_preceding_frames_can_be_told_later():
    """
    Then both the limit and the text are those of the message.
    """
    exc = PayloadTooBig(10, 5)
    exc.set_current_size(None)
    exc.set_current_size(3)

    assert (exc.size, exc.max_size, exc.current_size) == (10, 8, 3)
    assert (
        str(exc) == "frame with 10 bytes after reading 3 bytes exceeds limit of 8 bytes"
    )


@pytest.mark.parametrize("current_size", [None, 0, 4])
def test_the_size_of_preceding_frames_is_told_once(current_size):
    """
    A second time would count them twice.
    """
    exc = PayloadTooBig(10, 5, 3)

    with pytest.raises(AssertionError, match="known already"):
        exc.set_current_size(current_size)


def test_a_text_instead_of_sizes_is_deprecated():
    """
    The form that websockets had before version 14.
    """
    with pytest.warns(DeprecationWarning, match="deprecated") as warnings:
        exc = PayloadTooBig("payload length exceeds limit: 10 > 5 bytes")

    assert str(exc) == "payload length exceeds limit: 10 > 5 bytes"
    assert [
        "PayloadTooBig(message) is deprecated; change to PayloadTooBig(size, max_size)"
    ] == [str(warning.message) for warning in warnings]
    assert __file__ == warnings[0].filename


@pytest.mark.parametrize("arguments", [(10,), (None,), (10, None)])
def test_a_size_needs_a_limit(arguments):
    """
    Only a text may come alone.
    """
    with pytest.raises(AssertionError):
        PayloadTooBig(*arguments)


def test_too_many_fragments_tells_the_limit():
    """
    As an attribute, which websockets 17.4 doesn't have.
    """
    assert TooManyFragments(4096).max_fragments == 4096


# Earlier generations

DEPRECATED = [
    (
        "InvalidStatusCode",
        lambda headers: (403, headers),
        "server rejected WebSocket connection: HTTP 403",
    ),
    (
        "AbortHandshake",
        lambda headers: (403, headers, b"abc"),
        "HTTP 403, 1 headers, 3 bytes",
    ),
    (
        "AbortHandshake",
        lambda headers: (403, headers),
        "HTTP 403, 1 headers, 0 bytes",
    ),
    ("RedirectHandshake", lambda headers: ("ws://h/",), "redirect to ws://h/"),
    ("WebSocketProtocolError", lambda headers: ("text",), "text"),
]


@pytest.mark.parametrize(("name", "arguments", "text"), DEPRECATED)
def test_exceptions_of_earlier_generations_warn(name, arguments, text):
    """
    They are there, with their attributes and texts, but not in __all__.
    """
    with pytest.warns(DeprecationWarning, match="deprecated") as warnings:
        ours = getattr(socketeer.exceptions, name)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        theirs = getattr(websockets.exceptions, name)

    our_exc = ours(*arguments(socketeer.datastructures.Headers(a="b")))
    their_exc = theirs(*arguments(websockets.datastructures.Headers(a="b")))
    assert [f"socketeer.exceptions.{name} is deprecated"] == [
        str(warning.message) for warning in warnings
    ]
    assert __file__ == warnings[0].filename
    assert text == str(our_exc) == str(their_exc)
    assert list(vars(their_exc)) == list(vars(our_exc))
    assert name not in socketeer.exceptions.__all__


def test_other_names_do_not_exist():
    """
    The error is that of any module.
    """
    with pytest.raises(
        AttributeError,
        match=r"^module 'socketeer.exceptions' has no attribute 'Nothing'$",
    ):
        _ = socketeer.exceptions.Nothing
