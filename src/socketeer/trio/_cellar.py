"""
The parts of the cellar that this room uses, in the build chosen for the process.
"""

from __future__ import annotations

from .._implementation import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._core.endpoint import MaskingKeys as MaskingKeys
    from .._core.fragment import Fragment as Fragment
    from .._core.prepared import PreparedMessage as PreparedMessage
    from .._core.session import Session as Session
else:
    _session = load("session")

    MaskingKeys = load("endpoint").MaskingKeys
    PreparedMessage = load("prepared").PreparedMessage
    Fragment = load("fragment").Fragment
    Session = _session.Session

__all__ = ["Fragment", "MaskingKeys", "PreparedMessage", "Session"]
