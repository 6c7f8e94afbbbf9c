"""
Other parsers judge ours: what it accepts, they accept, and read the same.

The exceptions, where we accept what one of them refuses:

* h11 wants one ``Host`` header in an HTTP/1.1 request. The handshake takes
  requests without one, as websockets does.
* httptools knows a list of methods and wants a target with one of the forms
  of RFC 9112, 3.2. The handshake answers 405 to other methods, and leaves
  the target to the program.

``REFUSED`` lists what we refuse and one of them accepts.
"""

from __future__ import annotations

import contextlib

import h11
import httptools
import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from socketeer.datastructures import Headers
from socketeer.http11 import Request, parse_request_head

from .comparing import outcome
from .messages import BODIES, REQUEST, RESPONSE, damaged_heads, parse_response


def names_and_values(headers):
    """Give headers in the form of the other parsers."""
    return [
        (name.lower().encode(), value.encode("iso-8859-1"))
        for name, value in headers.raw_items()
    ]


# h11


def h11_event(connection, data):
    """Give the first event of a connection."""
    connection.receive_data(data)
    return connection.next_event()


def h11_request(data):
    """Read a request with h11."""
    request = h11_event(h11.Connection(h11.SERVER), data)
    return (
        request.method,
        request.target,
        b"HTTP/" + request.http_version,
        list(request.headers),
    )


def with_one_host(data):
    """Tell whether h11 has no objection to the Host headers of a request."""
    return data.lower().count(b"\r\nhost:") == 1


@settings(max_examples=500)
@given(damaged_heads().map(lambda data: data.replace(b"\r\n", b"\r\nHost: h\r\n", 1)))
@example(REQUEST)
@example(b"POST * HTTP/1.0\r\nHost:\r\nContent-Length: 0\r\n\r\n")
def test_requests_that_we_accept_are_those_of_h11(data):
    """
    Same method, target, version and headers.
    """
    ours = outcome(parse_request_head, data)
    event(ours[0])
    assume(ours[0] == "returns" and with_one_host(data))
    request = parse_request_head(data)

    assert h11_request(data) == (
        request.method.encode(),
        request.path.encode(),
        request.protocol.encode(),
        names_and_values(request.headers),
    )


# httptools


class Recorder:
    """What httptools calls."""

    def __init__(self):
        self.target = b""
        self.headers = []
        self.complete = False

    def on_url(self, url):
        self.target += url

    def on_header(self, name, value):
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self):
        self.complete = True


def httptools_request(data):
    """Read a request with httptools."""
    recorder = Recorder()
    parser = httptools.HttpRequestParser(recorder)
    with contextlib.suppress(httptools.HttpParserUpgrade):
        parser.feed_data(data)
    if not recorder.complete:
        raise EOFError("httptools waits for more")
    return (
        parser.get_method(),
        recorder.target,
        b"HTTP/" + parser.get_http_version().encode(),
        recorder.headers,
    )


def known_to_httptools(request):
    """Tell whether httptools takes this method and this form of a target."""
    return request.method in {"GET", "POST"} and request.path[0] in "/*"


@settings(max_examples=500)
@given(damaged_heads())
@example(REQUEST)
@example(b"POST * HTTP/1.0\r\nHost:\r\nContent-Length: 0\r\n\r\n")
def test_requests_that_we_accept_are_those_of_httptools(data):
    """
    Same method, target, version and headers.
    """
    ours = outcome(parse_request_head, data)
    event(ours[0])
    assume(ours[0] == "returns")
    request = parse_request_head(data)
    assume(known_to_httptools(request))
    head = data[: data.index(b"\r\n\r\n") + 4]

    assert httptools_request(head) == (
        request.method.encode(),
        request.path.encode(),
        request.protocol.encode(),
        names_and_values(request.headers),
    )


# What we refuse

H, T = "h11", "httptools"

REFUSED = [
    # "a recipient MAY recognize a single LF as a line terminator" (RFC 9112, 2.2).
    ("GET / HTTP/1.1\nHost: h\n\n", {H}),
    # "a server that is expecting to receive and parse a request-line SHOULD
    # ignore at least one empty line" (2.2).
    ("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", {T}),
    # "a sender MUST NOT generate a message that includes line folding" (5.2).
    ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", {H}),
    # "field-vchar = VCHAR / obs-text" (RFC 9110, 5.5).
    ("GET / HTTP/1.1\r\nHost: h\r\nA: b\1c\r\n\r\n", {H}),
    # A request with a body.
    ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na", {H, T}),
    (
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {H, T},
    ),
    # Nothing that anybody needs.
    ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 00\r\n\r\n", {H, T}),
    ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n", {H}),
    # Versions that the handshake cannot answer.
    ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", {H}),
    ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", {H, T}),
    # Refused by all.
    ("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", set()),
    ("GET / HTTP/1.1\r\nHost: h\r\n A: b\r\n\r\n", {H}),
    ("GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", set()),
    ("GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n", set()),
    ("GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", set()),
    ("GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", set()),
    ("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", set()),
]


@pytest.mark.parametrize(("data", "accepting"), REFUSED)
def test_requests_that_we_refuse_may_be_accepted_elsewhere(data, accepting):
    """
    The whole list; the property above holds in one direction only.
    """
    data = data.encode()
    parsers = {H: h11_request, T: httptools_request}

    assert outcome(parse_request_head, data)[0] == "raises"
    assert accepting == {
        name
        for name, parser in parsers.items()
        if outcome(parser, data)[0] == "returns"
    }


# What we write


@given(
    st.sampled_from(["/", "/chat?a=b", "*"]),
    st.lists(
        st.tuples(
            st.text("abc-", min_size=1, max_size=4),
            st.text("a0 \t\xe9", max_size=6).map(str.strip),
        ),
        max_size=5,
    ),
)
def test_others_read_what_we_write(path, items):
    """
    A request as the client sends it.
    """
    items = [("Host", "h"), *items]
    data = Request(path, Headers(items)).serialize()
    expected = (
        b"GET",
        path.encode(),
        b"HTTP/1.1",
        [(name.lower().encode(), value.encode("iso-8859-1")) for name, value in items],
    )

    assert expected == h11_request(data)
    assert expected == httptools_request(data)


# Responses


def h11_response(data):
    """Read a response with h11."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(
        h11.Request(
            method="GET",
            target="/",
            headers=[
                ("Host", "h"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
            ],
        )
    )
    connection.send(h11.EndOfMessage())
    response = h11_event(connection, data)
    body = b""
    if not isinstance(response, h11.InformationalResponse):
        connection.receive_data(b"")
        while isinstance(part := connection.next_event(), h11.Data):
            body += part.data
    return response.status_code, response.reason, list(response.headers), body


@pytest.mark.parametrize(
    "data",
    [
        RESPONSE,
        b"HTTP/1.1 403 \xe9\r\nA:b\r\nA: c \r\n\r\nNo, sorry.\n",
        *(
            f"HTTP/1.1 {status} x\r\n{headers}\r\n".encode() + data
            for status, headers, data, _ in BODIES
        ),
    ],
)
def test_responses_that_we_accept_are_those_of_h11(data):
    """
    Same status code, reason phrase, headers and body.
    """
    response = parse_response(data)

    headers = [
        # h11 writes the name of a coding in lower case.
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in names_and_values(response.headers)
    ]
    assert h11_response(data) == (
        response.status_code,
        response.reason_phrase.encode("iso-8859-1"),
        headers,
        response.body,
    )
