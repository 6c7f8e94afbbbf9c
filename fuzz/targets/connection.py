"""
A whole connection, driven by random bytes, time, and calls of its user.

Both builds do the same behind every step. Besides, what holds for any connection
is checked: states go one way only, a peer understands every byte that is sent,
nothing is sent behind a close frame, every wait has an end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import websockets.extensions.permessage_deflate
import websockets.protocol

from fuzz.builds import BUILDS, Build, observe, outcome
from fuzz.reading import Reader
from tests.core.ends import (
    BINARY,
    CLOSE,
    CLOSED,
    CONTINUATION,
    NEVER,
    OPEN,
    PING,
    PONG,
    TEXT,
    TEXT_BEGUN,
    close_payload,
    feed,
)

__all__ = ["run"]

HEADS = (TEXT, BINARY, TEXT_BEGUN, 0x02, CONTINUATION, 0x00, PING, PONG, 0xC1, 0x41)
CODES = (1000, 1001, 1005, 1006, 1011, 3000, 999)
STEPS: list[Callable[[Driver, Reader], Any]] = []


def step(function: Callable[[Driver, Reader], Any]) -> Callable[[Driver, Reader], Any]:
    """
    Make a function one of the things that can happen.
    """
    STEPS.append(function)
    return function


class Driver:
    """
    A session, what a room keeps beside it, and a peer that reads along.
    """

    def __init__(self, build: Build, reader: Reader) -> None:
        self.build = build
        self.end = build.end(reader.flag())
        self.session = session = self.end.session(*reader.choose(LIMITS))
        session.high = reader.byte() % 4 - 1
        session.low = session.high // 2
        session.max_fragments = 4
        session.ping_interval = reader.choose((-1.0, 20.0, 0.0))
        session.ping_timeout = reader.choose((-1.0, 20.0, 0.0))
        session.close_timeout = reader.choose((10.0, -1.0, 0.0))
        session.stall_timeout = reader.choose((600.0, -1.0, 0.0))
        self.compressed = reader.flag()
        if self.compressed:
            session.deflate = build.deflate.Deflate(False, False, 12, 12, None)
            session.reserved_bits = 0x40
        session.start()
        # The opcode of the message that is being sent in fragments, or 0.
        self.opcode = 0
        self.witness = self.make_witness()
        # The first bytes of all frames that were sent.
        self.heads: list[int] = []

    def make_witness(self) -> websockets.protocol.Protocol:
        """
        Make the peer that reads what the session sends.
        """
        side = websockets.protocol.Side(not self.end.is_client)
        witness = websockets.protocol.Protocol(side, max_size=None)
        if self.compressed:
            deflate = websockets.extensions.permessage_deflate
            witness.extensions = [deflate.PerMessageDeflate(False, False, 12, 12)]
        return witness

    def send(self) -> dict[str, Any]:
        """
        Give everything that can be seen, and let the peer read what is sent.
        """
        seen = observe(self.session)
        if seen["output"]:
            self.heads += heads_of(seen["output"])
            if CLOSE in self.heads:
                # "MUST NOT send any more data frames" (RFC 6455, 5.5.1), but for
                # pongs, unless "it already received a Close frame" (5.5.2).
                behind = self.heads[self.heads.index(CLOSE) + 1 :]
                assert set(behind) <= {PONG}, behind
            self.witness.receive_data(seen["output"])
            exc = self.witness.parser_exc
            # websockets expects no close frame between fragments.
            assert str(exc) in {"None", "incomplete fragmented message"}, repr(exc)
        return seen


def heads_of(data: bytes) -> list[int]:
    """
    Return the first byte of each frame.
    """
    heads = []
    while data:
        heads.append(data[0])
        size = data[1] & 0x7F
        start = 2 + (4 if data[1] & 0x80 else 0)
        if size > 125:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(data[2 : 2 + wide], "big")
            start += wide
        assert len(data) >= start + size, "the output ends within a frame"
        data = data[start + size :]
    return heads


LIMITS = ((-1, -1), (300, -1), (-1, 100), (1, 1), (70_000, 70_000))


@step
def receive_bytes(driver: Driver, reader: Reader) -> None:
    """
    Read whatever bytes.
    """
    feed(driver.session, reader.payload())


@step
def receive_frame(driver: Driver, reader: Reader) -> None:
    """
    Read a frame, or several pieces of it.
    """
    data = driver.end.peer(reader.choose(HEADS), reader.payload())
    place = reader.byte()
    feed(driver.session, data[:place], data[place:])


@step
def receive_close(driver: Driver, reader: Reader) -> None:
    """
    Read a close frame.
    """
    payload = close_payload(reader.choose(CODES), reader.take(3))
    feed(driver.session, driver.end.peer(CLOSE, payload))


@step
def receive_pong(driver: Driver, reader: Reader) -> None:
    """
    Read the answer to a ping.
    """
    pings = list(driver.session.pings or ())
    if pings:
        feed(driver.session, driver.end.peer(PONG, reader.choose(pings)))


@step
def receive_eof(driver: Driver, reader: Reader) -> None:
    """
    Read the end; seldom, because little comes after it.
    """
    if reader.byte() % 8 == 0:
        driver.session.receive_eof()


@step
def take_message(driver: Driver, reader: Reader) -> Any:
    """
    Receive a message, as rooms do it.
    """
    message = driver.session.take_message(reader.choose((None, True, False)))
    if driver.session.may_resume():
        driver.session.unhalt()
    return message


@step
def take_fragment(driver: Driver, reader: Reader) -> Any:
    """
    Receive a fragment.
    """
    fragment = driver.session.take_fragment()
    if driver.session.may_resume():
        driver.session.unhalt()
    return fragment and (fragment.opcode, fragment.payload, fragment.fin)


@step
def send_message(driver: Driver, reader: Reader) -> None:
    """
    Send a message, as rooms do: while OPEN, not between fragments.
    """
    if driver.session.state == OPEN and not driver.opcode:
        opcode = reader.choose((1, 2))
        payload = reader.payload()
        text = payload.decode("utf-8", "surrogateescape")
        driver.session.send_message(opcode, text if opcode == 1 else payload, True)


@step
def send_fragment(driver: Driver, reader: Reader) -> None:
    """
    Send a fragment, as rooms do.
    """
    if driver.session.state == OPEN:
        opcode = 0 if driver.opcode else 2
        fin = reader.flag()
        driver.session.send_fragment(opcode, reader.payload(), fin, driver.compressed)
        driver.opcode = 0 if fin else 2


@step
def send_prepared(driver: Driver, reader: Reader) -> None:
    """
    Send a message that is shared with others, as rooms do.
    """
    if driver.session.state == OPEN and not driver.opcode:
        prepared = driver.build.prepared.PreparedMessage(2, reader.payload())
        frame = driver.session.shared_frame(prepared)
        if frame is not None:
            if driver.session.outbox is None:
                driver.session.outbox = driver.session.new_outbox()
            driver.session.outbox.add(frame)


@step
def send_ping(driver: Driver, reader: Reader) -> Any:
    """
    Send a ping.
    """
    if driver.session.state == OPEN:
        return driver.session.send_ping(reader.payload(), None)
    return None


@step
def send_pong(driver: Driver, reader: Reader) -> None:
    """
    Send a pong.
    """
    if driver.session.state == OPEN:
        driver.session.send_pong(reader.payload())


@step
def send_close(driver: Driver, reader: Reader) -> None:
    """
    Start the closing handshake.
    """
    code = reader.choose(CODES)
    driver.session.send_close(code, reader.payload().decode("utf-8", "replace"))


@step
def fail(driver: Driver, reader: Reader) -> None:
    """
    Fail the connection, as rooms do.
    """
    driver.session.fail(reader.choose((1011, 1006, 1001)), "")


@step
def advance(driver: Driver, reader: Reader) -> bool:
    """
    Let time pass, and do what is due.
    """
    clock = driver.end.clock
    clock.now += reader.choose((0.0, 1.0, 10.0, 20.0, 100.0))
    return bool(driver.session.advance(clock.now))


@step
def advance_to_deadline(driver: Driver, reader: Reader) -> bool | None:
    """
    Let time pass until something is due: afterwards, the next deadline is later.
    """
    session = driver.session
    due = session.next_deadline()
    if due == NEVER:
        return None
    driver.end.clock.now = max(driver.end.clock.now, due)
    return bool(session.advance(driver.end.clock.now))


@step
def congest(driver: Driver, reader: Reader) -> None:
    """
    The peer reads slowly, or reads again.
    """
    if driver.session.congested:
        driver.session.settle_pong()
    else:
        driver.session.congested = True


@step
def hold_close(driver: Driver, reader: Reader) -> None:
    """
    A receiver is about to be woken; or it was.
    """
    session = driver.session
    session.hold_close = not session.hold_close
    if session.may_resume():
        session.unhalt()


def drive(build: Build, data: bytes) -> list[Any]:
    """
    Do all steps; return what was seen behind each.
    """
    reader = Reader(data)
    driver = Driver(build, reader)
    seen: list[Any] = []
    state = OPEN
    for _ in range(60):
        if not reader:
            break
        action = reader.choose(STEPS)
        result = outcome(action, driver, reader)
        if result[0] == "raises":
            assert result[1][0] in {
                "ConcurrencyError",
                "InvalidState",
                "ProtocolError",
                "UnicodeDecodeError",
                "UnicodeEncodeError",
            }, (action.__name__, result)
        after = driver.send()
        assert after["state"] >= state, (action.__name__, state, after)
        state = after["state"]
        seen.append((action.__name__, result, after))
    seen.append(finish(driver))
    return seen


def finish(driver: Driver) -> list[Any]:
    """
    Take everything and end the connection: it is CLOSED then, and stays so.
    """
    session = driver.session
    messages = []
    for _ in range(1000):
        result = outcome(session.take_message, None)
        if session.may_resume():
            session.unhalt()
        if result == ("returns", None) and not session.has_items():
            break
        messages.append(result)
    else:
        raise AssertionError("there is always another message")
    session.receive_eof()
    assert session.state == CLOSED
    assert session.wants_eof
    before = driver.send()
    feed(session, bytes(200), driver.end.peer(TEXT, b"late"), b"\x89")
    after = driver.send()
    assert before == {**after, "output": before["output"]}
    return [messages, after]


def run(data: bytes) -> None:
    """
    Compare builds, step by step.
    """
    first, *others = (drive(build, data) for build in BUILDS)
    for other in others:
        for ours, theirs in itertools.zip_longest(first, other):
            assert ours == theirs, (ours, theirs)
