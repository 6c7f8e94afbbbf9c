"""
URIs: what websockets reads, we read the same; there is one error for the rest.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import websockets.uri

from fuzz import differences
from fuzz.builds import outcome
from fuzz.reading import Reader
from socketeer.exceptions import InvalidURI
from socketeer.headers import build_host
from socketeer.uri import parse_uri

__all__ = ["run"]

BEGINNINGS = ("ws://", "wss://", "ws://localhost", "ws://a:b@[::1]:", "ws://h/", "")


def run(data: bytes) -> None:
    """
    Read a URI.
    """
    reader = Reader(data)
    beginning = reader.choose(BEGINNINGS)
    uri = beginning + reader.rest().decode("utf-8", "surrogateescape")
    ours = outcome(lambda: dataclasses.astuple(parse_uri(uri)))
    theirs = outcome(lambda: dataclasses.astuple(websockets.uri.parse_uri(uri)))
    assert differences.of_uris(uri, ours, theirs) is not None, (ours, theirs)
    try:
        found: Any = parse_uri(uri)
    except InvalidURI:
        return
    # What goes into a request: one line of ASCII, without spaces.
    host = build_host(found.host, found.port, found.secure)
    for text in (found.resource_name, host):
        assert text.isascii(), text
    assert found.resource_name.isprintable(), found
    assert " " not in found.resource_name, found
    assert 0 <= found.port <= 65_535, found
