"""
The interactive client in a real terminal: typing, resizing, Ctrl+C, Ctrl+D.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys

import pytest

from tests.cli.conftest import talking
from tests.conftest import find_program

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def anyio_backend():
    """
    Our own loop does not matter: the program chooses one.
    """
    return ("asyncio", {"use_uvloop": False})


class Tmux:
    """
    A terminal multiplexer with a server of its own.
    """

    def __init__(self, folder, environment):
        self.program = [
            find_program("tmux"),
            "-S",
            str(folder / "tmux"),
        ]
        self.environment = {**environment, "TERM": "xterm", "LANG": "C.UTF-8"}
        self.folder = folder

    def __call__(self, *arguments):
        done = subprocess.run(
            [*self.program, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=self.environment,
            timeout=10,
        )
        return done.stdout

    def start(self, uri, *arguments):
        command = shlex.join([sys.executable, "-m", "socketeer", uri, *arguments])
        self("new-session", "-d", "-x", "80", "-y", "24", f"{command}; echo $?; read x")

    async def shows(self, *texts):
        async with asyncio.timeout(15):
            while True:
                screen = self("capture-pane", "-p")
                if all(text in screen for text in texts):
                    return screen
                await asyncio.sleep(0.02)


@pytest.fixture
def tmux(tmp_path, environment):
    terminal = Tmux(tmp_path, environment)
    yield terminal
    subprocess.run([*terminal.program, "kill-server"], check=False, capture_output=True)


async def test_a_conversation(tmux):
    """
    Typing, a message from the server, history, another size, Ctrl+D.
    """
    async with talking() as uri:
        tmux.start(uri)
        await tmux.shows(f"Connected to {uri}.", "\n>", "| open | latency")
        tmux("send-keys", "hello", "Enter")
        await tmux.shows("> hello\n", "< hello\n")
        tmux("send-keys", "Up", "Enter")
        while 2 != (await tmux.shows("< hello")).count("< hello"):
            await asyncio.sleep(0.02)
        tmux("resize-window", "-x", "40", "-y", "10")
        tmux("send-keys", "x" * 50)
        screen = await tmux.shows("> " + "x" * 38 + "\n" + "x" * 12 + "\n")
        # The toolbar still is the last line, cut to the new width.
        assert screen.splitlines()[-1].startswith(f" {uri} | open")
        tmux("send-keys", "C-u", "binary", "Enter")
        await tmux.shows("< (binary) 00ff")
        tmux("send-keys", "C-d")
        await tmux.shows("Connection closed: 1000 (OK).\n0\n")


async def test_ctrl_c(tmux):
    """
    Closes the connection as Ctrl+D does; the terminal is left in order.
    """
    async with talking() as uri:
        tmux.start(uri)
        await tmux.shows("Connected", "\n>")
        tmux("send-keys", "unfinished", "C-c")
        screen = await tmux.shows("Connection closed: 1000 (OK).\n0\n")

    assert "| open |" not in screen
