"""
Compression of messages: negotiation and frames (RFC 7692, 7).

The codec itself works on payloads and is part of the core; this module says
when to use it and with which parameters.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence

from .._core.deflate import Deflate, Parameters
from ..exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
    ProtocolError,
)
from ..frames import CONT, CTRL_OPCODES, Frame
from ..typing import ExtensionName, ExtensionParameter
from .base import ClientExtensionFactory, Extension, ServerExtensionFactory

__all__ = [
    "ClientPerMessageDeflateFactory",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
    "enable_client_permessage_deflate",
    "enable_server_permessage_deflate",
]

_NAME = ExtensionName("permessage-deflate")

# RFC 7692, 7.1.2: "a decimal integer value without leading zeroes between
# 8 to 15, inclusive".
_WINDOW_BITS = {str(bits): bits for bits in range(8, 16)}
_MAX_WINDOW_BITS = 15

# zlib doesn't compress with a window of 256 bytes (and doesn't mind
# decompressing with a larger one).
_MIN_COMPRESS_WINDOW_BITS = 9
_MIN_DECOMPRESS_WINDOW_BITS = 8

_Factory = typing.TypeVar("_Factory", ClientExtensionFactory, ServerExtensionFactory)


class PerMessageDeflate(Deflate, Extension):
    """
    permessage-deflate at work on one connection.

    What works on payloads instead of frames uses it as the codec that it is.

    Args:
        remote_no_context_takeover: The peer's messages are independent.
        local_no_context_takeover: Our messages must be independent.
        remote_max_window_bits: Window of the peer's compressor, 8 to 15.
        local_max_window_bits: Window of our compressor, 9 to 15.
        compress_settings: Further arguments of :func:`zlib.compressobj`.

    Raises:
        ValueError: Window bits out of range.
    """

    # One for each connection: what can be shared is.
    __slots__ = ("_is_compressed",)

    name = _NAME

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(
            remote_no_context_takeover,
            local_no_context_takeover,
            remote_max_window_bits,
            local_max_window_bits,
            compress_settings,
        )

    def _begin(self, parameters: Parameters) -> None:
        super()._begin(parameters)
        # Whether continuation frames belong to a compressed message.
        self._is_compressed = False

    def __repr__(self) -> str:
        return (
            f"PerMessageDeflate("
            f"remote_no_context_takeover={self.remote_no_context_takeover}, "
            f"local_no_context_takeover={self.local_no_context_takeover}, "
            f"remote_max_window_bits={self.remote_max_window_bits}, "
            f"local_max_window_bits={self.local_max_window_bits})"
        )

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """
        Decompress the payload of a frame of a compressed message.

        Args:
            frame: The frame as it was received.
            max_size: Largest payload that may result, in bytes;
                :obj:`None` for any.

        Raises:
            PayloadTooBig: The payload would be larger than ``max_size``.
            ProtocolError: The payload can't be decompressed, or RSV1 is set
                in the middle of a compressed message.
        """
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is not CONT:
            self._is_compressed = frame.rsv1
        elif self._is_compressed and frame.rsv1:
            # "An endpoint MUST NOT set the "Per-Message Compressed" bit of
            # control frames and non-first fragments" (RFC 7692, 6.1).
            raise ProtocolError("RSV1 bit set in continuation frame")
        if not self._is_compressed:
            return frame
        if frame.fin:
            self._is_compressed = False
        max_length = -1 if max_size is None else max_size
        data = self.decompress(bytes(frame.data), frame.fin, max_length)
        return dataclasses.replace(frame, data=data, rsv1=False)

    def encode(self, frame: Frame) -> Frame:
        """
        Compress the payload of a data frame.

        Args:
            frame: The frame as it was given to us.
        """
        if frame.opcode in CTRL_OPCODES:
            return frame
        data = self.compress(bytes(frame.data), frame.fin)
        # Only the first frame of a message tells that it is compressed.
        rsv1 = frame.rsv1 if frame.opcode is CONT else True
        return dataclasses.replace(frame, data=data, rsv1=rsv1)


class _Negotiated:
    """
    What a factory has made before: extensions that are alike share parameters.

    There can be some hundred that differ, and there is one, as a rule.
    """

    __slots__ = ("_patterns",)

    def __init__(self) -> None:
        self._patterns: dict[object, PerMessageDeflate] = {}

    def make(
        self,
        agreed: tuple[bool, bool, int, int],
        compress_settings: dict[str, typing.Any] | None,
    ) -> PerMessageDeflate:
        """
        Make the extension of a connection.

        Args:
            agreed: The first arguments of :class:`PerMessageDeflate`.
            compress_settings: Its last one.
        """
        pattern = self._patterns.get(agreed)
        # The settings of a factory are public: they may have been changed.
        if pattern is None or pattern.compress_settings != (compress_settings or {}):
            pattern = PerMessageDeflate(*agreed, compress_settings)
            self._patterns[agreed] = pattern
        return pattern.for_another()


class _Parameters(typing.NamedTuple):
    """
    Parameters of an offer or an answer.

    ``client_max_window_bits`` is true where the client leaves the number to
    the server.
    """

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | typing.Literal[True] | None

    @classmethod
    def parse(
        cls, params: Sequence[ExtensionParameter], *, is_server: bool
    ) -> _Parameters:
        """
        Read parameters in any order (RFC 7692, 7.1).

        Args:
            params: Names and values.
            is_server: Whether it is an offer, read by the server, rather
                than an answer.

        Raises:
            NegotiationError: A parameter isn't one that may be there.
        """
        values: dict[str, int | typing.Literal[True] | None] = {}
        for name, text in params:
            if name not in cls._fields:
                raise InvalidParameterName(name)
            if name in values:
                raise DuplicateParameter(name)
            if name in {"server_no_context_takeover", "client_no_context_takeover"}:
                accepted = text is None
            else:
                accepted = text in _WINDOW_BITS
                # "may have no value" (RFC 7692, 7.1.2.2), in an offer.
                if name == "client_max_window_bits" and text is None:
                    accepted = is_server
            if not accepted:
                raise InvalidParameterValue(name, text)
            values[name] = True if text is None else _WINDOW_BITS[text]
        return cls(
            "server_no_context_takeover" in values,
            "client_no_context_takeover" in values,
            values.get("server_max_window_bits"),
            values.get("client_max_window_bits"),
        )

    def build(self) -> list[ExtensionParameter]:
        """Write the parameters."""
        return [
            (name, None if value is True else str(value))
            for name, value in self._asdict().items()
            if value is not None and value is not False
        ]


def _check_window_bits(
    name: str, bits: int | typing.Literal[True] | None, minimum: int
) -> None:
    if bits is not None and not minimum <= bits <= _MAX_WINDOW_BITS:
        raise ValueError(f"{name} must be between {minimum} and {_MAX_WINDOW_BITS}")


def _check_compress_settings(
    compress_settings: dict[str, typing.Any] | None, instead: str
) -> None:
    if compress_settings is not None and "wbits" in compress_settings:
        raise ValueError(
            f"compress_settings must not include wbits, set {instead} instead"
        )


def _is_accepted(accepted_extensions: Sequence[Extension]) -> bool:
    # Two extensions can't both use RSV1 (RFC 7692, 5).
    return any(extension.name == _NAME for extension in accepted_extensions)


class ClientPerMessageDeflateFactory(ClientExtensionFactory):
    """
    What a client offers for permessage-deflate.

    Parameters are those of RFC 7692, 7.1.

    Args:
        server_no_context_takeover: The server must not refer to earlier
            messages, which spares us memory.
        client_no_context_takeover: We won't refer to earlier messages.
        server_max_window_bits: Largest window of the server, 8 to 15, or
            :obj:`None` for any.
        client_max_window_bits: Largest window of ours, 9 to 15; true for
            what the server wants; :obj:`None` for 15, whatever it wants.
        compress_settings: Further arguments of :func:`zlib.compressobj`,
            but not ``wbits``.

    Raises:
        ValueError: Window bits are out of range, or in the settings.
    """

    name = _NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | typing.Literal[True] | None = True,
        compress_settings: dict[str, typing.Any] | None = None,
    ) -> None:
        _check_window_bits(
            "server_max_window_bits",
            server_max_window_bits,
            _MIN_DECOMPRESS_WINDOW_BITS,
        )
        if client_max_window_bits is not True:
            _check_window_bits(
                "client_max_window_bits",
                client_max_window_bits,
                _MIN_COMPRESS_WINDOW_BITS,
            )
        _check_compress_settings(compress_settings, "client_max_window_bits")
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = compress_settings
        self._negotiated = _Negotiated()

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Return the parameters of the offer."""
        return _Parameters(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        ).build()

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> PerMessageDeflate:
        """
        Take the parameters of the server's answer.

        Args:
            params: The parameters, in the order of the header.
            accepted_extensions: Extensions that were accepted before.

        Raises:
            NegotiationError: The answer doesn't fit the offer.
        """
        if _is_accepted(accepted_extensions):
            raise NegotiationError(f"received duplicate {self.name}")
        answer = _Parameters.parse(params, is_server=False)
        if self.server_no_context_takeover and not answer.server_no_context_takeover:
            raise NegotiationError("expected server_no_context_takeover")
        agreed = (
            answer.server_no_context_takeover,
            # The server doesn't have to ask for what we do anyway.
            self.client_no_context_takeover or answer.client_no_context_takeover,
            self._agree_on_server_window(answer.server_max_window_bits),
            self._agree_on_client_window(answer.client_max_window_bits),
        )
        return self._negotiated.make(agreed, self.compress_settings)

    def _agree_on_server_window(self, answer: int | None) -> int:
        """The server may use less than we allow (RFC 7692, 7.1.2.1)."""
        limit = self.server_max_window_bits
        if limit is not None:
            if answer is None:
                raise NegotiationError("expected server_max_window_bits")
            if answer > limit:
                raise NegotiationError("unsupported server_max_window_bits")
        return answer or _MAX_WINDOW_BITS

    def _agree_on_client_window(self, answer: int | None) -> int:
        """The server may want less than we offer (RFC 7692, 7.1.2.2)."""
        limit = self.client_max_window_bits
        if limit is True:
            limit = _MAX_WINDOW_BITS
        if answer is None:
            return limit or _MAX_WINDOW_BITS
        if limit is None:
            raise NegotiationError("unexpected client_max_window_bits")
        if answer < _MIN_COMPRESS_WINDOW_BITS:
            raise NegotiationError("unsupported client_max_window_bits = 8, use 9")
        if answer > limit:
            raise NegotiationError("unsupported client_max_window_bits")
        return answer


