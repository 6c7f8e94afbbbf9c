"""
The server in this process: handlers, files, logs, the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

import pytest

from socketeer.asyncio.client import connect
from socketeer.cli import serving
from socketeer.cli.loading import CannotServe, load_handler
from socketeer.cli.serving import ServeOptions
from tests.asyncio.exchange import ask
from tests.asyncio.harness import HANG

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def running(**options):
    """
    Run a server until the context ends; return its port, and its task.
    """
    ports = asyncio.get_running_loop().create_future()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            serving,
            "announce",
            lambda options, sockets: ports.set_result(sockets[0].getsockname()[1]),
        )
        patch.setattr(serving, "log_to", lambda stream: None)
        options = ServeOptions(**{"port": 0, **options})
        task = asyncio.create_task(serving.serve_until_signal(options))
        async with asyncio.timeout(HANG):
            await asyncio.wait({task, ports}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                ports.cancel()
                await task
            port = await ports
            yield port, task
            if not task.done():
                os.kill(os.getpid(), signal.SIGTERM)
            assert 0 == await task


async def test_echo_sends_messages_back():
    """
    `--echo`.
    """
    async with running(echo=True) as (port, _):
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            await client.send("hello")
            assert "hello" == await client.recv()


async def test_the_address_may_be_another_one():
    """
    `--host`: there, and nowhere else.
    """
    async with running(echo=True, host="127.0.0.2") as (port, _):
        async with connect(f"ws://127.0.0.2:{port}/") as client:
            await client.send("hello")
            assert "hello" == await client.recv()
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{port}/")


async def test_broadcast_sends_messages_to_all_others():
    """
    `--broadcast`.
    """
    async with running(broadcast=True) as (port, _):
        uri = f"ws://127.0.0.1:{port}/"
        async with connect(uri) as ada, connect(uri) as bob:
            # Each is there once its own message could be answered.
            await bob.ping()
            await (await bob.ping())
            await ada.send("from ada")
            assert "from ada" == await bob.recv()
            await bob.send("from bob")
            assert "from bob" == await ada.recv()


async def test_tls_and_the_log_of_accesses(
    certificate_authority, client_ssl_context, tmp_path, caplog
):
    """
    `--tls-cert`, `--tls-key` and `--access-log`; control characters of a path are
    escaped.
    """
    caplog.set_level(logging.INFO, "socketeer.cli")
    certificate = certificate_authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    options = {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}
    async with running(echo=True, access_log=True, **options) as (port, _):
        uri = f"wss://localhost:{port}/a?b"
        async with connect(uri, ssl=client_ssl_context) as client:
            name = "{}:{}".format(*client.local_address)
    messages = [record.getMessage() for record in caplog.records]
    assert f'{name} "GET /a?b" 101' == messages[0]
    assert messages[1].startswith(f'{name} "/a?b" closed 1000 after 0.')


async def test_a_unix_socket_leaves_nothing_behind(tmp_path):
    """
    `--unix`.
    """
    path = tmp_path / "socket"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "log_to", lambda stream: None)
        patch.setattr(serving, "announce", lambda *args: os.kill(os.getpid(), 15))
        options = ServeOptions(echo=True, unix=str(path))
        assert 0 == await serving.serve_until_signal(options)

    assert not path.exists()


CANNOT = [
    ({"target": "x"}, "'x' is not of the form MODULE:HANDLER"),
    ({"target": "x:"}, "is not of the form MODULE:HANDLER"),
    ({"target": "nothing_here:x"}, "No module named 'nothing_here'"),
    ({"target": "os:nothing"}, "cannot import 'os:nothing'"),
    ({"target": "os:sep"}, "'os:sep' is no function"),
    ({"echo": True, "tls_cert": __file__}, "cannot use"),
    ({"echo": True, "host": "192.0.2.1"}, "could not bind|error while attempting"),
]


@pytest.mark.parametrize(("options", "error"), CANNOT)
async def test_what_cannot_be_served_is_told(options, error):
    """
    As an error for people.
    """
    with pytest.raises(CannotServe, match=error):
        async with running(**options):
            pass


async def test_a_handler_is_found_by_its_path(monkeypatch):
    """
    `MODULE:HANDLER`, also inside of an object.
    """
    target = "socketeer.cli.handlers:Broadcast.handle"

    assert "handle" == load_handler(target).__name__


async def test_handlers_that_do_not_end_are_cancelled(tmp_path, monkeypatch, caplog):
    """
    After `--grace`.
    """
    (tmp_path / "stubborn.py").write_text(
        "import asyncio\n"
        "async def handler(connection):\n"
        "    await connection.send('here')\n"
        "    await asyncio.sleep(1000)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    async with running(target="stubborn:handler", grace=0.01) as (port, task):
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            assert "here" == await client.recv()
            os.kill(os.getpid(), signal.SIGINT)
            assert 0 == await task

    assert "1 handlers did not end within --grace" in caplog.text


async def test_a_second_signal_is_in_a_hurry(tmp_path, monkeypatch):
    """
    Whatever the grace.
    """
    (tmp_path / "slow.py").write_text(
        "import asyncio\n"
        "async def handler(connection):\n"
        "    await connection.send('here')\n"
        "    await asyncio.sleep(1000)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    async with running(target="slow:handler", grace=1000) as (port, task):
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            assert "here" == await client.recv()
            os.kill(os.getpid(), signal.SIGTERM)
            await client.wait_closed()
            os.kill(os.getpid(), signal.SIGTERM)
            assert 0 == await task


@pytest.fixture
def folder(tmp_path):
    """
    Files, some of them nobody else's business.
    """
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "index.html").write_text("home")
    (site / "a b.css").write_text("css")
    (site / "sub" / "index.html").write_text("sub")
    (site / "data.bin.gz").write_bytes(b"\x00")
    (site / ".hidden").write_text("hidden")
    (tmp_path / "secret").write_text("secret")
    (site / "link").symlink_to(tmp_path / "secret")
    return str(site)


FILES = [
    ("/", 200, "home", "text/html; charset=utf-8"),
    ("/index.html?x=/", 200, "home", "text/html; charset=utf-8"),
    ("/a%20b.css", 200, "css", "text/css; charset=utf-8"),
    ("/sub/", 200, "sub", "text/html; charset=utf-8"),
    ("/data.bin.gz", 200, "\0", "application/octet-stream"),
    ("/sub", 302, "Found at /sub/\n", "text/plain; charset=utf-8"),
    ("//sub", 302, "Found at /sub/\n", "text/plain; charset=utf-8"),
    *[
        (path, 404, "Not found.\n", "text/plain; charset=utf-8")
        for path in (
            "/nothing",
            "/.hidden",
            "/../secret",
            "/%2e%2e/secret",
            "/sub/../../secret",
            "/link",
            "/%00",
            "/" + "x" * 300,
            "/index.html/x",
        )
    ],
]


async def test_files_are_served(folder):
    """
    `--static`: what is in the folder, and nothing else.
    """
    async with running(static=folder) as (port, _):
        for path, status, body, kind in FILES:
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            answer = await ask(port, request)
            assert (status, body) == (answer.status, answer.text), path
            assert kind == answer["Content-Type"]


async def test_files_do_not_stand_in_the_way_of_connections(folder):
    """
    Requests with an Upgrade go to the handler; other methods are refused.
    """
    async with running(static=folder, echo=True) as (port, _):
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            await client.send("hello")
            assert "hello" == await client.recv()
        head = await ask(port, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        post = await ask(port, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        odd = await ask(port, b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: @\r\n\r\n")

    assert (200, "4", "") == (head.status, head["Content-Length"], head.text)
    assert (405, "GET, HEAD") == (post.status, post["Allow"])
    assert 200 == odd.status


async def test_files_alone_refuse_connections(folder):
    """
    There is no handler.
    """
    async with running(static=folder) as (port, _):
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            await client.wait_closed()

    assert (1008, "no handler") == (client.close_code, client.close_reason)
