"""
Heads of requests and responses, whole and in random pieces.

The fast way to read a request agrees with the careful one. What we accept,
websockets and h11 accept, and read the same; what websockets accepts and we do
not is in the list of differences.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Generator
from typing import Any

import h11
import websockets.http11
import websockets.streams

import socketeer.http11
from fuzz import differences
from fuzz.builds import outcome
from fuzz.reading import Reader, split
from socketeer.http11 import Request, parse_request_head
from socketeer.streams import StreamReader

__all__ = ["run"]

OURS = socketeer.http11
THEIRS = websockets.http11


def drive(parser: Generator[None], reader: Any, reads: list[bytes]) -> Any:
    """
    Run a parser while its input arrives.

    Raises:
        Exception: Whatever the parser raises.
    """
    feeds = [functools.partial(reader.feed_data, read) for read in reads]
    for feed in [*feeds, reader.feed_eof, lambda: None]:
        feed()
        try:
            next(parser)
        except StopIteration as result:
            return result.value
    raise AssertionError("the parser waits behind the end of the stream")


def read_request(module: Any, reader_type: Any, reads: list[bytes]) -> Any:
    """
    Read a request with one of the libraries.
    """
    reader = reader_type()
    request = drive(module.Request.parse(reader.read_line), reader, reads)
    return request.path, items(request)


def read_response(module: Any, reader_type: Any, reads: list[bytes]) -> Any:
    """
    Read a response with one of the libraries.
    """
    reader = reader_type()
    parser = module.Response.parse(
        reader.read_line, reader.read_exact, reader.read_to_eof
    )
    response = drive(parser, reader, reads)
    line = (response.status_code, response.reason_phrase)
    return line, items(response), bytes(response.body or b"")


def items(message: Any) -> list[tuple[str, str]]:
    """
    Give headers in comparable form.
    """
    return list(message.headers.raw_items())


def check_request(stream: bytes, reads: list[bytes]) -> None:
    """
    Compare ways and libraries that read a request.
    """
    ours = outcome(read_request, OURS, StreamReader, reads)
    assert ours == outcome(read_request, OURS, StreamReader, [stream]), reads
    theirs = outcome(read_request, THEIRS, websockets.streams.StreamReader, [stream])
    assert differences.of_heads(ours, theirs) is not None, (ours, theirs)

    end = stream.find(b"\r\n\r\n")
    if end < 0:
        return
    head = stream[: end + 4]
    careful = outcome(read_request, OURS, StreamReader, [head])
    fast = outcome(parse_request_head, head)
    if careful[0] == "returns":
        assert fast[0] == "returns", fast
        path, headers = careful[1]
        assert (path, headers) == (fast[1].path, items(fast[1]))
        check_with_h11(head, fast[1])
        again = parse_request_head(fast[1].serialize())
        # What is written has HTTP/1.1 and one space after each colon.
        assert items(again) == headers
    else:
        assert fast == careful, (fast, careful)


def check_with_h11(head: bytes, request: Request) -> None:
    """
    Check that h11 reads the same where its own rules allow it.
    """
    if len(request.headers.get_all("Host")) != 1:
        return
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    connection.receive_data(head)
    event = connection.next_event()
    assert isinstance(event, h11.Request), event
    expected = (request.method.encode(), request.path.encode())
    assert expected == (event.method, event.target), event
    found = [(name.lower(), value) for name, value in items(request)]
    ours = [(name.encode(), value.encode("iso-8859-1")) for name, value in found]
    assert ours == list(event.headers), (ours, event)


def check_response(stream: bytes, reads: list[bytes]) -> None:
    """
    Compare ways and libraries that read a response.
    """
    ours = outcome(read_response, OURS, StreamReader, reads)
    assert ours == outcome(read_response, OURS, StreamReader, [stream]), reads
    theirs = outcome(read_response, THEIRS, websockets.streams.StreamReader, [stream])
    assert differences.of_heads(ours, theirs) is not None, (ours, theirs)
    if ours[0] == "returns":
        (status, reason), headers, _ = ours[1]
        assert 100 <= status <= 599
        text = "".join(itertools.chain([reason], *headers))
        assert "\r" not in text
        assert "\n" not in text


def run(data: bytes) -> None:
    """
    Read a head.
    """
    reader = Reader(data)
    is_request = reader.flag()
    places = reader.take(reader.byte() % 8)
    stream = reader.rest()
    check = check_response if is_request else check_request
    check(stream, split(stream, places))