class ServerPerMessageDeflateFactory(ServerExtensionFactory):
    """
    How a server answers an offer of permessage-deflate.

    Parameters are those of RFC 7692, 7.1.

    Args:
        server_no_context_takeover: We won't refer to earlier messages.
        client_no_context_takeover: The client must not refer to earlier
            messages, which spares us memory.
        server_max_window_bits: Largest window of ours, 9 to 15, or
            :obj:`None` for 15.
        client_max_window_bits: Largest window of the client, 8 to 15, if
            it lets us choose; or :obj:`None` for any.
        compress_settings: Further arguments of :func:`zlib.compressobj`,
            but not ``wbits``.
        require_client_max_window_bits: Don't compress with clients that
            don't let us choose their window.

    Raises:
        ValueError: Window bits are out of range, in the settings, or
            required without being given.
    """

    name = _NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: dict[str, typing.Any] | None = None,
        require_client_max_window_bits: bool = False,
    ) -> None:
        _check_window_bits(
            "server_max_window_bits",
            server_max_window_bits,
            _MIN_COMPRESS_WINDOW_BITS,
        )
        _check_window_bits(
            "client_max_window_bits",
            client_max_window_bits,
            _MIN_DECOMPRESS_WINDOW_BITS,
        )
        if require_client_max_window_bits and client_max_window_bits is None:
            raise ValueError(
                "require_client_max_window_bits is enabled, "
                "but client_max_window_bits isn't configured"
            )
        _check_compress_settings(compress_settings, "server_max_window_bits")
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = compress_settings
        self.require_client_max_window_bits = require_client_max_window_bits
        self._negotiated = _Negotiated()

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
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
        if _is_accepted(accepted_extensions):
            raise NegotiationError(f"skipped duplicate {self.name}")
        offer = _Parameters.parse(params, is_server=True)
        answer = _Parameters(
            self.server_no_context_takeover or offer.server_no_context_takeover,
            self.client_no_context_takeover or offer.client_no_context_takeover,
            self._agree_on_server_window(offer.server_max_window_bits),
            self._agree_on_client_window(offer.client_max_window_bits),
        )
        agreed = (
            answer.client_no_context_takeover,
            answer.server_no_context_takeover,
            answer.client_max_window_bits or _MAX_WINDOW_BITS,
            answer.server_max_window_bits or _MAX_WINDOW_BITS,
        )
        extension = self._negotiated.make(agreed, self.compress_settings)
        return answer.build(), extension

    def _agree_on_server_window(self, offer: int | None) -> int | None:
        """We must not use more than the client allows (RFC 7692, 7.1.2.1)."""
        limit = self.server_max_window_bits
        if offer is None:
            return limit
        if offer < _MIN_COMPRESS_WINDOW_BITS:
            raise NegotiationError("unsupported server_max_window_bits = 8, use 9")
        return offer if limit is None else min(offer, limit)

    def _agree_on_client_window(self, offer: int | None) -> int | None:
        """
        We may ask for less than the client offers (RFC 7692, 7.1.2.2).

        It can't be told anything unless it has mentioned the parameter.
        """
        limit = self.client_max_window_bits
        if offer is None:
            if self.require_client_max_window_bits:
                raise NegotiationError("required client_max_window_bits")
            return None
        if offer is True:
            return limit
        return offer if limit is None else min(offer, limit)


def _enable(extensions: Sequence[_Factory] | None, default: _Factory) -> list[_Factory]:
    factories = list(extensions or ())
    if not any(factory.name == _NAME for factory in factories):
        factories.append(default)
    return factories


def enable_client_permessage_deflate(
    extensions: Sequence[ClientExtensionFactory] | None,
) -> Sequence[ClientExtensionFactory]:
    """
    Add permessage-deflate with our defaults to what a client offers.

    Nothing is added if it is there already.

    Args:
        extensions: Factories in order of preference, or :obj:`None`.
    """
    return _enable(
        extensions, ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})
    )


def enable_server_permessage_deflate(
    extensions: Sequence[ServerExtensionFactory] | None,
) -> Sequence[ServerExtensionFactory]:
    """
    Add permessage-deflate with our defaults to what a server accepts.

    Windows of 4 KiB instead of 32 KiB save most of the memory and cost
    little compression of typical messages. Nothing is added if it is
    there already.

    Args:
        extensions: Factories in order of preference, or :obj:`None`.
    """
    return _enable(
        extensions,
        ServerPerMessageDeflateFactory(
            server_max_window_bits=12,
            client_max_window_bits=12,
            compress_settings={"memLevel": 5},
        ),
    )
