"""
Where Socketeer and its peers in the comparison do not do the same, and why.

Each comparison has a function here. It returns the name of a difference, nothing
(``""``) if there is none, and :obj:`None` for a difference that is not listed,
which is a finding. ``docs/conformance.md`` explains each name.
"""

from __future__ import annotations

from typing import Any

__all__ = ["NAMES", "of_closes", "of_frames", "of_headers", "of_heads", "of_uris"]

Outcome = tuple[str, Any]

# What we refuse in a head and websockets accepts, by the beginning of our error.
_STRICTER_HEADS = {
    "invalid HTTP request line": "request-line",
    "unsupported request body": "content-length",
    "invalid status code; expected 100": "status-code",
}

NAMES = {
    *_STRICTER_HEADS.values(),
    "close-1014",
    "close-in-fragments",
    "coding-case",
    "no-limits",
    "size-first",
    "two-faults",
    "uri-characters",
}


def of_heads(ours: Outcome, theirs: Outcome) -> str | None:
    """
    Compare how a head was read.
    """
    if ours == theirs or ours[0] == theirs[0] == "raises":
        return ""
    if ours[0] == "raises":
        text = ours[1][1]
        for beginning, name in _STRICTER_HEADS.items():
            if text.startswith(beginning):
                return name
    elif str(theirs[1][1]).lower().startswith("transfer coding chunked "):
        return "coding-case"
    return None


def of_headers(value: str, ours: Outcome, theirs: Outcome) -> str | None:
    """
    Compare how the value of a header was read.
    """
    if ours == theirs or ours[0] == theirs[0] == "raises":
        return ""
    return None


def of_uris(uri: str, ours: Outcome, theirs: Outcome) -> str | None:
    """
    Compare how a URI was read.
    """
    if ours == theirs or ours[0] == theirs[0] == "raises":
        return ""
    # Characters that may not stand in a URI are encoded, not sent.
    if not all("!" <= character <= "~" for character in uri):
        return "uri-characters"
    return None


def of_closes(payload: bytes, ours: Outcome, theirs: Outcome) -> str | None:
    """
    Compare how the payload of a close frame was read.
    """
    if ours == theirs or ours[0] == theirs[0] == "raises":
        return ""
    if theirs == ("raises", ("ParseFailed", "CLOSE with unknown reserved code")):
        # The registry of IANA has it.
        return "close-1014" if ours[1][0] == 1014 else None
    return None


def of_frames(peer: str, ours: Outcome, theirs: Outcome) -> str | None:
    """
    Compare messages and how a connection ended; texts of errors may differ.
    """
    if ours[0] == "raises" or theirs[0] == "raises":
        return "" if ours == theirs else None
    our_messages, (our_kind, our_code, *_) = ours[1]
    their_messages, (their_kind, their_code, *their_text) = theirs[1]
    same = our_messages == their_messages
    if same and (our_kind, our_code) == (their_kind, their_code):
        return ""
    their_error = str(*their_text)
    both_failed = same and our_kind == their_kind == "failed"
    closed_with = our_code[0] if our_kind == "closed" and our_code else None
    excuses = {
        "close-1014": (
            same
            and closed_with == 1014
            and their_error == "CLOSE with unknown reserved code"
        ),
        "close-in-fragments": (
            same
            and closed_with is not None
            and their_error == "incomplete fragmented message"
        ),
        # It has no limits; its users count.
        "no-limits": (
            peer == "wsproto"
            and (our_kind, our_code) == ("failed", 1009)
            and our_messages == their_messages[: len(our_messages)]
        ),
        # It looks at the size of a frame before it asks what frame it is.
        "size-first": (
            both_failed
            and peer == "websockets"
            and (our_code, their_code) == (1002, 1009)
        ),
        # A close frame whose code and reason are both wrong.
        "two-faults": (
            both_failed
            and our_code == 1007
            and ("CLOSE with" in their_error or "remote CLOSE" in their_error)
        ),
    }
    return next((name for name, applies in excuses.items() if applies), None)
