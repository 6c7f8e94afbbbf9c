"""
What the options of ``serve()``, ``connect()`` and the like mean that all rooms have.

Each text stands once. The rooms' docstrings name the options, in the order of the
signature, and :func:`documented` puts the texts in.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar, cast

__all__ = [
    "BROADCAST",
    "CONNECT",
    "ROUTE",
    "SERVE",
    "documented",
    "with_parameters_of",
]

T = TypeVar("T")
P = ParamSpec("P")

# An option whose text is to be put in: "        origins: ...".
_OPTION = re.compile(r"^( *)(\w+): \.\.\.$", re.MULTILINE)

_WIDTH = 88


def documented(texts: Mapping[str, str]) -> Callable[[T], T]:
    """
    Return a decorator that puts texts of options into a docstring.

    Args:
        texts: By the names of options.
    """

    def put_in(match: re.Match[str]) -> str:
        indent, name = match.groups()
        return textwrap.fill(
            f"{name}: {texts[name]}",
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_long_words=False,
            break_on_hyphens=False,
        )

    def document(thing: T) -> T:
        # There is none with python -OO.
        if thing.__doc__ is not None:
            thing.__doc__ = _OPTION.sub(put_in, thing.__doc__)
        return thing

    return document


def with_parameters_of(
    other: Callable[P, object],
) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """
    Return a decorator that tells the parameters of a function which passes them on.

    Type checkers and :func:`help` then know those that the function has as
    ``**kwargs``.

    Args:
        other: What the parameters are passed to; it has a ``**kwargs``, too.
    """

    def tell(function: Callable[..., T]) -> Callable[P, T]:
        own = inspect.signature(function)
        *passed_on, rest = inspect.signature(other).parameters.values()
        known = {parameter.name for parameter in [*passed_on, rest]}
        ours = [each for each in own.parameters.values() if each.name not in known]
        signature = own.replace(parameters=[*passed_on, *ours, rest])
        function.__signature__ = signature  # type: ignore[attr-defined] # see inspect
        return cast("Callable[P, T]", function)

    return tell


_BOTH = {
    "ping_timeout": (
        "Seconds to wait for a pong before the connection fails; :obj:`None` for ever."
    ),
    "close_timeout": ("Seconds for the closing handshake; :obj:`None` for ever."),
    "max_size": (
        "Largest message accepted, in bytes, also after decompression; "
        ":obj:`None` for any. A tuple also limits frames: ``(message, frame)``."
    ),
    "max_queue": (
        "Frames that may wait to be received before reading pauses; :obj:`None` "
        "for any number. A tuple also tells when it goes on: ``(high, low)``."
    ),
}

SERVE = {
    **_BOTH,
    "origins": (
        "Acceptable values of the ``Origin`` header, as protection against "
        "other people's web pages (RFC 6455, 10.2): strings, patterns that have "
        'to match entirely, and :obj:`None` for its absence. ``"same-host"`` '
        "stands for pages from the host and port that the request goes to."
    ),
    "subprotocols": (
        "Subprotocols, in order of preference. Clients which support none of "
        "them are refused."
    ),
    "select_subprotocol": (
        "Function that gets a connection and the subprotocols of the client, "
        "and returns one of them or :obj:`None`; it may raise "
        ":exc:`~socketeer.exceptions.NegotiationError`."
    ),
    "compression": (
        '``"deflate"`` accepts permessage-deflate (RFC 7692); :obj:`None` does not.'
    ),
    "server_header": ("``Server`` header of responses; :obj:`None` for none."),
    "ping_interval": (
        "Seconds between pings that keep a connection alive; :obj:`None` for none."
    ),
    "max_connections": (
        "Most connections at a time. More are refused with status 503 and "
        "``Retry-After``."
    ),
    "max_connections_per_address": (
        "Most connections at a time from one address, or from one /64 network "
        "of IPv6. More are refused with status 429."
    ),
    "max_message_rate": (
        "Messages that a client may send in a second, on average, and ten times "
        "as many at once; a fragment counts as a message. A tuple tells how "
        "many at once: ``(rate, burst)``. Beyond, the connection is closed with "
        "code 1008."
    ),
    "max_byte_rate": (
        "The same for bytes, as they arrive. A burst should have room for a "
        "message of ``max_size``."
    ),
    "idle_timeout": (
        "Seconds without a message from the client after which the connection "
        "is closed with code 1001. Pings and pongs do not count."
    ),
    "trusted_proxies": (
        "Networks, or addresses, of the proxies in front of the server; "
        '``"unix"`` for those that connect by a Unix socket. From them, '
        "``remote_address`` is what ``Forwarded`` or ``X-Forwarded-For`` tells."
    ),
    "logger": ("Logger of the server; ``socketeer.server`` by default."),
    "create_connection": ("Class of the connections, or a function that makes them."),
}
"""Options of ``serve()``."""

CONNECT = {
    **_BOTH,
    "uri": (
        "``ws://`` or ``wss://`` URI of the server. A user name and a password "
        "in it are sent for HTTP Basic Authentication."
    ),
    "compression": (
        '``"deflate"`` offers permessage-deflate (RFC 7692); :obj:`None` does not.'
    ),
    "additional_headers": ("Headers of the request, after all others."),
    "user_agent_header": ("``User-Agent`` header; :obj:`None` for none."),
    "proxy": (
        "URL of a proxy: ``http://``, ``https://``, or, with ``python-socks``, "
        "``socks5h://``, ``socks5://``, ``socks4a://`` or ``socks4://``. "
        ":obj:`True` uses the settings of the environment and of the operating "
        "system; :obj:`None` connects directly."
    ),
    "process_exception": (
        "When connecting again and again, called with the exception of an "
        "attempt that failed. Returns :obj:`None` to try again, or the "
        "exception to raise. By default, "
        ":func:`~socketeer.client.process_exception`."
    ),
    "open_timeout": ("Seconds for all of connecting; :obj:`None` for no limit."),
    "ping_interval": (
        "Seconds between pings that keep the connection alive; :obj:`None` for none."
    ),
    "reconnect_delays": (
        "When connecting again and again, returns the seconds to wait, one "
        "after the other; if they run out, the last exception is raised. By "
        "default, :func:`~socketeer.client.backoff`."
    ),
    "logger": ("Logger of the client; ``socketeer.client`` by default."),
    "create_connection": ("Class of the connection, or a function that makes it."),
}
"""Options of ``connect()``."""

BROADCAST = {
    "connections": "The connections: a set, say.",
    "message": "The message: :class:`str` for text, bytes-like for binary.",
    "raise_exceptions": (
        "Whether to raise failures, when all connections have been served; otherwise "
        "they are logged as warnings."
    ),
    "text": (
        ":obj:`True` sends bytes in a text frame, :obj:`False` sends a string in a "
        "binary frame."
    ),
    "on_overflow": (
        'What happens to a peer with a larger backlog. ``"close"`` closes the '
        'connection with code 1013. ``"drop"`` drops this message. ``"latest"`` drops '
        "the broadcasts that wait and were not begun."
    ),
    "TypeError": (
        "The message is neither :class:`str` nor bytes-like. Nothing was sent."
    ),
    "ValueError": "``on_overflow`` is none of the above. Nothing was sent.",
    "ExceptionGroup": (
        "With ``raise_exceptions``: the message could not be sent to some "
        "connections. The others got it."
    ),
}
"""Options and errors of ``broadcast()``."""

ROUTE = {
    "server_name": (
        "Name under which clients know the server, for redirects and for rules with "
        "subdomains; by default, what they say in ``Host``."
    ),
    "ssl": (
        "Context for TLS. :obj:`True` says that a proxy in front does TLS, so that "
        "redirects begin with ``wss://``."
    ),
    "create_router": "Class of the router, or a function that makes one.",
}
"""Options of ``route()``."""
