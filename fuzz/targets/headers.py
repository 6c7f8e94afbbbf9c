"""
Grammars of headers: extensions, subprotocols, Connection, Upgrade, authorization.

websockets reads the same. What was read and is written again reads the same.
"""

from __future__ import annotations

from typing import Any

import websockets.headers

from fuzz import differences
from fuzz.builds import outcome
from fuzz.reading import Reader
from socketeer import headers
from socketeer.exceptions import InvalidHeader
from socketeer.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

__all__ = ["run"]

GRAMMARS = (
    "parse_connection",
    "parse_upgrade",
    "parse_extension",
    "parse_subprotocol",
    "parse_authorization_basic",
)

# How a value that was read is written.
WRITERS: dict[str, Any] = {
    "parse_connection": ", ".join,
    "parse_upgrade": ", ".join,
    "parse_extension": headers.build_extension,
    "parse_subprotocol": headers.build_subprotocol,
    "parse_authorization_basic": lambda pair: headers.build_authorization_basic(*pair),
}


def negotiate(offers: Any) -> None:
    """
    Offer to a server and answer to a client whatever was read.
    """
    for _, parameters in offers:
        server = ServerPerMessageDeflateFactory(server_max_window_bits=12)
        theirs = outcome(server.process_request_params, parameters, [])
        client = ClientPerMessageDeflateFactory(client_max_window_bits=12)
        answer = outcome(client.process_response_params, parameters, [])
        for kind, result in (theirs, answer):
            # Negotiation may fail, with an error for the handshake.
            assert kind == "returns" or result[0] in {
                "NegotiationError",
                "DuplicateParameter",
                "InvalidParameterName",
                "InvalidParameterValue",
            }, result


def run(data: bytes) -> None:
    """
    Read the value of a header.
    """
    reader = Reader(data)
    name = reader.choose(GRAMMARS)
    # As the parser of heads gives it: without spaces around it.
    value = reader.rest().decode("iso-8859-1").strip(" \t")
    parse = getattr(headers, name)
    ours = outcome(parse, value)
    theirs = outcome(getattr(websockets.headers, name), value)
    assert differences.of_headers(value, ours, theirs) is not None, (ours, theirs)
    if ours[0] == "raises":
        try:
            parse(value)
        except InvalidHeader:
            return
    found = ours[1]
    assert found == parse(WRITERS[name](found)), found
    if name == "parse_extension":
        negotiate(found)
