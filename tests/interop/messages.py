"""Messages that implementations have disagreed about."""

from __future__ import annotations

import random

__all__ = ["BINARY_MESSAGES", "MESSAGES", "TEXT_MESSAGES", "assorted"]

generator = random.Random(6455)

TEXT_MESSAGES = {
    "empty text": "",
    "one character": "x",
    "ascii": "Hello!",
    "nul": "\0 \0",
    "two bytes a character": "žluťoučký kůň",
    "three bytes a character": "你好 世界",
    "four bytes a character": "👩‍👩‍👧 🏴‍☠️",
    "last code points": "\ud7ff\ue000\uffff\U0010ffff",
    "json": '{"numbers": [' + ", ".join(map(str, range(1000))) + "]}",
    "125 bytes": "a" * 125,
    "126 bytes": "a" * 126,
    "65 535 bytes": "ab" * 32767 + "a",
    "65 536 bytes": "abcd" * 16384,
}

BINARY_MESSAGES = {
    "empty bytes": b"",
    "every byte": bytes(range(256)),
    "no text": b"\xc3\x28\xff\xfe",
    "deflate tail": b"\x00\x00\xff\xff" * 3,
    "zeros": bytes(100_000),
    **{
        f"{size} random bytes": generator.randbytes(size)
        for size in (1, 125, 126, 127, 65_535, 65_536, 70_000)
    },
}

MESSAGES = TEXT_MESSAGES | BINARY_MESSAGES


def assorted(count):
    """Return this many messages of both kinds and many sizes, always the same."""
    shuffled = random.Random(count)
    words = ["fragment", "frame", "message", "payload", "socket", "世界"]
    messages = []
    for number in range(count):
        size = int(shuffled.paretovariate(0.7))
        if shuffled.random() < 0.5:
            messages.append(shuffled.randbytes(min(size, 20_000)))
        else:
            text = " ".join(shuffled.choices(words, k=min(size, 2_000)))
            messages.append(f"{number}: {text}")
    return messages
