"""
What an extension has to do, in negotiation and afterwards (RFC 6455, 9).

A factory is configuration and may serve many connections. What it returns
when both sides have agreed is an extension: the state of one connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..frames import Frame
from ..typing import ExtensionName, ExtensionParameter

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]


class Extension:
    """
    An extension at work on one connection.

    Attributes:
        name: Name of the extension.
    """

    # Subclasses have attributes of all names unless they want to be small.
    __slots__ = ()

    name: ExtensionName

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """
        Undo what the extension of the peer did to a frame.

        Called for every frame, control frames included. Extensions are
        called in reverse order of negotiation. Reserved bits that no
        extension clears fail the connection.

        Args:
            frame: The frame as it was received.
            max_size: Largest payload that may result, in bytes;
                :obj:`None` for any.

        Raises:
            PayloadTooBig: The payload would be larger than ``max_size``.
            ProtocolError: The frame doesn't follow the extension's rules.
        """
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """
        Transform a frame before it is sent.

        Called for every frame, control frames included, in the order of
        negotiation.

        Args:
            frame: The frame as it was given to us.
        """
        raise NotImplementedError


class ClientExtensionFactory:
    """
    What a client offers, and how it takes the answer.

    Attributes:
        name: Name of the extension.
    """

    name: ExtensionName

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Return the parameters of the offer."""
        raise NotImplementedError

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        """
        Take the parameters of the server's answer.

        Args:
            params: The parameters, in the order of the header.
            accepted_extensions: Extensions that were accepted before.

        Raises:
            NegotiationError: The parameters aren't acceptable.
        """
        raise NotImplementedError


class ServerExtensionFactory:
    """
    How a server answers an offer.

    Attributes:
        name: Name of the extension.
    """

    name: ExtensionName

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        """
        Take the parameters of a client's offer.

        Args:
            params: The parameters, in the order of the header.
            accepted_extensions: Extensions that were accepted before.

        Returns:
            The parameters of the answer, and the extension.

        Raises:
            NegotiationError: The offer isn't acceptable. The client may
                have made another one.
        """
        raise NotImplementedError
