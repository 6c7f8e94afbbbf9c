"""
What is typed at the prompt: text to send, or a command.
"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from ..frames import CloseCode

__all__ = [
    "HELP",
    "CloseEntry",
    "Entry",
    "FileEntry",
    "HelpEntry",
    "PingEntry",
    "parse",
]

HELP = """\
/ping [TEXT]           send a ping, and tell how long the pong took
/close [CODE [REASON]] close the connection
/file PATH             send a file as a binary message
/help                  this help
//...                  send text that begins with a slash
anything else          send it as a text message; Ctrl+D closes the connection"""


@dataclasses.dataclass(frozen=True)
class PingEntry:
    """
    Send a ping.
    """

    text: str | None


@dataclasses.dataclass(frozen=True)
class CloseEntry:
    """
    Close the connection.
    """

    code: int
    reason: str


@dataclasses.dataclass(frozen=True)
class FileEntry:
    """
    Send a file.
    """

    path: Path


@dataclasses.dataclass(frozen=True)
class HelpEntry:
    """
    Tell what can be typed.
    """


Entry = str | PingEntry | CloseEntry | FileEntry | HelpEntry


def parse(line: str) -> Entry:
    """
    Return what a line means; what is no command is text to send.

    Raises:
        ValueError: A command has wrong arguments.
    """
    word, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    if word == "/ping":
        return PingEntry(rest or None)
    if word == "/close":
        return _parse_close(rest)
    if word == "/file":
        return _parse_file(rest)
    if word == "/help" and not rest:
        return HelpEntry()
    return line[1:] if line.startswith("//") else line


def _parse_close(rest: str) -> CloseEntry:
    code, _, reason = rest.partition(" ")
    if not code:
        return CloseEntry(CloseCode.NORMAL_CLOSURE, "")
    if not code.isascii() or not code.isdigit():
        raise ValueError(f"a close code is a number, not {code!r}")
    return CloseEntry(int(code[:5]), reason.strip())


def _parse_file(rest: str) -> FileEntry:
    words = shlex.split(rest)
    if len(words) != 1:
        raise ValueError("/file takes one path; quote it if it contains spaces")
    return FileEntry(Path(words[0]).expanduser())
