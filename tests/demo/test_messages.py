"""What pages may say to the chat, and what they may not."""

from __future__ import annotations

import json

import pytest

from socketeer.demo.messages import (
    MAX_MESSAGE_SIZE,
    MAX_NICKNAME_LENGTH,
    MAX_PING_ID,
    MAX_TEXT_LENGTH,
    ChatError,
    Join,
    Ping,
    Say,
    parse_message,
)

ACCEPTED = [
    ({"type": "join", "nickname": "Ada"}, Join("Ada")),
    ({"type": "join", "nickname": "  Ada \t Lovelace "}, Join("Ada Lovelace")),
    ({"type": "join", "nickname": "x" * MAX_NICKNAME_LENGTH}, Join("x" * 24)),
    ({"type": "say", "text": "Hello!"}, Say("Hello!")),
    ({"type": "say", "text": "two\r\nlines"}, Say("two\nlines")),
    ({"type": "say", "text": "x" * MAX_TEXT_LENGTH}, Say("x" * 500)),
    ({"type": "say", "text": "<b>bold</b>"}, Say("<b>bold</b>")),
    ({"type": "say", "text": "Hi", "more": [1]}, Say("Hi")),
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
    ('{"type": "join", "nickname": 7}', "unknown message"),
    ('{"type": "join", "nickname": " "}', "empty nickname"),
    ('{"type": "join", "nickname": "\\u0000\\u202e"}', "empty nickname"),
    ('{"type": "join", "nickname": "' + "x" * 25 + '"}', "nickname too long"),
    ('{"type": "say", "text": null}', "unknown message"),
    ('{"type": "say", "text": " \\n "}', "empty text"),
    ('{"type": "say", "text": "' + "x" * 501 + '"}', "text too long"),
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

    assert Join("Ada") == parse_message(
        json.dumps({"type": "join", "nickname": f"A{hidden}da"})
    )
    assert Say("Hello") == parse_message(
        json.dumps({"type": "say", "text": f"He{hidden}llo"})
    )


def test_joined_emoji_and_right_to_left_text_stay_whole():
    """
    Cleaning removes no character that people write on purpose.
    """
    text = "👩‍👩‍👧 مرحبا 你好 é"

    assert Say(text) == parse_message(json.dumps({"type": "say", "text": text}))


def test_the_longest_text_fits_into_the_largest_message():
    """
    A text at its limit is below max_size, however it was encoded.
    """
    longest = json.dumps({"type": "say", "text": "\U0001f600" * MAX_TEXT_LENGTH})

    assert len(longest) < MAX_MESSAGE_SIZE
    assert Say("\U0001f600" * MAX_TEXT_LENGTH) == parse_message(longest)
