r"""
Runs a page of the documentation: a page is a program, read from top to bottom.

Run one page by hand with ``python -m tests.pages docs/tutorial.md``. The
convention, also for authors:

1. **A Python block is executed where it stands**, in one namespace per page, so
   a block may use what blocks above it defined. ``await`` and ``async with``
   are allowed at the top level of a block.
2. **A block that begins with a file name is a file.** Its first line is a
   comment that holds the name and nothing else: ``# server.py``,
   ``// chat.js`` or ``<!-- index.html -->``. It is not executed; it is written
   into the page's own folder, and a later block of the same name replaces it.
   Complete programs, with ``asyncio.run(main())``, are files. A name may have
   folders, ``# shop/views.py``; with ``# shop/settings.py, at the end``, the block
   is added to a file that is there.
3. **An HTML comment that begins with** ``test`` **is Python that readers do not
   see**, executed like a block. It prepares what blocks need, drives the files
   and checks results::

       <!-- test
       server = await start("server.py")
       assert "Hello Ada!" in await run("client.py", input="Ada\n")
       await stop(server)
       -->

4. **A block that cannot run is excused**, with a reason, by a comment on the
   line above it: ``<!-- not run: needs a certificate -->``. Its syntax is
   checked all the same.

Everything a page names ``8765`` is given a free port instead, in blocks, files
and comments; a second port is ``8766``. The functions for comments:

``await start(name, *arguments)``
    Run a file until ``stop`` or the end of the page. Returns once somebody
    listens on port 8765; ``port=8766`` waits for that one, ``listens=False``
    for nothing. Returns an object whose ``output()`` is what it printed so far.
``await run(name, *arguments, input="")``
    Run a file to its end, successful within 20 seconds; return what it printed.
``await stop(program)``
    Interrupt a program as Ctrl-C does, and wait for its end; return what it
    printed. Programs still running at the end of the page are stopped, too.
``fails(exception, text="")``
    A context manager: the code inside raises this exception, with this text.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Part", "parts", "run_page"]

# Seconds a program may take to listen, to finish or to stop.
PATIENCE = 20

PORTS = ("8765", "8766")

FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+|~~~+)(?P<info>.*)")
FILE_NAME = re.compile(
    r"(?:#|//|<!--) (?P<name>(?:[\w-]+/)*[\w-]+\.[a-z]+)"
    r"(?P<more>, at the end)?(?: -->)?"
)
EXCUSE = re.compile(r" *<!-- not run: \S.*-->")
HIDDEN = re.compile(r" *<!-- test\b *")

# What a block may be called; all of them are Python.
PYTHON = {"python", "{code-block} python", "py", "python3", "pycon"}


@dataclass(frozen=True)
class Part:
    """
    A piece of a page that does something.

    Attributes:
        kind: ``"code"`` to execute, ``"file"`` to write, ``"more"`` to add to a
            file, ``"excused"`` to parse.
        text: The piece, without fence and indentation.
        line: Where the text begins in the page, counted from 1.
        name: Name of the file, else empty.
    """

    kind: Literal["code", "file", "more", "excused"]
    text: str
    line: int
    name: str = ""


def closing_fence(lines: list[str], start: int, fence: str) -> int:
    """
    Return the index of the line that closes the block opened before ``start``.
    """
    for index in range(start, len(lines)):
        line = lines[index].strip()
        if line.startswith(fence) and not line.strip(fence[0]):
            return index
    raise ValueError(f"line {start}: the block is never closed")


def block_part(info: str, text: str, line: int, above: str) -> Part | None:
    """
    Return what a fenced block means, if it means anything.
    """
    name = FILE_NAME.fullmatch(text.partition("\n")[0])
    if name is not None:
        return Part("more" if name["more"] else "file", text, line, name["name"])
    if info.strip() not in PYTHON:
        return None
    if EXCUSE.fullmatch(above):
        return Part("excused", text, line)
    return Part("code", text, line)


def parts(page: str, first_line: int = 1) -> Iterator[Part]:
    """
    Split a page, in MyST Markdown, into the pieces that do something.
    """
    lines = page.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        here = first_line + index
        if (fence := FENCE.fullmatch(line)) is not None:
            end = closing_fence(lines, index + 1, fence["fence"])
            inside = "\n".join(lines[index + 1 : end])
            text = textwrap.dedent(inside) + "\n"
            above = lines[index - 1] if index else ""
            part = block_part(fence["info"], text, here + 1, above)
            if part is not None:
                yield part
            elif fence["info"].startswith("{"):
                # An admonition or a tab; it may hold blocks.
                yield from parts(inside, here + 1)
            index = end
        elif HIDDEN.match(line):
            end = next(i for i in range(index, len(lines)) if "-->" in lines[i])
            first = HIDDEN.sub("", line, count=1)
            text = "\n".join([first, *lines[index + 1 : end + 1]])
            yield Part("code", textwrap.dedent(text.partition("-->")[0]) + "\n", here)
            index = end
        index += 1


@dataclass
class Program:
    """
    A file of a page, running in a process of its own.
    """

    name: str
    process: subprocess.Popen[str]
    log: Path

    def output(self) -> str:
        """
        Return what the program printed so far.
        """
        return self.log.read_text("utf-8")

    async def finish(self) -> int:
        """
        Wait for the end of the program; return its exit status.
        """
        try:
            return await asyncio.to_thread(self.process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(
                f"{self.name} did not end; it printed:\n{self.output()}"
            ) from None


class Page:
    """
    A page while it runs: its files, its programs, its namespace.

    Args:
        source: The page.
        folder: Where its files are written and its programs run.
    """

    def __init__(self, source: Path, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self.ports = {port: free_port() for port in PORTS}
        self.programs: list[Program] = []
        self.namespace: dict[str, Any] = {
            "__name__": "__page__",
            "fails": self.fails,
            "run": self.run,
            "start": self.start,
            "stop": self.stop,
        }

    def with_ports(self, text: str) -> str:
        """
        Put the free ports in the place of the ports that readers see.
        """
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        return text

    def write(self, name: str, text: str, *, more: bool) -> None:
        """
        Write a file, or add to one that is there.
        """
        path = self.folder / name
        if more:
            text = f"{path.read_text('utf-8')}\n\n{text}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def spawn(self, name: str, arguments: tuple[str, ...], text: str) -> Program:
        """
        Start a file as a program with this text as its standard input.
        """
        log = self.folder / f"{name}.{len(self.programs)}.log"
        feed = log.with_suffix(".input")
        feed.write_text(text, "utf-8")
        command = [sys.executable, "-u", "-W", "error", name, *arguments]
        with log.open("w") as output, feed.open() as standard_input:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=standard_input,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        program = Program(name, process, log)
        self.programs.append(program)
        return program

    async def start(
        self, name: str, *arguments: str, port: int | None = None, listens: bool = True
    ) -> Program:
        """
        Run a file until the page ends; return once it listens.
        """
        program = self.spawn(name, arguments, "")
        if listens:
            await self.wait_listening(program, port or self.ports[PORTS[0]])
        return program

    async def wait_listening(self, program: Program, port: int) -> None:
        """
        Wait until somebody accepts connections on the port.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                if program.process.poll() is not None:
                    raise AssertionError(f"{program.name} ended:\n{program.output()}")
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("localhost", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)

    async def run(
        self,
        name: str,
        *arguments: str,
        input: str = "",  # noqa: A002 (as subprocess.run() has it)
    ) -> str:
        """
        Run a file to its successful end; return what it printed.
        """
        program = self.spawn(name, arguments, input)
        status = await program.finish()
        if status != 0:
            raise AssertionError(f"{name} failed ({status}):\n{program.output()}")
        return program.output()

    async def stop(self, program: Program) -> str:
        """
        Interrupt a program; return what it printed.
        """
        program.process.send_signal(signal.SIGINT)
        await program.finish()
        return program.output()

    @staticmethod
    @contextlib.contextmanager
    def fails(exception: type[BaseException], text: str = "") -> Iterator[None]:
        """
        Expect the code inside to raise this exception, with this text.
        """
        try:
            yield
        except exception as exc:
            if text not in str(exc):
                raise AssertionError(f"{text!r} is not in {str(exc)!r}") from exc
        else:
            raise AssertionError(f"{exception.__name__} was not raised")

    def execute(self, part: Part, runner: asyncio.Runner) -> None:
        """
        Do what a part of the page says.
        """
        text = self.with_ports(part.text)
        if part.kind in {"file", "more"}:
            self.write(part.name, text, more=part.kind == "more")
            return
        # Tracebacks show the line of the page.
        code = compile(
            "\n" * (part.line - 1) + text,
            str(self.source),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        if part.kind == "excused":
            return
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(eval(code, self.namespace))
        else:
            exec(code, self.namespace)

    def close(self) -> None:
        """
        End the programs that still run.
        """
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()


def run_page(source: Path, folder: Path) -> None:
    """
    Run a page; its files are written to the folder, which becomes the current one.
    """
    text = source.read_text("utf-8")
    source = source.resolve()
    os.chdir(folder)
    page = Page(source, folder)
    with contextlib.closing(page), asyncio.Runner() as runner:
        for part in parts(text):
            page.execute(part, runner)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as temporary:
            run_page(Path(argument), Path(temporary))
