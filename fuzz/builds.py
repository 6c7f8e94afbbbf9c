"""
Both builds of the core side by side, and what can be seen of a session.
"""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace
from typing import Any

from tests.core.ends import End

__all__ = ["BUILDS", "Build", "close_of", "observe", "outcome"]

PACKAGES = {"pure": "socketeer._core", "fast": "socketeer._fast"}


class Build(SimpleNamespace):
    """
    The core in one of its builds; its modules are attributes.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        for module in ("deflate", "endpoint", "outbox", "prepared", "session"):
            setattr(self, module, importlib.import_module(f"{PACKAGES[name]}.{module}"))

    def end(self, is_client: bool) -> End:
        """
        Make one end of a connection.
        """
        return End(self, is_client)


# Those that this process compares: both, unless it is to use the pure one.
BUILDS = [
    Build(name)
    for name in PACKAGES
    if name == "pure" or os.environ.get("SOCKETEER_CORE") != "pure"
]


def close_of(close: Any) -> tuple[int, str] | None:
    """
    Give a close frame in comparable form.
    """
    return None if close is None else (int(close.code), close.reason)


def observe(session: Any) -> dict[str, Any]:
    """
    Give all that can be seen of a session, and take what it has to send.
    """
    return {
        "state": session.state,
        "received": close_of(session.close_rcvd),
        "sent": close_of(session.close_sent),
        "peer was first": session.close_rcvd_then_sent,
        "failure": (session.fail_code, type(session.failure), str(session.failure)),
        "flags": (session.wants_eof, session.halted, session.discarding),
        "sizes": (session.kept_size(), session.message_size),
        "time": (session.next_deadline(), session.is_timed(), session.latency),
        "pings": list(session.pings or ()),
        "output": session.data_to_send(),
    }


def outcome(function: Any, *args: Any) -> tuple[str, Any]:
    """
    Call a function; give its result, or its exception, in comparable form.
    """
    try:
        return "returns", function(*args)
    except Exception as exc:
        return "raises", (type(exc).__name__, str(exc))
