"""
HTTP Basic Authentication of clients (RFC 7617).
"""

from __future__ import annotations

from .._authentication import basic_auth

__all__ = ["basic_auth"]
