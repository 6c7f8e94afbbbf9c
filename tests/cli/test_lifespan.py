"""
What begins before the first connection of a served handler, and ends after the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import pytest

from socketeer.asyncio.client import connect
from socketeer.cli import lifespan, serving
from socketeer.cli.loading import CannotServe, load_lifespan
from socketeer.cli.serving import ServeOptions
from tests.asyncio.harness import HANG

pytestmark = pytest.mark.anyio

LIFE = """
import asyncio
import contextlib

events = []
failing = asyncio.Event()


async def handler(connection):
    events.append("connection")
    await connection.send("here")
    await connection.wait_closed()
    events.append("no connection")


@contextlib.asynccontextmanager
async def lifespan():
    events.append("begin")
    yield
    events.append("end")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """
    Write a module; return its name. Nobody imports it afterwards.
    """
    names = []

    def module(text):
        name = f"life_{len(names)}_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(LIFE + text)
        names.append(name)
        return name

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(serving, "log_to", lambda stream: None)
    monkeypatch.setattr(serving, "announce", lambda options, sockets: None)
    yield module
    for name in names:
        sys.modules.pop(name, None)


async def serve_once(monkeypatch, target, act=None, **options):
    """
    Serve; act when it listens, and then end. Return the status.
    """

    async def then_end(port):
        if act is not None:
            await act(port)
        os.kill(os.getpid(), signal.SIGTERM)

    acting = []

    def announce(options, sockets):
        port = sockets[0].getsockname()[1]
        acting.append(asyncio.create_task(then_end(port)))

    monkeypatch.setattr(serving, "announce", announce)
    options = ServeOptions(target=target, port=0, **options)
    async with asyncio.timeout(HANG):
        status = await serving.serve_until_signal(options)
        await asyncio.gather(*acting)
    return status


async def visit(port):
    """
    Be a client until the server ends.
    """
    client = await connect(f"ws://127.0.0.1:{port}/")
    assert "here" == await client.recv()


async def test_begins_before_the_first_connection_and_ends_after_the_last(
    module, monkeypatch
):
    """
    Handlers may use it from their first line to their last.
    """
    name = module("")

    assert 0 == await serve_once(monkeypatch, f"{name}:handler", visit)
    expected = ["begin", "connection", "no connection", "end"]
    assert expected == sys.modules[name].events


KINDS = {
    "a context manager": "lifespan = lifespan()\n",
    "a class": """
class lifespan:
    async def __aenter__(self):
        events.append("begin")

    async def __aexit__(self, *exc_info):
        events.append("end")
""",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_other_kinds_of_lifespans(kind, module, monkeypatch):
    """
    Whatever ``async with`` takes, and what returns it.
    """
    name = module(KINDS[kind])

    assert 0 == await serve_once(monkeypatch, f"{name}:handler")
    assert ["begin", "end"] == sys.modules[name].events


async def test_a_hub_is_started_and_stopped(module, monkeypatch):
    """
    ``lifespan = hub``: one that is stopped has no tasks.
    """
    name = module("from socketeer.pubsub import Hub\nlifespan = hub = Hub()\n")
    started = []

    async def look(port):
        started.append(sys.modules[name].hub._is_started)

    assert 0 == await serve_once(monkeypatch, f"{name}:handler", look)
    assert [True] == started
    assert not sys.modules[name].hub._is_started


async def test_it_can_be_ignored(module, monkeypatch):
    """
    `--lifespan off`, for one that belongs to something else.
    """
    name = module("async def lifespan(app): yield\n")

    assert 0 == await serve_once(monkeypatch, f"{name}:handler", lifespan="off")
    assert [] == sys.modules[name].events


@pytest.mark.parametrize("fault", ["begin", "end"])
async def test_failing_is_told(fault, module, monkeypatch, caplog):
    """
    With status 1, so that a supervisor tries again; what cannot begin does not serve.
    """
    body = {"begin": "    1 / 0\n    yield\n", "end": "    yield\n    1 / 0\n"}[fault]
    name = module(f"@contextlib.asynccontextmanager\nasync def lifespan():\n{body}")
    served = []

    async def serve(port):
        served.append(port)

    assert 1 == await serve_once(monkeypatch, f"{name}:handler", serve)
    assert "ZeroDivisionError" in caplog.text
    assert served if fault == "end" else not served


GROUP = """
@contextlib.asynccontextmanager
async def lifespan():
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        yield


async def fail():
    await failing.wait()
    raise ValueError("a task failed")
"""


async def test_failing_later_ends_the_server(module, monkeypatch, caplog):
    """
    A task that the lifespan looks after has failed: clients are told, and the status
    says so.
    """
    name = module(GROUP)
    codes = []

    async def fail(port):
        client = await connect(f"ws://127.0.0.1:{port}/")
        assert "here" == await client.recv()
        sys.modules[name].failing.set()
        await client.wait_closed()
        codes.append(client.close_code)

    assert 1 == await serve_once(monkeypatch, f"{name}:handler", fail)
    assert [1001] == codes
    assert "a task failed" in caplog.text


SLOW = """
@contextlib.asynccontextmanager
async def lifespan():
    try:
        {0}
        yield
        {1}
    finally:
        events.append("end")
"""
FOREVER = "await asyncio.sleep(1000)"


async def test_a_signal_ends_one_that_does_not_begin(module):
    """
    Nothing has been served; that is no failure.
    """
    name = module(SLOW.format(FOREVER, "pass"))
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)

    async with asyncio.timeout(HANG):
        status = await serving.serve_until_signal(
            ServeOptions(target=f"{name}:handler", port=0)
        )

    assert 0 == status
    assert ["end"] == sys.modules[name].events


