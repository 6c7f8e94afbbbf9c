"""
The targets: one module each, with a function ``run`` of some bytes.
"""

from __future__ import annotations

__all__ = ["TARGETS"]

TARGETS = (
    "closes",
    "connection",
    "deflate",
    "frames",
    "headers",
    "heads",
    "peers",
    "uris",
)
