"""
What ``connect()`` makes of its arguments, and what it asks for, in whatever room.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._negotiation import negotiation_arguments
from ._redirection import follow_redirect
from .extensions.permessage_deflate import enable_client_permessage_deflate

if TYPE_CHECKING:
    from ._redirection import Pinned
    from .client import ClientProtocol
    from .datastructures import HeadersLike
    from .http11 import Request
    from .typing import Origin

__all__ = [
    "Connecter",
    "make_request",
    "prepare_protocol",
    "repeatable",
    "unix_uri",
]


def prepare_protocol(*, origin: Origin | None, **options: Any) -> dict[str, Any]:
    """
    Return arguments of :class:`~socketeer.client.ClientProtocol`: see
    :func:`~socketeer._negotiation.negotiation_arguments`.
    """
    return {
        "origin": origin,
        **negotiation_arguments("client", enable_client_permessage_deflate, **options),
    }


def unix_uri(uri: str | None, ssl: object) -> str:
    """
    Return the URI for a Unix socket, for which there need not be one.
    """
    if uri is not None:
        return uri
    return "ws://localhost/" if ssl is None else "wss://localhost/"


def repeatable(headers: HeadersLike | None) -> HeadersLike | None:
    """
    Return headers that can be sent more than once, over several connections.
    """
    return list(headers) if isinstance(headers, Iterator) else headers


def make_request(
    protocol: ClientProtocol,
    additional_headers: HeadersLike | None,
    user_agent_header: str | None,
) -> Request:
    """
    Return the request of a client.

    Args:
        protocol: The opening handshake without I/O.
        additional_headers: Headers of the request, after all others.
        user_agent_header: ``User-Agent`` header; :obj:`None` for none.
    """
    request = protocol.connect()
    if additional_headers is not None:
        request.headers.update(additional_headers)
    if user_agent_header is not None:
        request.headers.setdefault("User-Agent", user_agent_header)
    return request


class Connecter:
    """
    What connects in any room: where to, and where to if it is sent elsewhere.

    Attributes:
        uri: Where it connects to.
        additional_headers: Headers of the request, after all others.
    """

    uri: str
    additional_headers: HeadersLike | None

    def _pinned(self) -> Pinned | None:
        """
        Return what determines where to connect to, other than the URI.
        """
        raise NotImplementedError

    def process_redirect(self, exc: Exception) -> Exception | str:
        """
        Decide whether to follow a redirect.

        Override it to follow others, or none.

        Args:
            exc: Why connecting failed.

        Returns:
            The new URI, or the exception to raise, which is ``exc`` itself if it is
            no redirect.
        """
        answer = follow_redirect(exc, self.uri, self.additional_headers, self._pinned())
        if isinstance(answer, Exception):
            return answer
        self.additional_headers = answer.additional_headers
        return answer.uri

    def _follow(self, exc: Exception) -> None:
        """
        Take the next URI from a redirect.

        Raises:
            Exception: There is none, or it is not to be followed.
        """
        answer = self.process_redirect(exc)
        if answer is exc:
            raise exc
        if isinstance(answer, Exception):
            raise answer from exc
        self.uri = answer
