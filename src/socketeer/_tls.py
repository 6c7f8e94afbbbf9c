"""
The TLS context of clients that bring none, in whatever room.
"""

from __future__ import annotations

import functools
import ssl as ssl_module

__all__ = ["choose_context", "default_context"]


@functools.cache
def default_context() -> ssl_module.SSLContext:
    """
    Return the TLS context for clients that bring none.

    It is made once: loading the system's certificates takes milliseconds and
    megabytes.
    """
    return ssl_module.create_default_context()


def choose_context(
    is_secure: bool,
    ssl: ssl_module.SSLContext | bool | None,
    *,
    for_proxy: bool = False,
) -> ssl_module.SSLContext | None:
    """
    Return the TLS context to connect with, if TLS is to be used.

    Args:
        is_secure: Whether the URI says ``wss``, or that of the proxy ``https``.
        ssl: The argument of the user: a context, or :obj:`True` or :obj:`None`
            for the default one.
        for_proxy: Whether this is about the proxy, not about the server.

    Raises:
        ValueError: There is an argument, but no TLS.
    """
    if not is_secure:
        if ssl is None:
            return None
        if for_proxy:
            raise ValueError("proxy_ssl argument is incompatible with an http:// proxy")
        raise ValueError("ssl argument is incompatible with a ws:// URI")
    if isinstance(ssl, ssl_module.SSLContext):
        return ssl
    return default_context()
