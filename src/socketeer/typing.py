"""Names for the types that appear in the public interface."""

from __future__ import annotations

import http
import logging
import os
import typing
from collections.abc import Sequence

__all__ = [
    "BytesLike",
    "ConnectionOption",
    "Data",
    "DataLike",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "PathLike",
    "StatusLike",
    "Subprotocol",
    "UpgradeProtocol",
]

Data = str | bytes
"""A message as an application receives it: text is :class:`str`, binary
is :class:`bytes` (RFC 6455, 5.6)."""

BytesLike = bytes | bytearray | memoryview
"""Binary data as an application may send it."""

DataLike = str | bytes | bytearray | memoryview
"""A message as an application may send it."""

LoggerLike = logging.Logger | logging.LoggerAdapter[typing.Any]
"""What every ``logger`` argument accepts."""

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""Where a Unix socket lives in the file system."""

StatusLike = http.HTTPStatus | int
"""An HTTP status code."""

Origin = typing.NewType("Origin", str)
"""Value of an ``Origin`` header (RFC 6454)."""

Subprotocol = typing.NewType("Subprotocol", str)
"""Name in a ``Sec-WebSocket-Protocol`` header (RFC 6455, 1.9)."""

ExtensionName = typing.NewType("ExtensionName", str)
"""Name of an extension (RFC 6455, 9.1)."""

ExtensionParameter = tuple[str, str | None]
"""Name and value of a parameter of an extension; the value is
:obj:`None` when the name stands alone."""

ExtensionHeader = tuple[ExtensionName, Sequence[ExtensionParameter]]
"""One extension of a ``Sec-WebSocket-Extensions`` header."""

ConnectionOption = typing.NewType("ConnectionOption", str)
"""One option of a ``Connection`` header (RFC 9110, 7.6.1)."""

UpgradeProtocol = typing.NewType("UpgradeProtocol", str)
"""One protocol of an ``Upgrade`` header (RFC 9110, 7.8)."""
