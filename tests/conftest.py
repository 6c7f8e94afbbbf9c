"""
What all tests share: event loops, builds, certificates, needed programs.

Environment variables, all optional:

``SOCKETEER_CORE``
    ``pure`` or ``fast``: the build that the rooms use in this process. The
    ``core`` fixture, too, is then limited to this build; without it, core tests
    run on both builds side by side.
``SOCKETEER_TESTS_BUILDS``
    ``pure`` if the compiled build cannot be made on this machine; core tests
    then run on the pure build alone. Default: ``pure,fast``.
``SOCKETEER_TESTS_AGAINST``
    ``websockets``: run the tests of the public interface against that library.
``SOCKETEER_TESTS_REQUIRE``
    Programs whose absence fails tests instead of skipping them, for instance
    ``chromium,node,compiler``. With ``CI=true``, all of them.
``SOCKETEER_TESTS_REDIS``
    The Redis to test with, for instance ``valkey-server``, or a path.
``SOCKETEER_TESTS_SUMMARY``
    A file to be written, in JSON, with what was tested.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import shutil
import ssl
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trustme

from tests import under_test
from tests.proxies import Proxies
from tests.pubsub.redis_server import PROGRAMS as REDIS_PROGRAMS
from tools.matrix import LONGEST
from tools.pythons import compiles, examine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PACKAGES = {"pure": "socketeer._core", "fast": "socketeer._fast"}

# Programs a test may need, with the names under which they may be installed.
PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    # Debian keeps servers where only root looks for programs.
    "danted": ("danted", "/usr/sbin/danted"),
    "haproxy": ("haproxy", "/usr/sbin/haproxy"),
    "microsocks": ("microsocks",),
    "nginx": ("nginx", "/usr/sbin/nginx"),
    "node": ("node", "nodejs"),
    "npm": ("npm",),
    "tinyproxy": ("tinyproxy",),
    "tmux": ("tmux",),
    "redis-server": REDIS_PROGRAMS,
}


def builds_under_test() -> list[str]:
    """
    Return the builds that core tests run on in this process.
    """
    chosen = os.environ.get("SOCKETEER_CORE")
    if chosen:
        return [chosen]
    return os.environ.get("SOCKETEER_TESTS_BUILDS", "pure,fast").split(",")


# Event loops.

LOOPS = [pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio")]
# uvloop exists for CPython on Unix only.
if sys.platform != "win32" and platform.python_implementation() == "CPython":
    LOOPS.append(pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"))


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """
    Run tests marked ``anyio`` on stock asyncio and on uvloop.
    """
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


# Garbage.


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage() -> None:
    """
    Have the garbage collector look at what the tests of this module make.

    Some hundred tests search for garbage. Each time, looking at all tests and at
    all that others have left would take longer than everything else they do.
    """
    gc.collect()
    gc.freeze()


# Builds.


class Core:
    """
    The cellar in one of its builds; its modules are attributes.

    ``core.endpoint`` is ``socketeer._core.endpoint`` in the pure build and
    ``socketeer._fast.endpoint`` in the compiled one; ``core.aio.transport`` is
    found in the same way. Modules are imported at first use.

    Attributes:
        build: ``"pure"`` or ``"fast"``.
    """

    def __init__(self, build: str, package: str | None = None) -> None:
        self.build = build
        self._package = package or PACKAGES[build]

    def __repr__(self) -> str:
        return f"<core {self._package}>"

    def __getattr__(self, name: str) -> ModuleType | Core:
        if name.startswith("_"):
            raise AttributeError(name)
        full_name = f"{self._package}.{name}"
        if name == "aio":
            return Core(self.build, full_name)
        return importlib.import_module(full_name)


@pytest.fixture(params=builds_under_test())
def core(request: pytest.FixtureRequest) -> Core:
    """
    Run a test on each build of the cellar, in one process.
    """
    return Core(request.param)


# Certificates.


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    """
    Issue certificates for tests; made in memory, trusted by nobody else.
    """
    return trustme.CA()


@pytest.fixture
def server_ssl_context(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """
    Prove to be localhost, by name and by address.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = certificate_authority.issue_cert("localhost", "127.0.0.1", "::1")
    certificate.configure_cert(context)
    return context


