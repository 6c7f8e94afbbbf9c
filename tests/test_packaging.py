"""
What is built and shipped, with a compiler and without, and no network at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

# Some of these compile.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parent.parent

BACKEND = """
import sys
from setuptools import build_meta
getattr(build_meta, sys.argv[1])(sys.argv[2])
"""

# One kernel is enough to see what is built, and takes seconds.
KERNEL = "masking"


@pytest.fixture
def project(tmp_path):
    """
    Copy what the build reads.
    """
    copy = tmp_path / "project"
    shutil.copytree(
        ROOT / "src",
        copy / "src",
        ignore=shutil.ignore_patterns("*.so", "*.pyd", "*.egg-info", "__pycache__"),
    )
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture
def kernel_project(project):
    """
    Leave one kernel to be compiled.
    """
    fast = project / "src" / "socketeer" / "_fast"
    for path in [*fast.rglob("*.pxd"), *fast.rglob("*.pyx")]:
        if path.stem != KERNEL:
            path.unlink()
    return project


@pytest.fixture
def build(tmp_path):
    """
    Build as pip does, with the tools that are here.
    """

    def build(project, hook="build_wheel", **environ):
        inherited = {k: v for k, v in os.environ.items() if k != "SOCKETEER_BUILD"}
        done = subprocess.run(
            [sys.executable, "-c", BACKEND, hook, tmp_path],
            cwd=project,
            env={**inherited, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        found = [*tmp_path.glob("*.whl"), *tmp_path.glob("*.tar.gz")]
        return done, found[0] if found else None

    return build


def names(archive):
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def compiled_modules(wheel):
    return {name for name in names(wheel) if name.endswith((".so", ".pyd"))}


def last_line(done):
    return done.stdout.splitlines()[-1]


def test_without_a_compiler_the_library_is_pure(project, build):
    """
    The wheel fits every Python, and the last line says what is missing and why.
    """
    done, wheel = build(project, CC="/bin/false")

    assert 0 == done.returncode
    assert wheel.name.endswith("-py3-none-any.whl")
    assert set() == compiled_modules(wheel)
    assert last_line(done).startswith("socketeer: built without the compiled core")
    assert "/bin/false" in last_line(done)


def test_a_pure_wheel_works(project, build, tmp_path):
    """
    What was built without a compiler runs, from the wheel alone.
    """
    _, wheel = build(project, SOCKETEER_BUILD="pure")
    program = (
        "import socketeer; print(socketeer.__file__, socketeer.core_implementation)"
    )
    environ = {k: v for k, v in os.environ.items() if k != "SOCKETEER_CORE"}

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )

    origin = Path(wheel, "socketeer", "__init__.py")
    assert (f"{origin} pure\n", "") == (done.stdout, done.stderr)


def test_a_pure_build_is_not_tried_to_compile(project, build):
    """
    ``SOCKETEER_BUILD=pure`` needs no compiler, and does not complain.
    """
    done, wheel = build(project, SOCKETEER_BUILD="pure", CC="/bin/false")

    assert 0 == done.returncode
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "without the compiled core" not in done.stdout


def test_a_compiled_build_fails_without_a_compiler(kernel_project, build):
    """
    ``SOCKETEER_BUILD=compiled`` is obeyed or fails.
    """
    done, wheel = build(kernel_project, SOCKETEER_BUILD="compiled", CC="/bin/false")

    assert 0 != done.returncode
    assert wheel is None
    assert "/bin/false" in done.stderr


def test_an_unknown_build_is_refused(project, build):
    """
    A typing error does not choose a build.
    """
    done, _ = build(project, SOCKETEER_BUILD="fast")

    assert 0 != done.returncode
    assert "SOCKETEER_BUILD=fast: expected pure or compiled" in done.stderr


@pytest.mark.usefixtures("compiler")
def test_with_a_compiler_the_core_is_compiled(kernel_project, build):
    """
    The wheel holds the modules, not the C they were made from.
    """
    done, wheel = build(kernel_project)
    made = {Path(name).name.partition(".")[0] for name in compiled_modules(wheel)}

    assert 0 == done.returncode
    assert {KERNEL} == made
    assert "without the compiled core" not in done.stdout
    assert not [name for name in names(wheel) if name.endswith((".c", ".h", ".pyx"))]


@pytest.mark.usefixtures("compiler")
def test_half_a_core_is_no_core(kernel_project, build):
    """
    If one module cannot be compiled, none is shipped: half would fail later.
    """
    fast = kernel_project / "src" / "socketeer" / "_fast"
    (fast / "broken.pyx").write_text(
        "cdef extern from 'nowhere.h':\n    int x\nprint(x)"
    )

    done, wheel = build(kernel_project)

    assert 0 == done.returncode
    assert set() == compiled_modules(wheel)
    assert last_line(done).startswith("socketeer: built without the compiled core")


@pytest.mark.usefixtures("compiler")
def test_a_broken_source_fails_a_compiled_build(kernel_project, build):
    """
    With ``SOCKETEER_BUILD=compiled`` nothing is left out.
    """
    fast = kernel_project / "src" / "socketeer" / "_fast"
    (fast / "broken.pyx").write_text("cdef int f(:\n")

    done, wheel = build(kernel_project, SOCKETEER_BUILD="compiled")

    assert 0 != done.returncode
    assert wheel is None


def test_a_wheel_holds_all_sources_and_types(project, build):
    """
    Every Python file, the C types for others to use, and ``py.typed``.
    """
    source = project / "src"
    expected = {
        path.relative_to(source).as_posix()
        for pattern in ("*.py", "*.pxd", "py.typed")
        for path in source.rglob(pattern)
    }

    _, wheel = build(project, SOCKETEER_BUILD="pure")

    assert set() == expected - names(wheel)
    assert "socketeer/py.typed" in names(wheel)


def test_a_wheel_holds_the_pages_of_the_demo(project, build):
    """
    The demo serves them.
    """
    _, wheel = build(project, SOCKETEER_BUILD="pure")

    scripts = {f"{name}.js" for name in ("page", "connection", "room", "drawing")}
    assert scripts | {"page.css", "page.html", "favicon.svg"} <= {
        Path(name).name for name in names(wheel) if name.startswith("socketeer/demo/")
    }


def test_a_wheel_needs_nothing_else(project, build):
    """
    There are no mandatory dependencies at run time.
    """
    _, wheel = build(project, SOCKETEER_BUILD="pure")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        lines = archive.read(metadata).decode().splitlines()

    mandatory = [
        line
        for line in lines
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    assert [] == mandatory
    assert "License-Expression: BSD-3-Clause" in lines


def test_an_sdist_holds_what_is_needed_to_build(project, build, tmp_path):
    """
    A wheel built from the unpacked source distribution is complete.
    """
    for stray in ("_core/stray.c", "_fast/stray.so"):
        (project / "src" / "socketeer" / stray).touch()
    source = project / "src"
    expected = {
        f"src/{path.relative_to(source).as_posix()}"
        for pattern in ("*.py", "*.pxd", "*.pyx", "*.h", "py.typed")
        for path in source.rglob(pattern)
    }

    done, sdist = build(project, "build_sdist")
    shipped = names(sdist)

    assert 0 == done.returncode
    assert set() == (expected | {"setup.py", "pyproject.toml", "LICENSE"}) - shipped
    assert not [name for name in shipped if name.endswith((".c", ".so", ".pyc"))]
    with tarfile.open(sdist) as archive:
        # Python 3.11.4 and later have this filter, and later ones insist on one.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path / "unpacked")
    sdist.unlink()
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    done, wheel = build(unpacked, SOCKETEER_BUILD="pure")
    assert 0 == done.returncode
    assert wheel is not None
