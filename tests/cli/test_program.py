"""
`socketeer` and `python -m socketeer`: commands, usage, and a missing extra.
"""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from socketeer import __main__ as entry
from socketeer.version import version


def test_without_arguments_the_usage_is_printed(invoke):
    """
    And the exit status is that of a wrong command line.
    """
    result = invoke()

    assert 2 == result.exit_code
    assert "Usage:" in result.output


HELPS = [
    ([], ["bench", "connect", "serve"]),
    (["connect"], ["--header", "--jsonl", "/close CODE REASON"]),
    (["serve"], ["MODULE:HANDLER", "--workers"]),
    (["bench"], ["--rate", "--plot"]),
]


@pytest.mark.parametrize(("command", "texts"), HELPS)
def test_each_command_has_help(invoke, command, texts):
    """
    It names what there is.
    """
    result = invoke(*command, "--help")

    assert 0 == result.exit_code
    assert all(text in result.output for text in texts)


def test_the_version_is_told(invoke):
    """
    With the name of the program.
    """
    assert f"socketeer {version}\n" == invoke("--version").output


@pytest.mark.parametrize("arguments", [["x"], ["connect", "x"], ["--insecure", "x"]])
def test_the_command_may_be_left_out(invoke, arguments, monkeypatch):
    """
    `socketeer URI` connects, with options on either side.
    """
    seen = []

    def run(main):
        seen.append(main)
        main.close()
        return 0

    monkeypatch.setattr("socketeer.cli.connect.run", run)
    result = invoke(*arguments)

    assert (0, 1) == (result.exit_code, len(seen))


WRONG = [
    (["x", "-H", "no colon"], "is not of the form 'NAME: VALUE'"),
    (["x", "-H", ": value"], "is not of the form 'NAME: VALUE'"),
    (["x", "-H", "A: \0"], "invalid"),
    (["x", "--subprotocol", "a b"], "invalid subprotocol"),
    (["x", "--binary", "octal"], "is not one of"),
    (["x", "y"], "unexpected extra argument"),
    (["serve"], "one of MODULE:HANDLER, --echo and --broadcast is needed"),
    (["serve", "--echo", "--broadcast"], "one of MODULE:HANDLER"),
    (["serve", "a:b", "--echo"], "one of MODULE:HANDLER"),
    (["serve", "--echo", "--tls-key", __file__], "--tls-key needs --tls-cert"),
    (["serve", "--broadcast", "--workers", "2"], "reaches the connections of one"),
    (["serve", "--echo", "--workers", "0"], "is not in the range"),
    (["serve", "--static", "/nonexistent"], "does not exist"),
    (["bench", "x", "-m", "broadcast", "-c", "1"], "needs at least 2"),
    (["bench", "x", "-m", "broadcast", "-s", "7"], "needs a --size of at least 8"),
    (["bench", "x", "--rate", "0"], "is not in the range"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_a_wrong_command_line_is_refused(invoke, arguments, text):
    """
    The message names the option.
    """
    result = invoke(*arguments)

    assert 2 == result.exit_code
    assert text in result.output


def test_ports_cannot_be_shared_everywhere(invoke, monkeypatch):
    """
    As on Windows.
    """
    monkeypatch.delattr("socket.SO_REUSEPORT")
    result = invoke("serve", "--echo", "--workers", "2")

    assert 2 == result.exit_code
    assert "cannot share a port" in result.output


@pytest.mark.parametrize("package", ["click", "rich", "prompt_toolkit"])
def test_without_the_extra_the_program_says_what_to_install(
    package, monkeypatch, capsys
):
    """
    And which package is missing.
    """

    def import_module(name):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(SystemExit) as ended:
        entry.main()

    assert 2 == ended.value.code
    error = capsys.readouterr().err
    assert f"needs {package}, which is not installed" in error
    assert "pip install 'socketeer[cli]'" in error


def test_another_missing_module_is_a_mistake_of_ours(monkeypatch):
    """
    Installing the extra would not help.
    """

    def import_module(name):
        raise ModuleNotFoundError("No module named 'x'", name="x")

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError):
        entry.main()


def test_the_package_runs_as_a_program():
    """
    `python -m socketeer`, in a process of its own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "socketeer", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert f"socketeer {version}\n" == done.stdout
