"""
How messages are shown, and how lines are read.
"""

from __future__ import annotations

import json

import pytest

from socketeer.cli.entries import (
    CloseEntry,
    FileEntry,
    HelpEntry,
    PingEntry,
    parse,
)
from socketeer.cli.messages import (
    Display,
    closing_line,
    escape,
    from_line,
    message_line,
)
from socketeer.frames import Close

ESCAPED = [
    ("plain é 漢 🙂", "plain é 漢 🙂"),
    ("a\nb\tc\r", "a\\nb\\tc\\r"),
    ("\x1b[2J", "\\x1b[2J"),
    ("\x9b\x7f", "\\x9b\\x7f"),
    ("\u202e\u2028", "\\u202e\\u2028"),
]


@pytest.mark.parametrize(("text", "shown"), ESCAPED)
def test_no_message_disturbs_the_terminal(text, shown):
    """
    Control characters are shown as Python writes them.
    """
    assert shown == escape(text)
    assert shown == Display().for_people(text)


def test_json_is_laid_out():
    """
    If asked to; what is not JSON stays as it is.
    """
    display = Display(as_json=True)

    assert '{\n  "a": "é"\n}' == display.for_people('{"a":"\\u00e9"}')
    assert '{\n  "a": 1\n}' == display.for_programs('{"a":1}')
    assert '"\\x9b"' == display.for_people('"\x9b"')
    assert "hello" == display.for_people("hello")
    assert "[" * 100_000 == display.for_programs("[" * 100_000)


BINARY = [
    ("hex", "(binary) 00ff", "00ff"),
    ("base64", "(binary) AP8=", "AP8="),
]


@pytest.mark.parametrize(("form", "people", "programs"), BINARY)
def test_binary_messages_have_forms(form, people, programs):
    """
    People are told that it is one.
    """
    display = Display(binary=form)

    assert people == display.for_people(b"\x00\xff")
    assert programs == display.for_programs(b"\x00\xff")


def test_binary_messages_go_to_files(tmp_path):
    """
    Each to a new one; nothing is overwritten.
    """
    tmp_path.joinpath("message-0001.bin").write_bytes(b"old")
    display = Display(binary="file", folder=tmp_path)

    shown = [display.for_people(b"a"), display.for_people(b"bc")]

    paths = [tmp_path / f"message-000{n}.bin" for n in (1, 2, 3)]
    assert [b"old", b"a", b"bc"] == [path.read_bytes() for path in paths]
    assert f"(binary) 2 bytes in {paths[2]}" == shown[1]


@pytest.mark.parametrize("message", ["", "a\nb", b"", b"\x00\xff"])
def test_lines_of_json_lose_nothing(message):
    """
    What is written can be read.
    """
    line = message_line(message)

    assert "\n" not in line
    assert message == from_line(line)


def test_a_close_is_a_line_too():
    """
    In both directions; code and reason may be left out.
    """
    assert Close(4000, "bye") == from_line(closing_line(Close(4000, "bye")))
    assert Close(1000, "") == from_line('{"type": "close"}')


NO_LINES = [
    ("", "Expecting value"),
    ("1", "expected"),
    ("[]", "expected"),
    ("{}", "expected"),
    ('{"type": "text"}', "expected"),
    ('{"type": "text", "data": 1}', "expected"),
    ('{"type": "ping", "data": ""}', "expected"),
    ('{"type": "binary", "data": "é"}', "base64|ASCII"),
    ('{"type": "binary", "data": "a"}', "base64"),
    ('{"type": "close", "code": "1000"}', "a number as code"),
    ('{"type": "close", "reason": 1}', "a string as reason"),
    ("[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("line", "error"), NO_LINES)
def test_a_line_that_makes_no_sense_is_refused(line, error):
    """
    The error tells why.
    """
    with pytest.raises(ValueError, match=error):
        from_line(line)


ENTRIES = [
    ("hello", "hello"),
    ("  hello ", "  hello "),
    ("", ""),
    ("/unknown", "/unknown"),
    ("//ping", "/ping"),
    ("/pingpong", "/pingpong"),
    ("/ping", PingEntry(None)),
    ("/ping a b ", PingEntry("a b")),
    ("/close", CloseEntry(1000, "")),
    ("/close 4000", CloseEntry(4000, "")),
    ("/close 4000 good bye", CloseEntry(4000, "good bye")),
    ("/close 99999999", CloseEntry(99999, "")),
    ("/help", HelpEntry()),
    ("/help me", "/help me"),
]


@pytest.mark.parametrize(("line", "entry"), ENTRIES)
def test_a_line_at_the_prompt_is_text_or_a_command(line, entry):
    """
    Only what is a command is one.
    """
    assert entry == parse(line)


def test_a_path_may_contain_spaces(monkeypatch):
    """
    In quotes; `~` is the home.
    """
    monkeypatch.setenv("HOME", "/home")

    assert "a b" == str(parse("/file 'a b'").path)
    assert "/home/x" == str(parse("/file ~/x").path)
    assert isinstance(parse("/file x"), FileEntry)


@pytest.mark.parametrize(
    "line", ["/close x", "/close ²", "/file", "/file a b", "/file '"]
)
def test_wrong_arguments_of_a_command_are_refused(line):
    """
    Nothing is sent.
    """
    with pytest.raises(ValueError, match=r"."):
        parse(line)


def test_a_line_is_json_for_other_programs():
    """
    Text and base64.
    """
    assert {"type": "text", "data": "é"} == json.loads(message_line("é"))
    assert {"type": "binary", "data": "AP8="} == json.loads(message_line(b"\x00\xff"))