async def test_one_that_does_not_end_is_cancelled(module, monkeypatch, caplog):
    """
    After `--grace`, but it has a moment.
    """
    monkeypatch.setattr(serving, "_LAST_WAIT", 0.01)
    name = module(SLOW.format("pass", FOREVER))

    assert 1 == await serve_once(monkeypatch, f"{name}:handler", grace=0)
    assert ["end"] == sys.modules[name].events
    assert "did not end within --grace" in caplog.text


async def test_a_second_signal_does_not_wait_for_it(module, monkeypatch):
    """
    Whatever the grace.
    """
    name = module(SLOW.format("pass", FOREVER))
    loop = asyncio.get_running_loop()

    async def insist(port):
        loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)

    assert 1 == await serve_once(monkeypatch, f"{name}:handler", insist, grace=1000)
    assert ["end"] == sys.modules[name].events


async def test_one_that_suppresses_its_cancellation(monkeypatch):
    """
    The process ends all the same.
    """
    monkeypatch.setattr(lifespan, "_LAST_WAIT", 0.01)
    released = asyncio.Event()

    @contextlib.asynccontextmanager
    async def stubborn():
        yield
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    life = lifespan.Lifespan(stubborn())
    assert await life.begin(asyncio.Event())
    await life.end(0, asyncio.Event())

    assert life.has_failed
    released.set()
    await life._task


CANNOT = {
    "lifespan = 1\n": r"'\w+:lifespan' is no asynchronous context manager.*: 1",
    "async def lifespan(): yield\n": "is no asynchronous context manager, such as",
    "async def lifespan(app): yield\n": "missing a required argument: 'app' .*off",
    "del lifespan\n": r"there is no '\w+:lifespan' \(--lifespan on\)",
}


@pytest.mark.parametrize("text", CANNOT)
async def test_what_is_no_lifespan_is_told(text, module):
    """
    Before anything is served.
    """
    name = module(text)
    options = ServeOptions(target=f"{name}:handler", port=0, lifespan="on")

    with pytest.raises(CannotServe, match=CANNOT[text]):
        await serving.serve_until_signal(options)


async def test_without_a_module_there_is_none():
    """
    `--echo --lifespan on` asks for the impossible.
    """
    with pytest.raises(CannotServe, match="there is no module"):
        load_lifespan(None, "on")
    async with load_lifespan(None, "auto"):
        pass
