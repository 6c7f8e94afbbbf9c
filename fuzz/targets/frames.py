"""
The frame parser: random bytes in random pieces.

Both builds do the same behind every read. One read gives what many give.
"""

from __future__ import annotations

from typing import Any

from fuzz.builds import BUILDS, Build, observe
from fuzz.reading import Reader, split
from socketeer.exceptions import TooManyFragments
from tests.core.ends import feed

__all__ = ["run"]

LIMITS = (-1, 0, 1, 125, 300, 70_000)


def receive(
    build: Build, setup: tuple[Any, ...], reads: list[bytes]
) -> tuple[list[Any], dict[str, Any], list[Any]]:
    """
    Feed a session; return its messages, its end, and all that was seen.
    """
    is_client, max_message, max_fragment, high, compressed = setup
    end = build.end(is_client)
    session = end.session(max_message, max_fragment)
    session.high, session.low = high, high // 2
    session.close_timeout = 5.0
    session.max_fragments = 5
    if compressed:
        session.deflate = build.deflate.Deflate(False, False, 15, 15, None)
        session.reserved_bits = 0x40
    messages: list[Any] = []
    seen = []
    for read in [*reads, b""]:
        end.clock.now += 1.0
        feed(session, read)
        seen.append(observe(session))
        while session.has_items():
            message = session.take_message(None)
            if message is not None:
                messages.append(message)
            if session.may_resume():
                session.unhalt()
        seen.append((len(messages), observe(session)))
    session.take_message(None)
    return messages, observe(session), seen


def run(data: bytes) -> None:
    """
    Compare builds and splits.
    """
    reader = Reader(data)
    setup = (
        reader.flag(),
        reader.choose(LIMITS),
        reader.choose(LIMITS),
        reader.byte() % 5 - 1,
        reader.flag(),
    )
    places = reader.take(reader.byte() % 16)
    stream = reader.rest()
    reads = split(stream, places)
    first, *others = (receive(build, setup, reads) for build in BUILDS)
    for other in others:
        assert first == other, (first, other)

    messages, end, _ = first
    whole, other_end, _ = receive(BUILDS[-1], setup, [stream])
    if TooManyFragments in {end["failure"][1], other_end["failure"][1]}:
        # Found when a message is taken: what is wrong behind it may come first.
        return
    assert messages == whole, (messages, whole)
    # The text of an error about UTF-8 counts from where the read began.
    for key in ("state", "received", "sent"):
        assert end[key] == other_end[key], (key, end[key], other_end[key])
    assert end["failure"][:2] == other_end["failure"][:2], (end, other_end)