@pytest.fixture
def client_ssl_context(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """
    Trust the server of ``server_ssl_context`` and nobody else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate_authority.configure_trust(context)
    return context


# Programs.


def find_program(name: str) -> str:
    """
    Return the path of a program; skip the test, or fail it where it is required.
    """
    for candidate in PROGRAMS[name]:
        path = shutil.which(candidate)
        if path is not None:
            return path
    return miss(name)


def miss(name: str) -> NoReturn:
    """
    Skip a test for want of a program, or fail it where the program is required.
    """
    required = os.environ.get("SOCKETEER_TESTS_REQUIRE", "").split(",")
    if name in required or os.environ.get("CI") == "true":
        pytest.fail(f"{name} is required and not installed", pytrace=False)
    pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def chromium() -> str:
    """
    Return the path of Chromium.
    """
    return find_program("chromium")


@pytest.fixture(scope="session")
def node() -> str:
    """
    Return the path of Node.js.
    """
    return find_program("node")


@pytest.fixture(scope="session")
def npm() -> str:
    """
    Return the path of Node's package manager.
    """
    return find_program("npm")


@pytest.fixture(scope="session")
def redis_server() -> str:
    """
    Return the path of a Redis or Valkey server.
    """
    return find_program("redis-server")


@pytest.fixture(scope="session")
def compiler() -> str:
    """
    Return a C compiler that can compile extension modules for this Python.
    """
    compiler = os.environ.get("CC", "cc")
    python = examine(sys.executable)
    if python is not None and compiles(python, compiler):
        return compiler
    return miss("compiler")


@pytest.fixture(scope="session")
def proxies(
    tmp_path_factory: pytest.TempPathFactory, certificate_authority: trustme.CA
) -> Iterator[Proxies]:
    """
    Start proxies as they are asked for; a test is skipped for want of a program.
    """
    running = Proxies(
        tmp_path_factory.mktemp("proxies"), certificate_authority, find_program
    )
    yield running
    running.stop()


# Selection and report.


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """
    Let plug-ins that look at all objects, at the end, see all of them.
    """
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """
    Collect without looking for garbage: thousands of tests are none.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Leave out the tests that do not apply to the library under test; begin with
    those that take longest.
    """
    skip = pytest.mark.skip(reason="tests what Socketeer does differently")
    for item in items:
        if not under_test.OURS and item.get_closest_marker("ours"):
            item.add_marker(skip)
    items.sort(key=is_short)


def is_short(item: pytest.Item) -> bool:
    """
    Tell whether a test is not among those that take longest.
    """
    return not item.nodeid.startswith(LONGEST)


def subject() -> str:
    """
    Describe what is tested in this process: library, build and Python.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    if not under_test.OURS:
        return f"websockets {under_test.lib.__version__}, {python}"
    implementation = importlib.import_module("socketeer._implementation")
    return f"socketeer, {implementation.core_implementation} build, {python}"


def pytest_report_header() -> str:
    """
    Say at the top which library and which builds are tested.
    """
    return f"under test: {subject()}; core tests: {' and '.join(builds_under_test())}"


def loop_of(nodeid: str) -> str:
    """
    Return the event loop that a test ran on, by its identifier.
    """
    parameters = nodeid.partition("[")[2].rstrip("]").split("-")
    return next((p for p in parameters if p in {"asyncio", "uvloop"}), "no loop")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Say at the bottom how much was tested on which loop; keep it, if asked to.
    """
    stats = terminalreporter.stats
    passed = Counter(loop_of(report.nodeid) for report in stats.get("passed", []))
    summary = {
        "subject": subject(),
        "passed": dict(sorted(passed.items())),
        "skipped": len(stats.get("skipped", [])),
        "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
    }
    loops = ", ".join(f"{passed[loop]} on {loop}" for loop in sorted(passed))
    terminalreporter.write_line(f"{summary['subject']}: {loops or 'nothing passed'}")
    file = os.environ.get("SOCKETEER_TESTS_SUMMARY")
    if file:
        Path(file).write_text(json.dumps(summary), "utf-8")
