from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
import websockets.frames
from hypothesis import example, given
from hypothesis import strategies as st

from socketeer import frames
from socketeer.frames import Frame, Opcode

SHOWN = [
    (Frame(Opcode.TEXT, b""), "TEXT '' [0 bytes]"),
    (Frame(Opcode.TEXT, b"a"), "TEXT 'a' [1 byte]"),
    (Frame(Opcode.TEXT, b"it's"), 'TEXT "it\'s" [4 bytes]'),
    (Frame(Opcode.TEXT, b"a\tb\r\n"), "TEXT 'a\\tb\\r\\n' [5 bytes]"),
    (Frame(Opcode.TEXT, b"a", fin=False), "TEXT 'a' [1 byte, continued]"),
    (Frame(Opcode.TEXT, b"\xff"), "TEXT ff [binary, 1 byte]"),
    (Frame(Opcode.TEXT, b"a\0"), "TEXT 61 00 [binary, 2 bytes]"),
    (Frame(Opcode.BINARY, b"\1\2"), "BINARY 01 02 [2 bytes]"),
    (Frame(Opcode.BINARY, b"abc"), "BINARY 'abc' [text, 3 bytes]"),
    (Frame(Opcode.CONT, b"abc"), "CONT 'abc' [text, 3 bytes]"),
    (Frame(Opcode.CONT, b"\xff"), "CONT ff [binary, 1 byte]"),
    (Frame(Opcode.PING, b"abcd"), "PING 'abcd' [text, 4 bytes]"),
    (Frame(Opcode.PING, b"\xc3\xa9"), "PING c3 a9 [binary, 2 bytes]"),
    (Frame(Opcode.PONG, b""), "PONG '' [0 bytes]"),
    (Frame(Opcode.CLOSE, b"\x03\xe8"), "CLOSE 1000 (OK) [2 bytes]"),
    (Frame(Opcode.CLOSE, b"\x03\xe9bye"), "CLOSE 1001 (going away) bye [5 bytes]"),
    (Frame(Opcode.CLOSE, b"\x03"), "CLOSE 03 [binary, 1 byte]"),
    (Frame(Opcode.CLOSE, b"\x03\xe8\xff"), "CLOSE 03 e8 ff [binary, 3 bytes]"),
    # A fragment may end, and a continuation begin, within a character.
    (Frame(Opcode.TEXT, b"a\xc3", fin=False), "TEXT 'a\ufffd' [2 bytes, continued]"),
    (Frame(Opcode.TEXT, b"a\xc3"), "TEXT 61 c3 [binary, 2 bytes]"),
    (Frame(Opcode.CONT, b"\xa9a"), "CONT '\ufffda' [text, 2 bytes]"),
    (Frame(Opcode.CONT, b"\xa9"), "CONT '\ufffd' [text, 1 byte]"),
    # Long payloads lose the middle.
    (
        Frame(Opcode.TEXT, b"x" * 74),
        f"TEXT '{'x' * 47}...{'x' * 23}' [74 bytes]",
    ),
    (
        Frame(Opcode.TEXT, b"a" + 10_000 * "\xe9".encode() + b"b"),
        "TEXT 'a" + 46 * "\xe9" + "..." + 22 * "\xe9" + "b' [20002 bytes]",
    ),
    (
        Frame(Opcode.BINARY, bytes(26)),
        f"BINARY{' 00' * 16} ...{' 00' * 8} [26 bytes]",
    ),
    (
        Frame(Opcode.CLOSE, b"\x03\xe8" + b"x" * 123),
        f"CLOSE 1000 (OK) {'x' * 38}...{'x' * 24} [125 bytes]",
    ),
]


@pytest.mark.parametrize(("frame", "text"), SHOWN)
def test_shows_frames_as_websockets_does(frame, text):
    """
    Debug logs are the same.
    """
    theirs = websockets.frames.Frame(
        websockets.frames.Opcode(frame.opcode), frame.data, frame.fin
    )

    assert text == str(frame)
    assert text == str(theirs)


def test_shows_a_backslash_as_text():
    """
    In websockets, a backslash and an x pass for an escape, and show as bytes.
    """
    assert str(Frame(Opcode.TEXT, b"C:\\x")) == "TEXT 'C:\\\\x' [4 bytes]"


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_shows_all_kinds_of_bytes(kind):
    """
    The text doesn't tell how the payload is stored.
    """
    for frame, text in SHOWN:
        shown = Frame(frame.opcode, kind(frame.data), frame.fin)

        assert text == str(shown)


@given(
    st.sampled_from(Opcode),
    st.one_of(
        st.binary(max_size=125),
        st.text(
            st.characters(codec="utf-8", exclude_characters="\\"), max_size=125
        ).map(str.encode),
        st.text("a\xe9\u20ac\U0001f600", min_size=200, max_size=600).map(str.encode),
    ),
    st.booleans(),
    # Other limits than 75 may hide the dots of websockets.
    st.sampled_from([30, 75, 300]),
)
@example(Opcode.TEXT, 200 * "\U0001f600".encode(), True, 75)
@example(Opcode.TEXT, b"xx" + 200 * "\U0001f600".encode() + b"y", True, 75)
def test_shows_any_frame_as_websockets_does(opcode, data, fin, max_log_size):
    """
    Except where bytes at the ends of a fragment cannot belong to UTF-8: we
    show them as bytes, and websockets as replacement characters.
    """
    if opcode in frames.CTRL_OPCODES:
        data = data[:125]
    theirs = websockets.frames.Frame(websockets.frames.Opcode(opcode), data, fin)
    ours = Frame(opcode, data, fin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websockets.frames.Frame, "MAX_LOG_SIZE", max_log_size)
        patch.setattr(Frame, "MAX_LOG_SIZE", max_log_size)

        assert str(theirs) == str(ours) or "\ufffd" in str(theirs)


@pytest.mark.parametrize("max_log_size", range(12))
def test_shows_frames_in_little_space(monkeypatch, max_log_size):
    """
    A tiny limit leaves little, and fails nowhere.
    """
    monkeypatch.setattr(Frame, "MAX_LOG_SIZE", max_log_size)

    for opcode, size in itertools.product(Opcode, (1, 10, 100)):
        for data in (b"a" * size, bytes(size)):
            payload = str(Frame(opcode, data)).partition(" ")[2].partition(" [")[0]
            assert len(payload) <= max(max_log_size, len(" ... "))


def test_the_environment_sets_how_much_is_shown():
    """
    SOCKETEER_MAX_LOG_SIZE is read when the module is imported.
    """
    program = "from socketeer.frames import Frame; print(Frame.MAX_LOG_SIZE)"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"SOCKETEER_MAX_LOG_SIZE": "10", "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )

    assert result.stdout == b"10\n"
