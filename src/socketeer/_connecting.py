"""
What ``connect()`` makes of its arguments, in whatever room.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .extensions.permessage_deflate import enable_client_permessage_deflate
from .headers import validate_subprotocols

if TYPE_CHECKING:
    from .datastructures import HeadersLike
    from .extensions import ClientExtensionFactory
    from .typing import LoggerLike, Origin, Subprotocol

__all__ = ["prepare_protocol", "repeatable"]


def prepare_protocol(
    *,
    origin: Origin | None,
    extensions: Sequence[ClientExtensionFactory] | None,
    subprotocols: Sequence[Subprotocol] | None,
    compression: str | None,
    max_size: int | tuple[int | None, int | None] | None,
    logger: LoggerLike | None,
) -> dict[str, Any]:
    """
    Return arguments of :class:`~socketeer.client.ClientProtocol`.

    Raises:
        ValueError: The compression is not supported.
        TypeError: The subprotocols are no list.
    """
    if subprotocols is not None:
        validate_subprotocols(subprotocols)
    if compression == "deflate":
        extensions = enable_client_permessage_deflate(extensions)
    elif compression is not None:
        raise ValueError(f"unsupported compression: {compression}")
    return {
        "origin": origin,
        "extensions": extensions,
        "subprotocols": subprotocols,
        "max_size": max_size,
        "logger": logger or logging.getLogger("socketeer.client"),
    }


def repeatable(headers: HeadersLike | None) -> HeadersLike | None:
    """
    Return headers that can be sent more than once, over several connections.
    """
    return list(headers) if isinstance(headers, Iterator) else headers
