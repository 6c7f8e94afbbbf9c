"""
What a server checks and chooses: origin, subprotocol, extensions.
"""

from __future__ import annotations

import re

import pytest

from tests.under_test import submodule

from .wire import ACCEPT, request

datastructures = submodule("datastructures")
exceptions = submodule("exceptions")
frames = submodule("frames")
http11 = submodule("http11")
protocol = submodule("protocol")
server = submodule("server")
deflate = submodule("extensions.permessage_deflate")

PREFIX = "Failed to open a WebSocket connection: "


def receive(data, **kwargs):
    """
    Return a server that has received a request, and the request.
    """
    endpoint = server.ServerProtocol(**kwargs)
    endpoint.receive_data(data)
    [event] = endpoint.events_received()
    return endpoint, event


def answer(data, **kwargs):
    """
    Return a server that has answered a request, and the response.
    """
    endpoint, event = receive(data, **kwargs)
    response = endpoint.accept(event)
    endpoint.send_response(response)
    return endpoint, response


# Origin

ORIGINS = [
    (None, None, True),
    (None, "http://a", True),
    (["http://a"], "http://a", True),
    (["http://a"], "http://b", False),
    (["http://a"], None, False),
    ([None], None, True),
    ([None], "http://a", False),
    ([None, "http://a"], "http://a", True),
    ([], "http://a", False),
    ([re.compile("http://[ab]")], "http://b", True),
    ([re.compile("http://[ab]")], "http://bb", False),
    ([re.compile("http://[ab]")], None, False),
]


@pytest.mark.parametrize(("origins", "origin", "accepted"), ORIGINS)
def test_checks_the_origin(origins, origin, accepted):
    """
    Strings match exactly, patterns as a whole, None is a missing header.
    """
    extra = [] if origin is None else [("Origin", origin)]
    endpoint, response = answer(request(*extra), origins=origins)

    if accepted:
        assert (101, origin) == (response.status_code, endpoint.origin)
    else:
        what = (
            "missing Origin header"
            if origin is None
            else f"invalid Origin header: {origin}"
        )
        assert (403, f"{PREFIX}{what}.\n".encode()) == (
            response.status_code,
            response.body,
        )
        assert isinstance(endpoint.handshake_exc, exceptions.InvalidOrigin)


SAME_HOST = [
    ("http://a", "a", True),
    ("https://a", "a", True),
    ("http://A", "a", True),
    ("http://a", "A:", True),
    ("http://a:80", "a", True),
    ("https://a", "a:443", True),
    ("http://a:8080", "a:8080", True),
    ("http://[::1]:8080", "[::1]:8080", True),
    ("http://[::1]", "[::1]", True),
    ("https://a", "a:80", False),
    ("http://a:8080", "a", False),
    ("http://a", "a:8080", False),
    ("http://a.b", "b", False),
    ("http://a/", "a", False),
    ("http://b@a", "a", False),
    ("null", "null", False),
    ("ftp://a", "a", False),
    ("", "a", False),
    ("http://a", "", False),
    (None, "a", False),
]


@pytest.mark.parametrize(("origin", "host", "accepted"), SAME_HOST)
def test_checks_that_the_origin_is_the_same_host(origin, host, accepted):
    """
    Host and port are compared; a missing port is that of the scheme.
    """
    extra = [("Host", host), *([] if origin is None else [("Origin", origin)])]
    data = request(*extra, without=["Host"])
    _, response = answer(data, origins="same-host")

    assert (101 if accepted else 403) == response.status_code


def test_same_host_among_other_origins():
    """
    It is one of several then.
    """
    origins = ["same-host", "https://b", None]
    statuses = [
        answer(request(*extra), origins=origins)[1].status_code
        for extra in (
            [],
            [("Origin", "https://b")],
            [("Origin", "http://example.com")],
            [("Origin", "http://c")],
        )
    ]

    assert [101, 101, 101, 403] == statuses


def test_same_host_without_a_host():
    """
    There is nothing to compare with.
    """
    data = request(("Origin", "http://a"), without=["Host"])

    assert 400 == answer(data, origins="same-host")[1].status_code


# Subprotocols

SUBPROTOCOLS = [
    (None, [], None),
    (None, ["chat"], None),
    ([], ["chat"], None),
    (["chat"], ["chat"], "chat"),
    (["a", "b"], ["b, a"], "a"),
    (["a", "b"], ["b", "a"], "a"),
    (["a", "b"], ["c", "b"], "b"),
]


@pytest.mark.parametrize(("available", "offered", "chosen"), SUBPROTOCOLS)
def test_chooses_the_first_subprotocol_of_its_own_list(available, offered, chosen):
    """
    The server's preference counts; offers may come in several headers.
    """
    extra = [("Sec-WebSocket-Protocol", value) for value in offered]
    endpoint, response = answer(request(*extra), subprotocols=available)

    assert 101 == response.status_code
    assert chosen == endpoint.subprotocol
    assert chosen == response.headers.get("Sec-WebSocket-Protocol")


