"""
Targets can object: each finds a fault that is put in its way.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzz import differences
from fuzz.reading import Reader, split
from fuzz.targets import closes, connection, deflate, frames, headers, heads, uris
from socketeer.headers import parse_connection
from socketeer.http11 import Request, parse_request_head
from socketeer.uri import WebSocketURI

ROOT = Path(__file__).parent.parent.parent


def seed(target, name):
    return (ROOT / "fuzz" / "corpus" / target / name).read_bytes()


def test_a_reader_gives_first_choices_when_it_is_empty():
    """
    A short input decides everything.
    """
    reader = Reader(b"\x01")

    assert 2 == reader.choose((1, 2, 3))
    assert not reader
    assert (0, False, b"", 1) == (
        reader.byte(),
        reader.flag(),
        reader.payload(),
        reader.choose((1, 2, 3)),
    )


def test_pieces_make_the_whole():
    """
    Splitting loses nothing, also with places beyond the end.
    """
    assert [b"ab", b"", b"cde", b""] == split(b"abcde", b"\x02\x00\xff")


def test_heads_finds_a_header_that_is_read_differently(monkeypatch):
    """
    The fast way to read a request has to agree with the careful one.
    """

    def careless(data):
        request = parse_request_head(data)
        return Request(request.path + "x", request.headers)

    monkeypatch.setattr(heads, "parse_request_head", careless)

    with pytest.raises(AssertionError):
        heads.run(seed("heads", "request"))


def test_headers_finds_a_list_that_is_read_differently(monkeypatch):
    """
    websockets reads the same.
    """
    monkeypatch.setattr(
        headers.headers, "parse_connection", lambda value: parse_connection(value)[:1]
    )

    with pytest.raises(AssertionError):
        headers.run(seed("headers", "connection"))


def test_uris_finds_a_space_in_a_request_line(monkeypatch):
    """
    What goes into a request has no spaces.
    """
    uri = WebSocketURI(False, "h", 80, "/a b", "")
    monkeypatch.setattr(uris, "parse_uri", lambda _: uri)

    with pytest.raises(AssertionError):
        uris.run(b"\x04a%20b c")


def test_closes_finds_a_code_that_others_refuse(monkeypatch):
    """
    1005 is never sent (RFC 6455, 7.4.1).
    """
    accepted = closes.Close(1005, "")
    monkeypatch.setattr(closes.Close, "parse", lambda _: accepted)

    with pytest.raises(AssertionError):
        closes.run(seed("closes", "server-1005"))


def test_deflate_finds_a_limit_that_is_exceeded(monkeypatch):
    """
    Nothing longer than allowed comes out.
    """
    build = deflate.BUILDS[0]

    class Careless(build.deflate.Deflate):
        def decompress(self, data, fin, max_length):
            return super().decompress(data, fin, -1)

    monkeypatch.setattr(build.deflate, "Deflate", Careless)

    with pytest.raises(AssertionError):
        deflate.run(seed("deflate", "bomb"))


@pytest.mark.parametrize("target", [frames, connection])
def test_builds_that_differ_are_found(monkeypatch, target):
    """
    They have to do the same behind each step.
    """
    seen = iter(range(10_000))
    monkeypatch.setattr(target, "BUILDS", target.BUILDS * 2)
    monkeypatch.setattr(
        target, "observe", lambda _: {"state": next(seen), "output": b""}
    )

    with pytest.raises(AssertionError):
        target.run(seed(target.__name__.rpartition(".")[2], "server-fragments"))


def test_a_difference_that_is_not_listed_is_found():
    """
    An excuse is for one difference only.
    """
    ours = ("returns", ([], ("failed", 1002, "reserved bits must be 0")))
    theirs = ("returns", (["x"], ("closed", None)))

    assert differences.of_frames("websockets", ours, theirs) is None
    assert differences.of_frames("websockets", ours, ours) == ""


def test_every_difference_is_explained():
    """
    The page has a row for each name, and no others.
    """
    page = (ROOT / "docs" / "conformance.md").read_text("utf-8")

    assert differences.NAMES == set(
        re.findall(r"^\* - `([a-z0-9-]+)`$", page, re.MULTILINE)
    )
