"""
Takes the screenshots of the command line in the documentation: docs/images/cli-*.svg.

The programs run in tmux; what they show, with its colours, becomes a picture.

    python tools/screenshots.py
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

__all__ = ["main"]

IMAGES = Path(__file__).parent.parent / "docs" / "images"

# Readers see this port.
URI = "ws://localhost:8765/"

# Columns.
WIDTH = 76

# A picture must not load anything from elsewhere.
FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Terminal:
    """
    A terminal in tmux.

    Args:
        folder: Where its socket goes.
        width: Columns.
        height: Lines.
    """

    def __init__(self, folder: str, width: int, height: int) -> None:
        self.program = ["tmux", "-S", f"{folder}/tmux"]
        self.width = width
        self.height = height
        self.environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "XDG_STATE_HOME": folder,
        }

    def tmux(self, *arguments: str) -> str:
        """
        Run tmux; return what it prints.
        """
        done = subprocess.run(
            [*self.program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def start(self, command: list[str]) -> None:
        """
        Run a command.
        """
        size = ["-x", str(self.width), "-y", str(self.height)]
        line = f"{shlex.join(command)}; sleep 60"
        self.tmux("-f", "/dev/null", "new-session", "-d", *size, line)

    def wait(self, text: str, seconds: float = 60) -> None:
        """
        Wait until a text is there.
        """
        deadline = time.monotonic() + seconds
        while text not in self.tmux("capture-pane", "-p"):
            if time.monotonic() > deadline:
                raise TimeoutError(self.tmux("capture-pane", "-p"))
            time.sleep(0.05)

    def picture(self, name: str, title: str) -> None:
        """
        Write what is there as a picture.
        """
        screen = self.tmux("capture-pane", "-p", "-e").rstrip("\n")
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            console = Console(
                width=self.width, record=True, file=nowhere, force_terminal=True
            )
            console.print(Text.from_ansi(screen))
            svg = console.export_svg(title=title, unique_id=name)
        path = IMAGES / f"cli-{name}.svg"
        path.write_text(FONT_FACE.sub("", svg), "utf-8")
        print(path)

    def end(self) -> None:
        """
        End everything in the terminal.
        """
        subprocess.run([*self.program, "kill-server"], check=False)


def program(*arguments: str) -> list[str]:
    """
    Return the command for our program.
    """
    return [sys.executable, "-m", "socketeer", *arguments]


def show_client(terminal: Terminal) -> None:
    """
    A conversation.
    """
    terminal.start(program(URI, "--json"))
    terminal.wait("latency 0")
    for line, answer in [
        ("Hello!", "< Hello!"),
        ('{"type": "greeting", "to": ["Ada", "Bob"]}', '  "type"'),
        ("/ping", "Pong after"),
    ]:
        terminal.tmux("send-keys", "-l", line)
        terminal.tmux("send-keys", "Enter")
        terminal.wait(answer)
    terminal.tmux("send-keys", "-l", "/close 4000 good b")
    time.sleep(1)
    terminal.picture("connect", f"socketeer {URI} --json")


def show_bench(terminal: Terminal) -> None:
    """
    A report.
    """
    terminal.start(program("bench", URI, "-c", "50", "--duration", "3"))
    terminal.wait("#")
    terminal.picture("bench", f"socketeer bench {URI} -c 50 --duration 3")


def show_server(terminal: Terminal) -> None:
    """
    Two workers, and a client that comes and goes.
    """
    options = ["--echo", "--port", "8766", "--workers", "2", "--access-log"]
    terminal.start(program("serve", *options))
    terminal.wait("Listening on")
    client = program("ws://127.0.0.1:8766/lobby", "--linger", "0.2")
    talk = {"input": b"Hello!\n", "capture_output": True}
    while subprocess.run(client, check=False, **talk).returncode:
        # Workers take a moment.
        time.sleep(0.1)
    terminal.wait("closed 1000")
    terminal.picture("serve", shlex.join(["socketeer", "serve", *options]))


def main() -> None:
    """
    Take the pictures.
    """
    server = subprocess.Popen(program("serve", "--echo", "--host", "localhost"))
    try:
        time.sleep(2)
        for show, width, height in [
            (show_client, WIDTH, 16),
            (show_bench, WIDTH, 30),
            (show_server, 92, 5),
        ]:
            with tempfile.TemporaryDirectory() as folder:
                terminal = Terminal(folder, width, height)
                try:
                    show(terminal)
                finally:
                    terminal.end()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
