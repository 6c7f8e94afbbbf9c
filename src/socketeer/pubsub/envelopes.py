"""
Ready-made envelopes: they tell clients where they stand.
"""

from __future__ import annotations

import base64
import json

from ..typing import Data

__all__ = ["json_envelope"]


def json_envelope(topic: str, message: Data, position: str | None) -> str:
    """
    Put a message into a JSON object with its topic and its position.

    Clients receive ``{"topic": ..., "position": ..., "data": ...}``. Text that is
    JSON becomes the ``data`` as it is; other text becomes a string. Bytes come as
    ``"base64"`` instead of ``"data"``. The position is ``null`` on topics without
    history.
    """
    if isinstance(message, bytes):
        key, value = "base64", json.dumps(base64.b64encode(message).decode("ascii"))
    else:
        key, value = "data", message if is_json(message) else json.dumps(message)
    head = json.dumps({"topic": topic, "position": position}, ensure_ascii=False)
    return f'{head[:-1]}, "{key}": {value}}}'


def is_json(text: str) -> bool:
    """
    Tell whether a text is JSON, in the strict sense of browsers.
    """
    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


def refuse(name: str) -> None:
    """
    Refuse NaN and infinities, which JSON does not know (RFC 8259, 6).
    """
    raise ValueError(f"{name} is not JSON")
