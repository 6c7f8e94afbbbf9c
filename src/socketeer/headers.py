"""
Grammar of the headers that the opening handshake reads and writes.

Parsers take the value of one header and raise
:exc:`~socketeer.exceptions.InvalidHeaderFormat` with the place of the
error. Lists follow the rules of RFC 9110, 5.6.1: empty elements count
as nothing, but there must be one element that isn't empty.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing
from collections.abc import Callable, Sequence

from .datastructures import Headers
from .exceptions import InvalidHeaderFormat, InvalidHeaderValue, InvalidUpgrade
from .typing import (
    ConnectionOption,
    ExtensionHeader,
    ExtensionName,
    ExtensionParameter,
    Subprotocol,
    UpgradeProtocol,
)

__all__ = [
    "build_authorization_basic",
    "build_extension",
    "build_host",
    "build_subprotocol",
    "build_www_authenticate_basic",
    "parse_authorization_basic",
    "parse_connection",
    "parse_extension",
    "parse_subprotocol",
    "parse_upgrade",
    "validate_subprotocols",
]

_Item = typing.TypeVar("_Item")

_TCHAR = r"[-!#$%&'*+.^_`|~0-9A-Za-z]"  # RFC 9110, 5.6.2
_TOKEN = re.compile(f"{_TCHAR}+")
_TOKENS = re.compile(rf"{_TCHAR}+(?:[\t ]*,[\t ]*{_TCHAR}+)*")
_PROTOCOL = re.compile(f"{_TCHAR}+(?:/{_TCHAR}+)?")  # 7.8
_TOKEN68 = re.compile(r"[-._~+/0-9A-Za-z]+=*")  # 11.2
_SPACE = re.compile(r"[\t ]*")  # OWS, 5.6.3
_COMMAS = re.compile(r"(?:,[\t ]*)*")

# RFC 9110, 5.6.4, without the characters beyond ASCII.
_QUOTED_STRING = re.compile(r'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_QUOTABLE = re.compile(r"[\t \x21-\x7e\x80-\xff]*")
_MUST_BE_QUOTED = re.compile(r'(["\\])')


class _Scanner:
    """A header value, and how much of it has been read."""

    __slots__ = ("name", "position", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value
        self.position = 0

    def error(self, message: str) -> InvalidHeaderFormat:
        return InvalidHeaderFormat(self.name, message, self.value, self.position)

    def at_end(self) -> bool:
        return self.position == len(self.value)

    def match(self, pattern: re.Pattern[str], expected: str) -> str:
        match = pattern.match(self.value, self.position)
        if match is None:
            raise self.error(f"expected {expected}")
        self.position = match.end()
        return match[0]

    def skip(self, character: str) -> bool:
        found = self.value.startswith(character, self.position)
        self.position += found
        return found

    def skip_space(self) -> None:
        self.match(_SPACE, "space")

    def token(self) -> str:
        return self.match(_TOKEN, "token")

    def items(self, item: Callable[[_Scanner], _Item]) -> list[_Item]:
        self.match(_COMMAS, "commas")
        items = [item(self)]
        while True:
            self.skip_space()
            if self.at_end():
                return items
            if not self.skip(","):
                raise self.error("expected comma")
            self.skip_space()
            self.match(_COMMAS, "commas")
            if self.at_end():
                return items
            items.append(item(self))


def parse_connection(header: str) -> list[ConnectionOption]:
    """
    Read a ``Connection`` header (RFC 9110, 7.6.1).

    Raises:
        InvalidHeaderFormat: It isn't a list of tokens.
    """
    return typing.cast("list[ConnectionOption]", _parse_tokens("Connection", header))


def _parse_tokens(name: str, header: str) -> list[str]:
    # Nearly all lists are written as the grammar prefers, without empty
    # elements: these are read at once.
    if _TOKENS.fullmatch(header):
        return _TOKEN.findall(header)
    return _Scanner(name, header).items(_Scanner.token)


def parse_upgrade(header: str) -> list[UpgradeProtocol]:
    """
    Read an ``Upgrade`` header (RFC 9110, 7.8).

    Raises:
        InvalidHeaderFormat: It isn't a list of protocols.
    """
    if _PROTOCOL.fullmatch(header):
        protocols = [header]
    else:
        protocols = _Scanner("Upgrade", header).items(_scan_protocol)
    return typing.cast("list[UpgradeProtocol]", protocols)


def _scan_protocol(scanner: _Scanner) -> str:
    return scanner.match(_PROTOCOL, "protocol")


def parse_extension(header: str) -> list[ExtensionHeader]:
    """
    Read a ``Sec-WebSocket-Extensions`` header (RFC 6455, 9.1).

    Returns:
        For each extension its name and the names and values of its
        parameters, in the order of the header.

    Raises:
        InvalidHeaderFormat: It doesn't follow the grammar.
    """
    return _Scanner("Sec-WebSocket-Extensions", header).items(_scan_extension)


def _scan_extension(scanner: _Scanner) -> ExtensionHeader:
    name = ExtensionName(scanner.token())
    scanner.skip_space()
    parameters: list[ExtensionParameter] = []
    while scanner.skip(";"):
        scanner.skip_space()
        parameters.append(_scan_extension_parameter(scanner))
    return name, parameters


def _scan_extension_parameter(scanner: _Scanner) -> ExtensionParameter:
    name = scanner.token()
    scanner.skip_space()
    value = None
    if scanner.skip("="):
        scanner.skip_space()
        start = scanner.position
        if scanner.value.startswith('"', start):
            quoted = scanner.match(_QUOTED_STRING, "quoted string")
            value = _QUOTED_PAIR.sub(r"\1", quoted[1:-1])
            # "the value after quoted-string unescaping MUST conform to the
            # 'token' ABNF" (RFC 6455, 9.1).
            if not _TOKEN.fullmatch(value):
                scanner.position = start
                raise scanner.error("invalid quoted header content")
        else:
            value = scanner.token()
        scanner.skip_space()
    return name, value


def build_extension(extensions: Sequence[ExtensionHeader]) -> str:
    """Write a ``Sec-WebSocket-Extensions`` header."""
    return ", ".join(
        [
            "; ".join(
                [
                    name,
                    *(
                        key if value is None else f"{key}={value}"
                        for key, value in parameters
                    ),
                ]
            )
            for name, parameters in extensions
        ]
    )


def parse_subprotocol(header: str) -> list[Subprotocol]:
    """
    Read a ``Sec-WebSocket-Protocol`` header (RFC 6455, 11.3.4).

    Raises:
        InvalidHeaderFormat: It isn't a list of tokens.
    """
    subprotocols = _parse_tokens("Sec-WebSocket-Protocol", header)
    return typing.cast("list[Subprotocol]", subprotocols)


def build_subprotocol(subprotocols: Sequence[Subprotocol]) -> str:
    """Write a ``Sec-WebSocket-Protocol`` header."""
    return ", ".join(subprotocols)


def validate_subprotocols(subprotocols: Sequence[Subprotocol]) -> None:
    """
    Check a ``subprotocols`` argument.

    Raises:
        TypeError: It isn't a sequence of names. A single :class:`str`
            isn't one either.
        ValueError: A name isn't a token.
    """
    if not isinstance(subprotocols, Sequence):
        raise TypeError("subprotocols must be a list")
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be a list, not a str")
    for subprotocol in subprotocols:
        if not _TOKEN.fullmatch(subprotocol):
            raise ValueError(f"invalid subprotocol: {subprotocol}")


def build_host(
    host: str,
    port: int,
    secure: bool,
    *,
    always_include_port: bool = False,
) -> str:
    """
    Write a ``Host`` header (RFC 9110, 7.2).

    Args:
        host: Host name or IP address, IPv6 without brackets.
        port: Port, left out if it is the default one.
        secure: Whether the default port is 443 rather than 80.
        always_include_port: Write the port even if it is the default one.
    """
    if ":" in host and _is_ip_address(host):
        host = f"[{host}]"
    if always_include_port or port != (443 if secure else 80):
        return f"{host}:{port}"
    return host


def _is_ip_address(host: str) -> bool:
    import ipaddress  # noqa: PLC0415 - for a few hosts of a few clients

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_authorization_basic(header: str) -> tuple[str, str]:
    """
    Read an ``Authorization`` header with the Basic scheme (RFC 7617).

    Returns:
        User name and password. Bytes that aren't UTF-8 become lone
        surrogates, as in file names.

    Raises:
        InvalidHeaderFormat: It doesn't follow the grammar.
        InvalidHeaderValue: It has another scheme, or no valid credentials.
    """
    scanner = _Scanner("Authorization", header)
    scheme = scanner.token()
    if scheme.lower() != "basic":
        raise InvalidHeaderValue("Authorization", f"unsupported scheme: {scheme}")
    if not scanner.skip(" "):
        raise scanner.error("expected space after scheme")
    credentials = scanner.match(_TOKEN68, "token68")
    if not scanner.at_end():
        raise scanner.error("trailing data")
    try:
        text = base64.b64decode(credentials).decode(errors="surrogateescape")
    except binascii.Error:
        raise InvalidHeaderValue(
            "Authorization", "expected base64-encoded credentials"
        ) from None
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidHeaderValue(
            "Authorization", "expected username:password credentials"
        )
    return username, password


def build_authorization_basic(username: str, password: str) -> str:
    """
    Write an ``Authorization`` header with the Basic scheme.

    Raises:
        AssertionError: The user name contains a colon: "a user-id
            containing a colon character is invalid" (RFC 7617, 2).
    """
    if ":" in username:
        raise AssertionError("a user name with a colon cannot be sent")
    credentials = f"{username}:{password}".encode(errors="surrogateescape")
    return f"Basic {base64.b64encode(credentials).decode()}"


def build_www_authenticate_basic(realm: str) -> str:
    """
    Write a ``WWW-Authenticate`` header with the Basic scheme.

    Raises:
        ValueError: The realm contains control characters or characters
            that ISO-8859-1 cannot encode.
    """
    # The realm must be a quoted string, even if it is a token (RFC 7617, 2).
    return f'Basic realm={_quote(realm)}, charset="UTF-8"'


def _quote(text: str) -> str:
    if not _QUOTABLE.fullmatch(text):
        raise ValueError("invalid characters for quoted-string encoding")
    return f'"{_MUST_BE_QUOTED.sub(_BACKSLASHED, text)}"'


_BACKSLASHED = r"\\\1"


def check_upgrade(headers: Headers) -> None:
    """
    Check that a request or response is about WebSocket (RFC 6455, 4.1, 4.2.1).

    Args:
        headers: Its headers.

    Raises:
        InvalidUpgrade: It has other values, or none.
        InvalidHeaderFormat: It doesn't follow the grammar.
    """
    connections = headers.get_all("Connection")
    upgrades = headers.get_all("Upgrade")
    if (connections, upgrades) == (["Upgrade"], ["websocket"]):
        # As most of them are.
        return
    connection: list[ConnectionOption] = [
        option for value in connections for option in parse_connection(value)
    ]
    # There may be others: Firefox sends "keep-alive, Upgrade".
    if not any(option.lower() == "upgrade" for option in connection):
        raise InvalidUpgrade("Connection", ", ".join(connection) or None)
    upgrade: list[UpgradeProtocol] = [
        protocol for value in upgrades for protocol in parse_upgrade(value)
    ]
    # Nothing else is on offer, so no list here; "an ASCII case-insensitive
    # match for the value "websocket"" (RFC 6455, 4.1).
    if [protocol.lower() for protocol in upgrade] != ["websocket"]:
        raise InvalidUpgrade("Upgrade", ", ".join(upgrade) or None)
