"""
The words of the chat: JSON objects in text messages.

A page sends ``join`` once, then ``say`` and ``ping`` as often as it likes::

    {"type": "join", "nickname": "Ada"}
    {"type": "say", "text": "Hello!"}
    {"type": "ping", "id": 7}

What comes from the network is checked here, once, and becomes an object of a
known class with known limits; the rest of the demo trusts these objects.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

__all__ = [
    "MAX_MESSAGE_SIZE",
    "MAX_NICKNAME_LENGTH",
    "MAX_TEXT_LENGTH",
    "ChatError",
    "Join",
    "Message",
    "Ping",
    "Say",
    "parse_message",
]

# Characters, after cleaning.
MAX_NICKNAME_LENGTH = 24
MAX_TEXT_LENGTH = 500

# Bytes. MAX_TEXT_LENGTH characters of 4 bytes, or escaped as \uXXXX\uXXXX by
# a careful encoder, and the JSON around them. serve(max_size=...) refuses
# larger messages with close code 1009 before they are read into memory.
MAX_MESSAGE_SIZE = 8 * 1024

# The largest integer that a JavaScript number holds exactly.
MAX_PING_ID = 2**53 - 1

# Joins several emoji into one. It prints nothing itself, so cleaning would
# remove it and take families apart.
ZERO_WIDTH_JOINER = "\u200d"


class ChatError(ValueError):
    """
    A page broke a rule of the chat.

    The text is one of a few fixed phrases, fit for a close reason.
    """


@dataclass(frozen=True, slots=True)
class Join:
    """Enter the room under this nickname, or one close to it."""

    nickname: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say this to everybody."""

    text: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Return this number at once; the page measures the round-trip time."""

    id: int


Message = Join | Say | Ping


def parse_message(data: str | bytes) -> Message:
    """
    Turn a message from a page into an object that obeys the limits.

    Raises:
        ChatError: It is not one of the three messages, or a value in it
            is of the wrong type, empty, or too long.
    """
    if not isinstance(data, str):
        raise ChatError("expected a text message")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ChatError("expected JSON") from error
    match fields:
        case {"type": "join", "nickname": str(nickname)}:
            return Join(clean_nickname(nickname))
        case {"type": "say", "text": str(text)}:
            return Say(clean_text(text))
        # bool is a subclass of int; {"id": true} is a mistake all the same.
        case {"type": "ping", "id": int(number)} if not isinstance(number, bool):
            if not 0 <= number <= MAX_PING_ID:
                raise ChatError("ping id out of range")
            return Ping(number)
    raise ChatError("unknown message")


def clean_nickname(nickname: str) -> str:
    """Make a nickname one line of visible characters."""
    nickname = " ".join(visible(nickname).split())
    if not nickname:
        raise ChatError("empty nickname")
    if len(nickname) > MAX_NICKNAME_LENGTH:
        raise ChatError("nickname too long")
    return nickname


def clean_text(text: str) -> str:
    """Remove invisible characters; lines stay lines."""
    text = "\n".join(visible(line) for line in text.splitlines()).strip()
    if not text:
        raise ChatError("empty text")
    if len(text) > MAX_TEXT_LENGTH:
        raise ChatError("text too long")
    return text


def visible(line: str) -> str:
    """
    Drop what does not print, such as controls and lone surrogates.

    Characters that reverse the direction of what follows are among them: with
    those, one page could garble the names and times around its text.
    """
    kept = (c for c in line if c.isprintable() or c.isspace() or c == ZERO_WIDTH_JOINER)
    return "".join(" " if c.isspace() else c for c in kept)
