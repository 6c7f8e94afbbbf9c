"""
What programs written for websockets 17.4 find in the modules of the ground.
"""

from __future__ import annotations

import importlib
import inspect

import pytest
import websockets.frames

MODULES = [
    "datastructures",
    "exceptions",
    "frames",
    "headers",
    "http11",
    "typing",
    "uri",
    "utils",
    "version",
]

# Not listed there, but documented, or imported by others.
ALSO = {
    "datastructures": ["SupportsKeysAndGetItem"],
    "exceptions": [],
    "frames": [
        *websockets.frames.Opcode.__members__,
        *("DATA_OPCODES", "CTRL_OPCODES"),
        *("OK_CLOSE_CODES", "EXTERNAL_CLOSE_CODES", "CLOSE_CODE_EXPLANATIONS"),
    ],
    "http11": ["MAX_BODY_SIZE", "MAX_LINE_LENGTH", "MAX_NUM_HEADERS"],
    "utils": ["GUID", "generate_key"],
}

# Of no use to programs.
EXCEPT = {("frames", "Frame", "DEFAULT_IS_TEXT")}


def listed():
    """Give all names that modules of websockets list, with their module."""
    for module in MODULES:
        theirs = importlib.import_module(f"websockets.{module}")
        for name in [*theirs.__all__, *ALSO.get(module, [])]:
            yield module, name


def both(module, name):
    """Give an object of websockets and its counterpart."""
    return (
        getattr(importlib.import_module(f"websockets.{module}"), name),
        getattr(importlib.import_module(f"socketeer.{module}"), name),
    )


def parameters(function):
    """Give the names, kinds and defaults of parameters."""
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
    ]


LISTED = list(listed())
CLASSES = [
    (module, name) for module, name in LISTED if inspect.isclass(both(module, name)[0])
]
FUNCTIONS = [
    (module, name)
    for module, name in LISTED
    if inspect.isfunction(both(module, name)[0])
]


@pytest.mark.parametrize(("module", "name"), LISTED)
def test_every_name_exists(module, name):
    """
    Under the same module path.
    """
    theirs, ours = both(module, name)

    assert inspect.isclass(theirs) is inspect.isclass(ours)
    assert inspect.isfunction(theirs) is inspect.isfunction(ours)


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_attribute_exists(module, name):
    """
    Methods, properties and constants of classes, with the same parameters
    and defaults.
    """
    theirs, ours = both(module, name)
    attributes = {
        attribute
        for attribute in dir(theirs)
        if not attribute.startswith("_") and (module, name, attribute) not in EXCEPT
    }

    assert attributes <= set(dir(ours))
    for attribute in attributes:
        their_value, our_value = getattr(theirs, attribute), getattr(ours, attribute)
        assert callable(their_value) is callable(our_value)
        # Methods; those of the classes of Python have no signature.
        if inspect.isfunction(their_value) or inspect.ismethod(their_value):
            assert parameters(their_value) == parameters(our_value), attribute


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_functions_take_the_same_arguments(module, name):
    """
    Same parameters with the same defaults.
    """
    theirs, ours = both(module, name)

    assert parameters(theirs) == parameters(ours)
