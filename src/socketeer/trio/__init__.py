"""
The trio room.
"""

from __future__ import annotations

try:
    import trio as _trio  # noqa: F401 - asked whether it is there
except ImportError as exc:
    raise ImportError(
        "socketeer.trio requires trio; socketeer[trio] installs it"
    ) from exc
