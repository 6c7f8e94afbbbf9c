from __future__ import annotations

import typing

import pytest
import websockets.typing

import socketeer.typing

ALIASES = [
    "BytesLike",
    "Data",
    "DataLike",
    "ExtensionParameter",
    "LoggerLike",
    "PathLike",
    "StatusLike",
]

NEW_TYPES = [
    "ConnectionOption",
    "ExtensionName",
    "Origin",
    "Subprotocol",
    "UpgradeProtocol",
]


@pytest.mark.parametrize("name", ALIASES)
def test_aliases_mean_the_same_types_as_in_websockets(name):
    """
    An alias of websockets 17.4 can be replaced by ours.
    """
    assert getattr(websockets.typing, name) == getattr(socketeer.typing, name)


@pytest.mark.parametrize("name", NEW_TYPES)
def test_new_types_are_strings(name):
    """
    Names in headers are strings at run time.
    """
    new_type = getattr(socketeer.typing, name)

    assert isinstance(new_type, typing.NewType)
    assert new_type.__supertype__ is str
    assert new_type("chat") == "chat"


def test_an_extension_header_is_a_name_with_parameters():
    """
    The type of an element of Sec-WebSocket-Extensions has two parts.
    """
    name, parameters = typing.get_args(socketeer.typing.ExtensionHeader)

    assert name is socketeer.typing.ExtensionName
    assert typing.get_args(parameters) == (socketeer.typing.ExtensionParameter,)


def test_all_names_exist():
    """
    __all__ lists aliases and new types, and ExtensionHeader.
    """
    assert sorted([*ALIASES, *NEW_TYPES, "ExtensionHeader"]) == sorted(
        socketeer.typing.__all__
    )
