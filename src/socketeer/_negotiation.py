"""
What ``serve()`` and ``connect()`` offer in the opening handshake, in whatever room.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .headers import validate_subprotocols

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .typing import LoggerLike, Subprotocol

__all__ = ["negotiation_arguments"]


def negotiation_arguments(
    side: str,
    enable_deflate: Callable[[Any], Any],
    *,
    extensions: Sequence[Any] | None,
    subprotocols: Sequence[Subprotocol] | None,
    compression: str | None,
    max_size: int | tuple[int | None, int | None] | None,
    logger: LoggerLike | None,
) -> dict[str, Any]:
    """
    Return arguments of a class of protocols, apart from what only one side has.

    Args:
        side: ``"client"`` or ``"server"``.
        enable_deflate: Adds permessage-deflate to extensions of this side.
        extensions: The user's extensions.
        subprotocols: The user's subprotocols.
        compression: ``"deflate"``, or :obj:`None`.
        max_size: Largest message.
        logger: The user's logger.

    Raises:
        ValueError: The compression is not supported.
        TypeError: The subprotocols are no list.
    """
    if subprotocols is not None:
        validate_subprotocols(subprotocols)
    if compression == "deflate":
        extensions = enable_deflate(extensions)
    elif compression is not None:
        raise ValueError(f"unsupported compression: {compression}")
    return {
        "extensions": extensions,
        "subprotocols": subprotocols,
        "max_size": max_size,
        "logger": logger or logging.getLogger(f"socketeer.{side}"),
    }
