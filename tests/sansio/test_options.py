"""
Docstrings whose texts on options stand in one place.
"""

from __future__ import annotations

import inspect

import pytest

from socketeer._options import (
    BROADCAST,
    CONNECT,
    ROUTE,
    SERVE,
    documented,
    with_parameters_of,
)
from socketeer.asyncio import client as asyncio_client
from socketeer.asyncio import router as asyncio_router
from socketeer.asyncio import server as asyncio_server
from socketeer.sync import client as sync_client
from socketeer.sync import router as sync_router
from socketeer.sync import server as sync_server
from socketeer.trio import client as trio_client
from socketeer.trio import router as trio_router
from socketeer.trio import server as trio_server


def test_texts_are_put_in_and_wrapped():
    """
    With the indentation of the option, which is none of the compiler's business: since
    Python 3.13, it leaves less of it, and more room in a line.
    """
    long = ["How", "large", "it", "is", "a" * 70, "b" * 70]

    @documented({"size": " ".join(long), "name": "What it is."})
    def function(size, name, other):
        """
        Do something.

        Args:
            size: ...
            name: ...
            other: Something else...
        """

    assert [
        "Do something.",
        "",
        "Args:",
        "    size: How large it is",
        f"        {'a' * 70}",
        f"        {'b' * 70}",
        "    name: What it is.",
        "    other: Something else...",
    ] == inspect.getdoc(function).split("\n")


def test_there_may_be_no_docstrings():
    """
    As with ``python -OO``.
    """

    @documented({})
    def function():
        pass

    assert function.__doc__ is None


@pytest.mark.parametrize(
    ("documentation", "texts"),
    [
        (asyncio_server.serve.__doc__, SERVE),
        (sync_server.serve.__doc__, SERVE),
        (trio_server.serve.__doc__, SERVE),
        (asyncio_client.connect.__doc__, CONNECT),
        (sync_client.reconnect.__doc__, CONNECT),
        (trio_client.connect.__doc__, CONNECT),
        (asyncio_server.broadcast.__doc__, BROADCAST),
        (sync_server.broadcast.__doc__, BROADCAST),
        (trio_server.broadcast.__doc__, BROADCAST),
        (asyncio_router.route.__doc__, ROUTE),
        (sync_router.route.__doc__, ROUTE),
        (trio_router.route.__doc__, ROUTE),
    ],
)
def test_every_room_documents_all_options(documentation, texts):
    """
    No text is without a use, and none is left out.
    """
    words = " ".join(documentation.split())

    assert [] == [name for name, text in texts.items() if text not in words]
    assert ": ..." not in documentation


def test_parameters_that_are_passed_on_are_told():
    """
    Behind them stand the function's own, and the rest.
    """

    def original(a, b=1, *, c=2, **rest):
        pass

    @with_parameters_of(original)
    def function(a, *, own=None, **rest):
        return a, own, rest

    assert "(a, b=1, *, c=2, own=None, **rest)" == str(inspect.signature(function))
    assert ("a", 3, {"c": 4}) == function("a", own=3, c=4)
