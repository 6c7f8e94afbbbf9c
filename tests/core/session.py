"""
What tests of receiving sessions have in common.
"""

from __future__ import annotations

LETTERS = "aé€😀".encode()


def take_all(session, decode=None):
    messages = []
    while session.has_items():
        messages.append(session.take_message(decode))
    return messages


def failed_with_utf8(end, session):
    assert 1007 == session.fail_code
    assert end.own_close(1007, b"invalid UTF-8") == session.data_to_send()
    assert isinstance(session.failure, UnicodeDecodeError)
    return True