@pytest.mark.parametrize(
    ("offered", "text"),
    [
        ([], "missing subprotocol"),
        (["y"], "invalid subprotocol; expected one of chat, x"),
    ],
)
def test_a_client_must_offer_a_subprotocol_of_the_server(offered, text):
    """
    With subprotocols, no connection without one of them.
    """
    extra = [("Sec-WebSocket-Protocol", value) for value in offered]
    endpoint, response = answer(request(*extra), subprotocols=["chat", "x"])

    assert (400, f"{PREFIX}{text}.\n".encode()) == (response.status_code, response.body)
    assert isinstance(endpoint.handshake_exc, exceptions.NegotiationError)


def test_a_function_chooses_the_subprotocol():
    """
    It is called with the endpoint and the offers, and decides alone.
    """
    calls = []

    def select(endpoint, subprotocols):
        calls.append((endpoint, subprotocols))
        return "b"

    endpoint, response = answer(
        request(("Sec-WebSocket-Protocol", "a, b")),
        subprotocols=["a"],
        select_subprotocol=select,
    )

    assert [(endpoint, ["a", "b"])] == calls
    assert "b" == endpoint.subprotocol
    assert "b" == response.headers["Sec-WebSocket-Protocol"]


def test_a_function_may_do_without_a_subprotocol():
    """
    None is a connection without a subprotocol.
    """
    endpoint, response = answer(
        request(), select_subprotocol=lambda _endpoint, _subprotocols: None
    )

    assert (101, None) == (response.status_code, endpoint.subprotocol)


def test_a_function_may_reject_the_connection():
    """
    NegotiationError is the client's fault: 400.
    """

    def select(_endpoint, _subprotocols):
        raise exceptions.NegotiationError("expected a newer client")

    _, response = answer(request(), select_subprotocol=select)

    assert (400, f"{PREFIX}expected a newer client.\n".encode()) == (
        response.status_code,
        response.body,
    )


def test_a_function_that_fails_is_our_fault(caplog):
    """
    500, without details for the peer, and a traceback for the log.
    """

    def select(_endpoint, _subprotocols):
        raise ZeroDivisionError("secret")

    endpoint, response = answer(request(), select_subprotocol=select)
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]

    assert (
        500,
        (
            b"Failed to open a WebSocket connection.\n"
            b"See server log for more information.\n"
        ),
    ) == (response.status_code, response.body)
    assert "opening handshake failed" == record.getMessage()
    assert record.exc_info[1] is endpoint.handshake_exc


# Extensions

EXTENSIONS = [
    ([], None),
    (["permessage-deflate"], "permessage-deflate"),
    (["x-unknown; a=1"], None),
    (["x-unknown, permessage-deflate"], "permessage-deflate"),
    (["x-unknown", "permessage-deflate"], "permessage-deflate"),
    (
        ["permessage-deflate; x-unknown, permessage-deflate; server_max_window_bits=9"],
        "permessage-deflate; server_max_window_bits=9",
    ),
    (
        ["permessage-deflate, permessage-deflate; server_max_window_bits=9"],
        "permessage-deflate",
    ),
]


@pytest.mark.parametrize(("offered", "answered"), EXTENSIONS)
def test_accepts_the_first_acceptable_offer(offered, answered):
    """
    Offers that are unknown, not acceptable or repeated are passed over.
    """
    extra = [("Sec-WebSocket-Extensions", value) for value in offered]
    endpoint, response = answer(
        request(*extra), extensions=[deflate.ServerPerMessageDeflateFactory()]
    )

    assert answered == response.headers.get("Sec-WebSocket-Extensions")
    assert bool(answered) == bool(endpoint.extensions)


@pytest.mark.parametrize("value", ["@", ""])
def test_offers_must_follow_the_grammar(value):
    """
    They do matter when there are extensions.
    """
    _, response = answer(
        request(("Sec-WebSocket-Extensions", value)),
        extensions=[deflate.ServerPerMessageDeflateFactory()],
    )

    assert 400 == response.status_code
    assert b"expected token at 0 in" in response.body


# What the methods do by themselves


def test_subclasses_may_change_single_decisions():
    """
    Each step of the handshake is a method with a documented result.
    """
    endpoint = server.ServerProtocol(subprotocols=["b", "a"])
    headers = datastructures.Headers()

    assert (None, []) == endpoint.process_extensions(headers)
    assert endpoint.process_origin(headers) is None
    assert "b" == endpoint.select_subprotocol(["a", "b"])
    assert server.ServerProtocol().process_subprotocol(headers) is None


def test_processes_a_request():
    """
    The result is what goes into the headers of the response.
    """
    endpoint, event = receive(
        request(
            ("Sec-WebSocket-Extensions", "permessage-deflate"),
            ("Sec-WebSocket-Protocol", "chat"),
        ),
        extensions=[deflate.ServerPerMessageDeflateFactory()],
        subprotocols=["chat"],
    )

    assert (ACCEPT, "permessage-deflate", "chat") == endpoint.process_request(event)
