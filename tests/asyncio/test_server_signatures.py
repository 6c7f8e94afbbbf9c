"""
The names, parameters and defaults of the asyncio room, one by one.

They are compared with those of the installed ``websockets``, whose interface
this is. What we add may only be additional, and must have a default.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect

import pytest

from tests.under_test import lib, submodule

SERVER = submodule("asyncio.server")
CLIENT = submodule("asyncio.client")
THEIR_SERVER = importlib.import_module("websockets.asyncio.server")
THEIR_CLIENT = importlib.import_module("websockets.asyncio.client")


# Parameters of connect() for reconnecting, which comes later.
LATER = {"process_exception", "reconnect_delays"}


def parameters(function):
    """
    Map the names of parameters to kind and default, products' names aside.
    """
    return {
        name: (parameter.kind, comparable(parameter.default))
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in LATER
    }


def comparable(default):
    """
    Make defaults of two libraries comparable: functions by name.
    """
    if inspect.isfunction(default):
        return default.__name__
    if isinstance(default, str):
        return default.rpartition(" ")[0] or default
    return default


FUNCTIONS = [
    *[("server", name) for name in ("serve", "unix_serve", "basic_auth", "broadcast")],
    *[
        ("server", f"Server.{name}")
        for name in (
            "__init__",
            "close",
            "wait_closed",
            "get_loop",
            "start_serving",
            "serve_forever",
            "is_serving",
        )
    ],
    ("server", "ServerConnection.respond"),
    ("client", "connect"),
    ("client", "unix_connect"),
    ("client", "connect.connect"),
    *[
        ("server", f"ServerConnection.{name}")
        for name in (
            "recv",
            "recv_streaming",
            "send",
            "close",
            "wait_closed",
            "ping",
            "pong",
        )
    ],
]


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_parameters_and_defaults_are_theirs(module, name):
    """
    Same names, order, kinds and defaults; what we add has a default.
    """
    function = find(f"asyncio.{module}", name, lib.__name__)
    theirs = parameters(find(f"asyncio.{module}", name, "websockets"))
    ours = parameters(function)
    added = [parameter for parameter in ours if parameter not in theirs]

    assert theirs == {key: value for key, value in ours.items() if key in theirs}
    assert list(theirs) == [key for key in ours if key in theirs]
    assert inspect.Parameter.empty not in [ours[key][1] for key in added]
    assert [] == [
        key for key in added if ours[key][0] is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]


def find(module, name, package):
    """
    Return `package.module.name`, which may contain dots.
    """
    found = importlib.import_module(f"{package}.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


COROUTINES = [
    *[f"Server.{name}" for name in ("wait_closed", "start_serving", "serve_forever")],
    *[
        f"ServerConnection.{name}"
        for name in ("recv", "send", "close", "wait_closed", "ping", "pong")
    ],
]


@pytest.mark.parametrize("name", COROUTINES)
def test_coroutine_functions_are_recognized(name):
    """
    Mocks and frameworks ask whether a method is a coroutine function.
    """
    assert asyncio.iscoroutinefunction(find("asyncio.server", name, lib.__name__))


@pytest.mark.parametrize("name", ["close", "get_loop", "is_serving"])
def test_functions_of_a_server_are_recognized(name):
    """
    `Server.close()` and the like are called without await.
    """
    function = find("asyncio.server", f"Server.{name}", lib.__name__)

    assert not asyncio.iscoroutinefunction(function)


@pytest.mark.parametrize("name", ["connections", "sockets"])
def test_properties_of_a_server(name):
    """
    `Server.connections` and `Server.sockets` are properties.
    """
    assert isinstance(getattr(SERVER.Server, name), property)


@pytest.mark.parametrize(
    ("module", "theirs"),
    [("asyncio.server", THEIR_SERVER), ("asyncio.client", THEIR_CLIENT)],
)
def test_every_public_name_is_there(module, theirs):
    """
    `from ... import *` gives at least their names.
    """
    ours = submodule(module)

    assert set() == set(theirs.__all__) - set(ours.__all__)
    assert [] == [name for name in theirs.__all__ if not hasattr(ours, name)]


@pytest.mark.parametrize(
    "name",
    [
        "Server",
        "ServerConnection",
        "basic_auth",
        "broadcast",
        "serve",
        "unix_serve",
        "ClientConnection",
        "connect",
        "unix_connect",
    ],
)
def test_the_front_door_shows_the_same_objects(name):
    """
    The package's own names are those of its asyncio room.
    """
    module = SERVER if hasattr(SERVER, name) else CLIENT

    assert getattr(module, name) is getattr(lib, name)


def test_connect_is_a_class():
    """
    Programs derive from `connect` and ask for its type.
    """
    assert inspect.isclass(CLIENT.connect)
    assert {"__await__", "__aenter__", "__aexit__"} <= set(dir(CLIENT.connect))


def test_connections_have_the_public_members():
    """
    What reference and tutorials name is there.
    """
    members = {
        name
        for name in dir(THEIR_SERVER.ServerConnection)
        if name
        in {
            *("close", "close_code", "close_reason", "local_address", "ping", "pong"),
            *("recv", "recv_streaming", "remote_address", "respond", "send", "state"),
            *("subprotocol", "wait_closed", "__aiter__", "__aenter__", "__aexit__"),
        }
    }

    assert 17 == len(members)
    assert set() == members - set(dir(SERVER.ServerConnection))
    assert set() == members - {"respond"} - set(dir(CLIENT.ClientConnection))
