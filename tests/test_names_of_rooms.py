"""
What programs written for websockets 17.4 find in the rooms.

The rooms are compared with their counterparts: every name, every method and attribute,
every parameter with its default. What is missing, or is there besides, is listed here.
"""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

MODULES = [
    f"{room}.{module}"
    for room in ("asyncio", "sync", "trio")
    for module in ("client", "server", "router", "connection")
]

# Parts of how theirs work: of no use to programs, which get a connection and a server
# from the functions. Whoever overrides one of them has to look at how ours work.
INTERNAL = {
    # What reads, parses, keeps alive and writes.
    *("process_event", "recv_events", "keepalive", "start_keepalive"),
    *("send_context", "send_data", "set_connection_exc", "drain"),
    *("pause_reading", "resume_reading", "pause_writing", "resume_writing"),
    *("connection_made", "connection_lost", "data_received", "eof_received"),
    *("acknowledge_pings", "acknowledge_pending_pings", "terminate_pending_pings"),
    *("close_socket", "close_stream", "maybe_raise_legacy_warning"),
    # What connects; on trio, connect.connect() takes a nursery of its own.
    *("open_tcp_connection", "open_connection", "open_socket", "open_tcp_stream"),
    *("enable_tls", "connect", "handshake"),
    # Nothing polls on threads.
    "SHUTDOWN_POLLING_INTERVAL",
}

# Which of these have a counterpart of the same name nevertheless.
PUBLIC = {
    ("asyncio.client", "connect", "connect"),
    ("sync.client", "reconnect", "connect"),
}

LIMITS = {
    *("max_connections", "max_connections_per_address", "max_handshakes"),
    *("max_message_rate", "max_byte_rate", "idle_timeout", "trusted_proxies"),
}

# Parameters that are ours alone.
ADDED = {
    "serve": LIMITS,
    "broadcast": {"max_backlog", "on_overflow"},
    "send": {"compress"},
    "close": {"drain"},
    "aclose": {"drain"},
    "shutdown": {"drain"},
    # It can always be given a reconnect object's arguments; here it is said.
    "connect": {"process_exception", "reconnect_delays"},
}

# Servers are made by serve(), with arguments of its own. And trio's route() has
# *args for the only positional argument of serve(), which ours names: port.
DIFFERENT = {
    *((f"{room}.server", "Server") for room in ("asyncio", "sync", "trio")),
    ("trio.router", "route"),
}


def listed(module):
    """
    Return the names that a module of websockets offers.
    """
    theirs = importlib.import_module(f"websockets.{module}")
    return getattr(theirs, "__all__", ["Connection"])


NAMES = [(module, name) for module in MODULES for name in listed(module)]


def both(module, name):
    """
    Return what is called so there and here.
    """
    return [
        getattr(importlib.import_module(f"{package}.{module}"), name)
        for package in ("websockets", "socketeer")
    ]


def described(default):
    """
    Return a default value without the name and the version of the library.
    """
    if inspect.isfunction(default):
        return default.__name__
    return re.sub(r"(web)?socket(s|eer)/[\w.+]+", "", str(default))


def parameters(function):
    """
    Return kinds and defaults of parameters, by name.
    """
    return {
        name: (parameter.kind, described(parameter.default))
        for name, parameter in inspect.signature(function).parameters.items()
    }


def assert_takes_the_same(name, theirs, ours):
    """
    Assert that what can be called as theirs can be called as ours, with that meaning.
    """
    expected, found = parameters(theirs), parameters(ours)
    different = {
        parameter: value
        for parameter, value in expected.items()
        if found.get(parameter) != value
    }

    assert {} == different
    assert set(found) - set(expected) <= ADDED.get(name, set())


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_name_exists(module, name):
    """
    As a class where theirs is one; as a function that is a coroutine where theirs is.
    """
    theirs, ours = both(module, name)

    assert inspect.isclass(theirs) is inspect.isclass(ours)
    assert inspect.iscoroutinefunction(theirs) is inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize(
    ("module", "name"), [each for each in NAMES if each not in DIFFERENT]
)
def test_every_parameter_exists(module, name):
    """
    Of functions and of classes, with the same default and in the same place.
    """
    theirs, ours = both(module, name)

    assert_takes_the_same(name, theirs, ours)


@pytest.mark.parametrize(
    ("module", "name"), [each for each in NAMES if inspect.isclass(both(*each)[0])]
)
def test_every_attribute_exists(module, name):
    """
    With the same parameters, if it is a method; only what is internal is missing.
    """
    theirs, ours = both(module, name)
    attributes = {each for each in dir(theirs) if not each.startswith("_")}
    missing = attributes - set(dir(ours))

    assert missing <= INTERNAL - {
        attribute for *where, attribute in PUBLIC if where == [module, name]
    }
    for attribute in sorted(attributes - INTERNAL):
        their_value, our_value = getattr(theirs, attribute), getattr(ours, attribute)
        assert callable(their_value) is callable(our_value), attribute
        if inspect.isfunction(their_value):
            assert_takes_the_same(attribute, their_value, our_value)
