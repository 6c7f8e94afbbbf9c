"""
Where a client is, according to the proxies on the way.

``Forwarded`` (RFC 7239) and ``X-Forwarded-For`` list the addresses a request came
through, each proxy adding at the end the one it was called from. Anybody can send
these headers. An entry is true only if a trusted proxy has written it: so the list
is read from its end, as long as each address is that of a proxy we trust.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from .datastructures import Headers
from .exceptions import InvalidHeader, InvalidHeaderFormat

__all__ = ["ClientAddress", "TrustedProxies"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Stands for whoever connects by a Unix socket, in a list of trusted proxies.
UNIX = "unix"

# forwarded-pair of RFC 7239, 4: a token, "=", and a token or a quoted string. Colons
# and brackets are not allowed in tokens; some proxies send them all the same.
_PAIR = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=
        (?:([!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+)|"((?:[^"\\]|\\.)*)")[ \t]*""",
    re.VERBOSE,
)
_QUOTED_PAIR = re.compile(r"\\(.)")

# "192.0.2.43:47011", "[2001:db8::17]:4711", "[2001:db8::17]" (RFC 7239, 6).
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+):(\d{1,5})", re.ASCII)

_MAX_PORT = 65_535


class ClientAddress(NamedTuple):
    """
    An address, and a port, or 0 if nobody has told it.
    """

    host: str
    port: int


class TrustedProxies:
    """
    Proxies whose word counts.

    Args:
        networks: Networks or addresses: ``"10.0.0.0/8"``, ``"2001:db8::1"``, or
            objects of :mod:`ipaddress`. ``"unix"`` stands for whoever connects by a
            Unix socket.

    Raises:
        ValueError: Something is neither a network nor an address.
        TypeError: A string was given in place of a list.
    """

    def __init__(self, networks: Iterable[str | Network]) -> None:
        if isinstance(networks, str):
            raise TypeError(f"trusted_proxies must be a list, got {networks!r}")
        self._networks: list[Network] = []
        self._trusts_unix = False
        for network in networks:
            if network == UNIX:
                self._trusts_unix = True
            else:
                self._networks.append(ipaddress.ip_network(network))

    def trusts(self, host: str | None) -> bool:
        """
        Tell whether a host is a trusted proxy.

        Args:
            host: An address; :obj:`None` or ``""`` for a Unix socket.
        """
        if not host:
            return self._trusts_unix
        address = _parse_address(host)
        if address is None:
            return False
        return any(
            address.version == network.version and address in network
            for network in self._networks
        )

    def find_client(self, peer: str | None, headers: Headers) -> ClientAddress | None:
        """
        Return where a client is.

        Args:
            peer: Address of whoever is at the other end of the socket; :obj:`None`
                or ``""`` for a Unix socket.
            headers: Headers of the request.

        Returns:
            The address, or :obj:`None` if it is that of the peer.

        Raises:
            InvalidHeader: The headers contradict each other or cannot be read.
        """
        if not self.trusts(peer):
            return None
        found = []
        names = "Forwarded", "X-Forwarded-For"
        for name, read in zip(names, (_read_forwarded, _read_x_forwarded), strict=True):
            values = headers.get_all(name)
            if values:
                found.append(self._walk(read(values)))
        if not found:
            return None
        if len(found) == 2 and _host(found[0]) != _host(found[1]):
            # One of them is written by the proxy, the other one passed on from the
            # client, and nobody can tell which.
            raise InvalidHeader("Forwarded", "contradicts X-Forwarded-For")
        return found[0]

    def _walk(self, nodes: list[str]) -> ClientAddress | None:
        """
        Return the first address, from the end, that is not a trusted proxy's; if
        all are, that of the one farthest away.
        """
        last = None
        for node in reversed(nodes):
            address = _parse_node(node)
            if address is None:
                # "unknown" or a made-up name: the trail ends here.
                break
            last = address
            if not self.trusts(address.host):
                break
        return last


def _host(address: ClientAddress | None) -> str | None:
    return None if address is None else address.host


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """
    Return an address; IPv4 in the clothes of IPv6 is IPv4.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _parse_node(node: str) -> ClientAddress | None:
    """
    Return the address in an entry; nothing if there is none.
    """
    host, port = node, "0"
    match = _NODE.fullmatch(node)
    if match is not None:
        host = match[1] or match[3]
        port = match[2] or match[4] or "0"
    if "%" in host or int(port) > _MAX_PORT:
        return None
    address = _parse_address(host)
    return None if address is None else ClientAddress(str(address), int(port))


def _read_x_forwarded(values: list[str]) -> list[str]:
    """
    Return the entries of ``X-Forwarded-For`` headers.
    """
    return [node.strip() for value in values for node in value.split(",")]


def _read_forwarded(values: list[str]) -> list[str]:
    """
    Return the ``for`` of each element of ``Forwarded`` headers; "" if it has none.

    Raises:
        InvalidHeaderFormat: The syntax is wrong. It is not guessed at: an open
            quotation mark could hide what a proxy has added.
    """
    nodes = []
    for value in values:
        position, node = 0, ""
        while True:
            match = _PAIR.match(value, position)
            if match is None:
                raise InvalidHeaderFormat(
                    "Forwarded", "expected name=value", value, position
                )
            if match[1].lower() == "for":
                node = match[2] or _QUOTED_PAIR.sub(r"\1", match[3] or "")
            position = match.end()
            separator = value[position : position + 1]
            if separator == ";":
                position += 1
                continue
            nodes.append(node)
            node = ""
            if not separator:
                break
            if separator != ",":
                raise InvalidHeaderFormat(
                    "Forwarded", "expected ';' or ','", value, position
                )
            position += 1
    return nodes
