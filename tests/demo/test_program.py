"""``python -m socketeer.demo``: where it listens, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import urllib.request

import pytest

from socketeer.asyncio.client import connect
from socketeer.asyncio.server import serve
from socketeer.demo import __main__ as program
from socketeer.demo.chat import Chat
from socketeer.exceptions import ConnectionClosed
from socketeer.pubsub import BrokerUnavailable, Hub
from tests.ports import free_port

from .program import DemoProgram
from .test_messages import join

pytestmark = pytest.mark.anyio


def test_it_prints_the_address_of_its_page():
    """
    The first line is an address that a browser can open.
    """
    with DemoProgram() as demo, urllib.request.urlopen(demo.url) as page:
        assert demo.url == f"http://127.0.0.1:{demo.port}/"
        assert b"<title>Socketeer chat</title>" in page.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_without_complaint(number):
    """
    Pages are told to come back, with 1012, and the exit status is 0.
    """
    with DemoProgram("--port", "0") as demo:
        async with connect(f"ws://127.0.0.1:{demo.port}/chat") as connection:
            await connection.send(json.dumps(join("Ada")))
            while "entered" not in await connection.recv():
                pass
            stopped = asyncio.create_task(asyncio.to_thread(demo.stop, number))
            with pytest.raises(ConnectionClosed):
                await connection.recv()

            assert (0, "") == await stopped
            assert 1012 == connection.close_code
            assert "server restart" == connection.close_reason


def test_it_listens_on_the_port_it_is_given():
    """
    A fixed port is used, or the program fails: pages know where to return.
    """
    port = free_port()
    with DemoProgram("--port", str(port)) as demo:
        assert port == demo.port


async def test_without_a_port_it_takes_the_usual_one_or_any_other(monkeypatch):
    """
    If another program has the usual port, a free one is found.
    """
    async with serve(Chat(Hub()).handle, "127.0.0.1", 0) as other:
        taken = other.sockets[0].getsockname()[1]
        monkeypatch.setattr(program, "PREFERRED_PORT", taken)
        async with await program.listen(Chat(Hub()), "127.0.0.1", None) as server:
            assert taken != server.sockets[0].getsockname()[1]
    async with await program.listen(Chat(Hub()), "127.0.0.1", None) as server:
        assert taken == server.sockets[0].getsockname()[1]


async def test_an_address_that_is_not_ours_is_an_error():
    """
    Only a port in use makes the program try another one.
    """
    with pytest.raises(OSError, match="bind"):
        await program.listen(Chat(Hub()), "192.0.2.1", None)


ADDRESSES = [
    (("127.0.0.1", 80), "http://127.0.0.1:80/"),
    (("0.0.0.0", 80), "http://127.0.0.1:80/"),
    (("::", 80, 0, 0), "http://127.0.0.1:80/"),
    (("::1", 80, 0, 0), "http://[::1]:80/"),
    (("192.0.2.7", 80), "http://192.0.2.7:80/"),
]


@pytest.mark.parametrize(("address", "url"), ADDRESSES)
def test_the_address_leads_to_this_machine(address, url):
    """
    "All networks" is an address to listen on, not one to visit.
    """

    class Listening:
        def getsockname(self):
            return address

    class Server:
        sockets = (Listening(),)

    assert url == program.page_url(Server())


def test_it_explains_its_arguments(monkeypatch, capsys):
    """
    --help names every argument and ends with status 0.
    """
    monkeypatch.setattr(sys, "argv", ["socketeer.demo", "--help"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    text = capsys.readouterr().out

    assert 0 == ended.value.code
    arguments = ("--host", "--port", "--open", "--redis", "--grace")
    assert [True] * 5 == [name in text for name in arguments]


MISTAKES = [
    (["--redis", "mysql://db/"], "no broker is known for 'mysql' addresses"),
    (["--grace", "nan"], "invalid seconds value: 'nan'"),
    (["--grace", "-1"], "invalid seconds value: '-1'"),
]


@pytest.mark.parametrize(("arguments", "complaint"), MISTAKES)
def test_it_says_what_is_wrong(monkeypatch, capsys, arguments, complaint):
    """
    A mistake on the command line is one sentence and status 2.
    """
    monkeypatch.setattr(sys, "argv", ["socketeer.demo", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()

    assert 2 == ended.value.code
    assert complaint in capsys.readouterr().err


def test_it_says_that_redis_does_not_answer(monkeypatch):
    """
    A sentence, not a traceback.
    """

    async def start(hub):
        raise BrokerUnavailable("Redis does not answer")

    monkeypatch.setattr(Hub, "start", start)
    monkeypatch.setattr(sys, "argv", ["socketeer.demo", "--redis", "redis://h/"])
    with pytest.raises(SystemExit, match=r"socketeer.demo: Redis does not answer$"):
        program.main()
