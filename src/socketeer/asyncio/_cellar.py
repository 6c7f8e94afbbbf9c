"""
The parts of the cellar that this room uses, in the build chosen for the process.
"""

from __future__ import annotations

from .._implementation import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, Literal, overload

    from .._core.aio.fan_out import fan_out_to_all as fan_out_to_all
    from .._core.aio.foreign import ForeignProtocol as ForeignProtocol
    from .._core.aio.foreign import ForeignWire as ForeignWire
    from .._core.aio.fragments import drain as drain
    from .._core.aio.fragments import wait_until_sendable as wait_until_sendable
    from .._core.aio.link import Link as Link
    from .._core.aio.operations import Connected as _Connected
    from .._core.aio.operations import receive_fragment as receive_fragment
    from .._core.aio.tls import TLSTransport as TLSTransport
    from .._core.aio.transport import SocketTransport as SocketTransport
    from .._core.aio.turn import Turn as Turn
    from .._core.aio.turn import turn_of as turn_of
    from .._core.aio.wire import Wire as Wire
    from .._core.endpoint import MaskingKeys as MaskingKeys
    from .._core.prepared import PreparedMessage as PreparedMessage
    from ..typing import Data

    class Connected(_Connected):
        """
        Says what compiled code cannot: what ``decode`` makes of a message.
        """

        @overload
        def recv(self, decode: None = None) -> Coroutine[Any, Any, Data]: ...
        @overload
        def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
        @overload
        def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
        @overload
        def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]: ...
        def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]:
            return super().recv(decode)

else:
    _foreign = load("aio.foreign")
    _operations = load("aio.operations")
    _fragments = load("aio.fragments")
    _turn = load("aio.turn")

    ForeignProtocol = _foreign.ForeignProtocol
    ForeignWire = _foreign.ForeignWire
    drain = _fragments.drain
    fan_out_to_all = load("aio.fan_out").fan_out_to_all
    wait_until_sendable = _fragments.wait_until_sendable
    Link = load("aio.link").Link
    Connected = _operations.Connected
    receive_fragment = _operations.receive_fragment
    TLSTransport = load("aio.tls").TLSTransport
    SocketTransport = load("aio.transport").SocketTransport
    Turn = _turn.Turn
    turn_of = _turn.turn_of
    Wire = load("aio.wire").Wire
    MaskingKeys = load("endpoint").MaskingKeys
    PreparedMessage = load("prepared").PreparedMessage

__all__ = [
    "Connected",
    "ForeignProtocol",
    "ForeignWire",
    "Link",
    "MaskingKeys",
    "PreparedMessage",
    "SocketTransport",
    "TLSTransport",
    "Turn",
    "Wire",
    "drain",
    "fan_out_to_all",
    "receive_fragment",
    "turn_of",
    "wait_until_sendable",
]
