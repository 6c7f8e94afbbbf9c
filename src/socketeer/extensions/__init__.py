"""
Extensions of the protocol (RFC 6455, 9): the interface, and compression in
:mod:`~socketeer.extensions.permessage_deflate`.
"""

from __future__ import annotations

from .base import ClientExtensionFactory, Extension, ServerExtensionFactory

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]
