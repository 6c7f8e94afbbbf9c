"""
`import socketeer`: names on demand, and the choice of the build.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import types

import pytest

import socketeer
from socketeer import _implementation


def importing(result):
    """
    Return a stand-in for `import_module` that raises or returns `result`.
    """

    def import_module(name):
        assert name == "socketeer._fast.endpoint"
        if isinstance(result, Exception):
            raise result
        return result

    return import_module


def choose(monkeypatch, wanted, result):
    if wanted is None:
        monkeypatch.delenv("SOCKETEER_CORE", raising=False)
    else:
        monkeypatch.setenv("SOCKETEER_CORE", wanted)
    monkeypatch.setattr(importlib, "import_module", importing(result))
    return _implementation._choose()


FOUND = types.ModuleType("endpoint")
MISSING = ModuleNotFoundError("No module named 'socketeer._fast.endpoint'")


@pytest.mark.parametrize(
    ("wanted", "result", "expected"),
    [
        ("pure", FOUND, "pure"),
        ("fast", FOUND, "fast"),
        (None, FOUND, "fast"),
        ("", FOUND, "fast"),
        (None, MISSING, "pure"),
    ],
)
def test_the_build_is_chosen(monkeypatch, wanted, result, expected):
    """
    As asked for; else the compiled one if it is there.
    """
    assert expected == choose(monkeypatch, wanted, result)


def test_a_missing_build_is_not_replaced_by_another(monkeypatch):
    """
    Asking for the compiled build where there is none says why it fails.
    """
    with pytest.raises(ImportError) as raised:
        choose(monkeypatch, "fast", MISSING)

    assert (
        "SOCKETEER_CORE=fast, but the compiled core is missing: "
        "No module named 'socketeer._fast.endpoint'" == str(raised.value)
    )


def test_an_unknown_build_is_refused(monkeypatch):
    """
    A typing error does not choose anything.
    """
    with pytest.raises(
        ImportError, match="SOCKETEER_CORE=quick: expected pure or fast"
    ):
        choose(monkeypatch, "quick", FOUND)


def test_a_build_that_refuses_is_replaced_with_a_word(monkeypatch, capsys):
    """
    A compiled module that is there and cannot be loaded, as in a sub-interpreter:
    one line tells.
    """
    chosen = choose(monkeypatch, None, ImportError("not in a sub-interpreter"))

    assert "pure" == chosen
    assert (
        "socketeer: using the pure core: not in a sub-interpreter\n"
        == capsys.readouterr().err
    )


def test_unknown_names_are_refused():
    """
    As by any module.
    """
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = socketeer.nothing


def test_all_public_names_can_be_imported():
    """
    Each name of `__all__` exists and is listed by `dir()`.
    """
    assert set(socketeer.__all__) <= set(dir(socketeer))
    assert all(getattr(socketeer, name) is not None for name in socketeer.__all__)


# What takes long to import, and most servers never need.
SELDOM = {
    "email.utils",
    "ipaddress",
    "json",
    "socketeer.client",
    "socketeer.forwarded",
    "urllib.parse",
    "uuid",
}


def test_servers_import_no_more_than_they_need():
    """
    What few of them need comes when it is needed.
    """
    program = (
        "import asyncio, ssl, sys; before = set(sys.modules); "
        "import socketeer.asyncio.server; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())

    assert "socketeer.asyncio.server" in imported
    assert not imported & SELDOM
