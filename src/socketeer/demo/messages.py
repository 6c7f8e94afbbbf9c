"""
The words of the chat: JSON objects in text messages.

A page sends ``join`` once, then the others as often as it likes::

    {"type": "join", "token": "R4nd0m-R4nd0m-R4nd0m", "nickname": "Ada",
     "room": "Tavern", "since": null}
    {"type": "enter", "room": "Garden", "since": "k3jf8a.117"}
    {"type": "say", "key": "x1y2z3", "text": "Hello!"}
    {"type": "ping", "id": 7}

``since`` is the position of the last message that the page has of that room.

What comes from the network is checked here, once, and becomes an object of a
known class with known limits; the rest of the demo trusts these objects.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .rooms import ROOMS

__all__ = [
    "MAX_MESSAGE_SIZE",
    "MAX_NICKNAME_LENGTH",
    "MAX_TEXT_LENGTH",
    "ChatError",
    "Enter",
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

# Characters. Positions and keys are short; a token is a secret and must not be.
MAX_POSITION_LENGTH = 64
KEY = re.compile(r"[\w-]{1,32}", re.ASCII)
TOKEN = re.compile(r"[\w-]{16,64}", re.ASCII)

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
    """Come in under this nickname, or one close to it; the token says who it is."""

    nickname: str
    token: str
    room: str
    since: str | None


@dataclass(frozen=True, slots=True)
class Enter:
    """Go to another room."""

    room: str
    since: str | None


@dataclass(frozen=True, slots=True)
class Say:
    """Say this to everybody in the room; the key makes it one message."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Return this number at once; the page measures the round-trip time."""

    id: int


Message = Join | Enter | Say | Ping


def parse_message(data: str | bytes) -> Message:
    """
    Turn a message from a page into an object that obeys the limits.

    Raises:
        ChatError: It is not one of the four messages, or a value in it
            is of the wrong type, empty, or too long.
    """
    if not isinstance(data, str):
        raise ChatError("expected a text message")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ChatError("expected JSON") from error
    match fields:
        case {"type": "join", "nickname": str(nickname), "token": str(token)}:
            if not TOKEN.fullmatch(token):
                raise ChatError("malformed token")
            return Join(clean_nickname(nickname), token, *place(fields))
        case {"type": "enter"}:
            return Enter(*place(fields))
        case {"type": "say", "text": str(text), "key": str(key)}:
            if not KEY.fullmatch(key):
                raise ChatError("malformed key")
            return Say(clean_text(text), key)
        # bool is a subclass of int; {"id": true} is a mistake all the same.
        case {"type": "ping", "id": int(number)} if not isinstance(number, bool):
            if not 0 <= number <= MAX_PING_ID:
                raise ChatError("ping id out of range")
            return Ping(number)
    raise ChatError("unknown message")


def place(fields: dict[str, Any]) -> tuple[str, str | None]:
    """Return a room, and the position of the last message known there."""
    match fields:
        case {"room": str(room), "since": str() | None as since}:
            if room not in ROOMS:
                raise ChatError("unknown room")
            if since is not None and len(since) > MAX_POSITION_LENGTH:
                raise ChatError("malformed position")
            return room, since
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
