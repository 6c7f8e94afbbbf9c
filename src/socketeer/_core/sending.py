"""
Frames on their way out: masked if need be, and put into the outbox.
"""

from __future__ import annotations

from .outbox import Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MaskingKeys", "Sender"]

# Masking keys are drawn in blocks of this many bytes: asking the operating
# system for each of them would cost a system call per frame.
_KEY_BLOCK = 1024


class MaskingKeys:
    """
    Masking keys, drawn in blocks from a source of strong entropy.

    Args:
        entropy: Called with a number, returns as many random bytes. "The
            masking key needs to be unpredictable; thus, the masking key MUST be
            derived from a strong source of entropy" (RFC 6455, 5.3).
    """

    __slots__ = ("_block", "_entropy", "_next")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._block = b""
        self._next = 0

    def take(self) -> bytes:
        """
        Return a fresh masking key, four bytes.
        """
        if self._next >= len(self._block):
            self._block = self._entropy(_KEY_BLOCK)
            self._next = 0
        start = self._next
        self._next = start + 4
        return self._block[start : start + 4]

    def discard(self) -> None:
        """
        Forget the keys drawn ahead: after a fork, two processes own them.
        """
        self._block = b""
        self._next = 0


class Sender:
    """
    The sending half of an endpoint.

    Args:
        is_client: Whether this is the client's end, which masks its frames.
        masking_keys: Where a client takes its masking keys from.

    Attributes:
        outbox: What there is to write, or :obj:`None` for nothing.
        trace: Called with ``"<"`` or ``">"``, the first byte and the payload
            of each frame, or :obj:`None`.
    """

    __slots__ = ("is_client", "masking_keys", "outbox", "trace")

    def __init__(self, is_client: bool, masking_keys: MaskingKeys) -> None:
        self.is_client = is_client
        self.masking_keys = masking_keys
        self.outbox: Outbox | None = None
        self.trace: Callable[[str, int, bytes | str], None] | None = None

    def send_frame(self, head: int, payload: bytes | str) -> None:
        """
        Put a frame into the outbox, masked if this is a client.

        The caller answers for the state and for the order of frames.

        Args:
            head: The first byte: FIN, RSV1 to RSV3 and the opcode.
            payload: The payload; text is encoded.

        Raises:
            UnicodeEncodeError: The text has a lone surrogate. Nothing was sent.
        """
        if self.outbox is None:
            self.outbox = self.new_outbox()
        if self.is_client:
            self.outbox.add_frame(head, payload, self.masking_keys.take())
        else:
            self.outbox.add_frame(head, payload, None)
        if self.trace is not None:
            self.trace(">", head, payload)

    def new_outbox(self) -> Outbox:
        """
        Return an empty outbox.
        """
        return Outbox()

    def data_to_send(self) -> bytes:
        """
        Return what there is to write, and forget it.
        """
        outbox = self.outbox
        if outbox is None:
            return b""
        data = outbox.tail(0)
        outbox.clear()
        return data
