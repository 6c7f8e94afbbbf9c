"""
Messages as people and programs see them.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import re
from pathlib import Path
from typing import Any, Literal

from ..frames import Close
from ..typing import Data

__all__ = [
    "BinaryForm",
    "Display",
    "closing_line",
    "escape",
    "from_line",
    "message_line",
    "pretty",
]

BinaryForm = Literal["hex", "base64", "file"]

# Characters that would move the cursor, or change more of the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """
    Make control characters visible, so that no message can disturb a terminal.
    """
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def pretty(text: str) -> str | None:
    """
    Lay out JSON over several lines; return :obj:`None` for what is not JSON.
    """
    try:
        laid_out = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return "\n".join(escape(line) for line in laid_out.split("\n"))


@dataclasses.dataclass
class Display:
    """
    Turns messages into text.

    Args:
        as_json: Whether to lay out JSON.
        binary: How to show binary messages.
        folder: Where files go.
    """

    as_json: bool = False
    binary: BinaryForm = "hex"
    folder: Path = dataclasses.field(default_factory=Path)

    def binary_text(self, message: bytes) -> str:
        """
        Return a binary message as text; write it to a file, if that is its form.
        """
        if self.binary == "hex":
            return message.hex()
        if self.binary == "base64":
            return base64.b64encode(message).decode()
        return f"{len(message)} bytes in {self._save(message)}"

    def for_people(self, message: Data) -> str:
        """
        Return a message for a terminal.
        """
        if isinstance(message, bytes):
            return f"(binary) {self.binary_text(message)}"
        return (pretty(message) if self.as_json else None) or escape(message)

    def for_programs(self, message: Data) -> str:
        """
        Return a message for a pipe: as it is.
        """
        if isinstance(message, bytes):
            return self.binary_text(message)
        return (pretty(message) if self.as_json else None) or message

    def _save(self, message: bytes) -> Path:
        """
        Write a message to a file that was not there before.
        """
        number = 1
        while True:
            path = self.folder / f"message-{number:04}.bin"
            try:
                with path.open("xb") as file:
                    file.write(message)
            except FileExistsError:
                number += 1
            else:
                return path


# One JSON object on a line: what is said to other programs, without loss.


def message_line(message: Data) -> str:
    """
    Return the line for a message.
    """
    if isinstance(message, str):
        return json.dumps({"type": "text", "data": message})
    data = base64.b64encode(message).decode()
    return json.dumps({"type": "binary", "data": data})


def closing_line(close: Close) -> str:
    """
    Return the line for the end of a connection.
    """
    return json.dumps({"type": "close", "code": close.code, "reason": close.reason})


def from_line(line: str) -> Data | Close:
    """
    Return what a line asks to send: a message, or the end.

    Raises:
        ValueError: The line makes no sense.
    """
    try:
        item: Any = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    kind = item.get("type") if isinstance(item, dict) else None
    if kind == "close":
        code, reason = item.get("code", 1000), item.get("reason", "")
        if not isinstance(code, int) or not isinstance(reason, str):
            raise ValueError("a close has a number as code and a string as reason")
        return Close(code, reason)
    data = item.get("data") if kind in {"text", "binary"} else None
    if isinstance(data, str):
        return data if kind == "text" else _from_base64(data)
    raise ValueError('expected {"type": "text", "data": "..."}, binary or close')


def _from_base64(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"binary data is in base64: {exc}") from exc
