"""
The search for the Pythons to test on.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tools import pythons
from tools.pythons import Python, candidates, choose, compiles, examine, fastest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "headers"
    folder.mkdir()
    (folder / "Python.h").touch()
    return str(folder)


def python(version, path="x", headers=""):
    return Python((*version, 0), path, headers)


def executable(path, text="#!/bin/sh\nexit 1\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def portrait(path, **changes):
    """
    Write a program that answers as a Python would.
    """
    answer = {
        "path": str(path),
        "version": [3, 12, 1],
        "is_cpython": True,
        "is_final": True,
        "has_gil": True,
        "has_venv": True,
        "headers": "",
        "is_optimised": True,
        **changes,
    }
    return executable(path, f"#!/bin/sh\necho '{json.dumps(answer)}'\n")


def test_chooses_the_oldest_and_the_newest():
    """
    What lies between is not tested.
    """
    oldest, middle, newest = (python((3, minor)) for minor in (11, 12, 13))

    assert [oldest, newest] == choose([middle, newest, oldest])


def test_chooses_one_if_there_is_only_one():
    """
    The same version is not tested twice.
    """
    first = python((3, 12), "first")

    assert [first] == choose([first, python((3, 12), "second")])


def test_chooses_none_of_none():
    """
    The caller says what is missing.
    """
    assert [] == choose([])


def test_prefers_one_with_headers(folder):
    """
    Of two equal ones, the one for which modules can be compiled.
    """
    good = python((3, 11), "good", folder)

    assert [good] == choose([python((3, 11), "bare"), good])


def test_versions_are_compared_as_numbers():
    """
    3.9 is older than 3.11.
    """
    assert [(3, 9), (3, 11)] == [
        p.minor for p in choose([python((3, 11)), python((3, 9))])
    ]


def test_finds_candidates_in_path_and_pyenv(tmp_path):
    """
    Names of other programs and of older Pythons are passed over.
    """
    here = executable(tmp_path / "here" / "python3.12")
    executable(tmp_path / "here" / "python3.10")
    executable(tmp_path / "here" / "python3.12-config")
    (tmp_path / "here" / "python3.13").touch()
    plain = executable(tmp_path / "here" / "python3")
    managed = executable(
        tmp_path / ".pyenv" / "versions" / "3.14" / "bin" / "python3.14"
    )
    executable(tmp_path / ".pyenv" / "shims" / "python3.15")
    path = os.pathsep.join([str(tmp_path / "here"), str(tmp_path / ".pyenv" / "shims")])

    found = candidates({"PATH": path, "HOME": str(tmp_path)})

    assert [plain, here, managed] == [p for p in found if p.startswith(str(tmp_path))]


def test_examines_this_python():
    """
    The answer is about the interpreter, not about its virtual environment.
    """
    found = examine(sys.executable)

    assert (sys.version_info[:3], sys._base_executable) == (found.version, found.path)


def test_examines_an_answer(tmp_path):
    """
    A fit interpreter is described as it describes itself.
    """
    path = portrait(tmp_path / "python3")

    assert Python((3, 12, 1), path, "", is_optimised=True) == examine(path)


UNFIT = [
    {"version": [3, 10, 9]},
    {"is_cpython": False},
    {"is_final": False},
    {"has_gil": False},
    {"has_venv": False},
]


@pytest.mark.parametrize("changes", UNFIT)
def test_passes_over_the_unfit(tmp_path, changes):
    """
    Too old, another implementation, a preview, without GIL, without venv.
    """
    assert examine(portrait(tmp_path / "python3", **changes)) is None


def test_passes_over_what_does_not_run(tmp_path):
    """
    A shim of pyenv exists for versions that are not selected, and fails.
    """
    assert examine(executable(tmp_path / "python3")) is None
    assert examine(str(tmp_path / "missing")) is None


def test_knows_whether_modules_can_be_compiled(tmp_path, folder, compiler):
    """
    A compiler and the headers are needed.
    """
    assert compiles(python((3, 11), headers=folder), compiler)
    assert not compiles(python((3, 11), headers=str(tmp_path)), compiler)
    assert not compiles(python((3, 11), headers=folder), "/bin/false")
    assert not compiles(python((3, 11), headers=folder), "/missing")


def test_measures_with_an_optimised_one(folder):
    """
    If it can compile; otherwise with the first one that can.
    """
    bare = Python((3, 11, 0), "bare", "", is_optimised=True)
    slow = Python((3, 12, 0), "slow", folder)
    fast = Python((3, 13, 0), "fast", folder, is_optimised=True)

    assert fast == fastest([bare, slow, fast])
    assert slow == fastest([bare, slow])
    assert bare == fastest([bare])
    assert fastest([]) is None


def test_prints_the_one_to_measure_with(monkeypatch, capsys):
    """
    Its path alone.
    """
    monkeypatch.setattr(sys, "argv", ["pythons.py", "--fastest"])
    monkeypatch.setattr(pythons, "candidates", lambda _: [sys.executable])

    pythons.main()

    assert f"{sys._base_executable}\n" == capsys.readouterr().out


def test_prints_what_the_makefile_reads():
    """
    One line of VERSION=PATH=BUILD, the oldest first.
    """
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "pythons.py"],
        env={**os.environ, "CC": "/bin/false"},
        capture_output=True,
        text=True,
        check=True,
    )

    for words in done.stdout.split():
        version, path, build = words.split("=")
        assert version.startswith("3.")
        assert os.access(path, os.X_OK)
        assert "pure" == build


def test_says_that_there_is_none(monkeypatch):
    """
    The message names the version that is needed.
    """
    monkeypatch.setattr(pythons, "candidates", lambda _: [])

    with pytest.raises(SystemExit, match=r"no CPython 3\.11 or newer with venv"):
        pythons.main()
