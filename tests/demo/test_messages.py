"""What pages may say to the chat, and what they may not."""

from __future__ import annotations

import json

import pytest

from socketeer.demo.messages import (
    MAX_MESSAGE_SIZE,
    MAX_NICKNAME_LENGTH,
    MAX_PING_ID,
    MAX_POSITION_LENGTH,
    MAX_TEXT_LENGTH,
    ChatError,
    Enter,
    Join,
    Ping,
    Say,
    parse_message,
)

TOKEN = "0123456789abcdef"


def join(nickname="Ada", token=TOKEN, room="Tavern", since=None):
    """Return the message with which a page comes in."""
    return {
        "type": "join",
        "nickname": nickname,
        "token": token,
        "room": room,
        "since": since,
    }


def enter(room="Garden", since=None):
    """Return the message with which a page goes to a room."""
    return {"type": "enter", "room": room, "since": since}


def say(text, key="k"):
    """Return the message with which a page says something."""
    return {"type": "say", "text": text, "key": key}


def joined(nickname):
    """Return what becomes of join(nickname)."""
    return Join(nickname, TOKEN, "Tavern", None)


ACCEPTED = [
    (join(), joined("Ada")),
    (join("  Ada \t Lovelace "), joined("Ada Lovelace")),
    (join("x" * MAX_NICKNAME_LENGTH), joined("x" * 24)),
    (
        join(token="x" * 64, room="Library", since="e.1"),
        Join("Ada", "x" * 64, "Library", "e.1"),
    ),
    (enter(), Enter("Garden", None)),
    (enter(since="x" * MAX_POSITION_LENGTH), Enter("Garden", "x" * 64)),
    (say("Hello!"), Say("Hello!", "k")),
    (say("two\r\nlines"), Say("two\nlines", "k")),
    (say("x" * MAX_TEXT_LENGTH), Say("x" * 500, "k")),
    (say("<b>bold</b>"), Say("<b>bold</b>", "k")),
    (say("Hi", "A-z_0"), Say("Hi", "A-z_0")),
    ({**say("Hi"), "more": [1]}, Say("Hi", "k")),
    ({"type": "ping", "id": 0}, Ping(0)),
    ({"type": "ping", "id": MAX_PING_ID}, Ping(MAX_PING_ID)),
]


@pytest.mark.parametrize(("fields", "message"), ACCEPTED)
def test_well_formed_messages_become_objects(fields, message):
    """
    Each kind of message is accepted up to its limits, and cleaned.
    """
    assert message == parse_message(json.dumps(fields))


REFUSED = [
    ("", "expected JSON"),
    ("{", "expected JSON"),
    ("[" * MAX_MESSAGE_SIZE, "expected JSON"),
    ("1" * MAX_MESSAGE_SIZE, "expected JSON"),
    ("null", "unknown message"),
    ("[]", "unknown message"),
    ("{}", "unknown message"),
    ('{"type": "shout"}', "unknown message"),
    ('{"type": ["say"], "text": "Hi"}', "unknown message"),
    ('{"type": "join"}', "unknown message"),
    ('{"type": "join", "nickname": "Ada"}', "unknown message"),
    (join(7), "unknown message"),
    (join(" "), "empty nickname"),
    (join("\u0000\u202e"), "empty nickname"),
    (join("x" * 25), "nickname too long"),
    (join(token="x" * 15), "malformed token"),
    (join(token="x" * 65), "malformed token"),
    (join(token="x" * 20 + "é"), "malformed token"),
    (join(token="x" * 20 + "\n"), "malformed token"),
    (join(room="Cellar"), "unknown room"),
    (join(since=1), "unknown message"),
    ({"type": "enter"}, "unknown message"),
    (enter(room=None), "unknown message"),
    (enter(room="garden"), "unknown room"),
    (enter(since="x" * 65), "malformed position"),
    (say(None), "unknown message"),
    ({"type": "say", "text": "Hi"}, "unknown message"),
    (say(" \n "), "empty text"),
    (say("x" * 501), "text too long"),
    (say("Hi", ""), "malformed key"),
    (say("Hi", "x" * 33), "malformed key"),
    (say("Hi", "a b"), "malformed key"),
    ('{"type": "ping", "id": true}', "unknown message"),
    ('{"type": "ping", "id": 1.5}', "unknown message"),
    ('{"type": "ping", "id": -1}', "ping id out of range"),
    ('{"type": "ping", "id": 9007199254740992}', "ping id out of range"),
]


@pytest.mark.parametrize(("data", "phrase"), REFUSED)
def test_anything_else_is_refused_with_a_fixed_phrase(data, phrase):
    """
    A message that breaks a rule raises ChatError, whose text tells which one.
    """
    if not isinstance(data, str):
        data = json.dumps(data)

    with pytest.raises(ChatError) as raised:
        parse_message(data)

    assert phrase == str(raised.value)


def test_binary_messages_are_refused():
    """
    The chat speaks text; a binary message is refused even if it holds JSON.
    """
    with pytest.raises(ChatError, match=r"^expected a text message$"):
        parse_message(b'{"type": "say", "text": "Hi"}')


def test_invisible_characters_are_removed_from_names_and_texts():
    """
    Controls, direction overrides and lone surrogates do not reach other pages.
    """
    hidden = "\x00\x07\x1b\x7f\u200b\u202e\u2066\ud800\ufeff"

    assert joined("Ada") == parse_message(json.dumps(join(f"A{hidden}da")))
    assert Say("Hello", "k") == parse_message(json.dumps(say(f"He{hidden}llo")))


def test_joined_emoji_and_right_to_left_text_stay_whole():
    """
    Cleaning removes no character that people write on purpose.
    """
    text = "👩‍👩‍👧 مرحبا 你好 é"

    assert Say(text, "k") == parse_message(json.dumps(say(text)))


def test_the_longest_text_fits_into_the_largest_message():
    """
    A text at its limit is below max_size, however it was encoded.
    """
    longest = json.dumps(say("\U0001f600" * MAX_TEXT_LENGTH, "k" * 32))

    assert len(longest) < MAX_MESSAGE_SIZE
    assert Say("\U0001f600" * MAX_TEXT_LENGTH, "k" * 32) == parse_message(longest)
