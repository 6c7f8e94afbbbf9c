"""
Pieces of a fragmented message.
"""

from __future__ import annotations

__all__ = ["Fragment"]


class Fragment:
    """
    One frame of a fragmented message.

    Attributes:
        opcode: The opcode of the message: 1 for text, 2 for binary.
        payload: The payload of the frame.
        fin: Whether it is the last frame of the message.
    """

    __slots__ = ("fin", "opcode", "payload")

    def __init__(self, opcode: int, payload: bytes, fin: bool) -> None:
        self.opcode = opcode
        self.payload = payload
        self.fin = fin
