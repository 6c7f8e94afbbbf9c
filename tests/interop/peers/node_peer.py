"""The Node.js package ``ws``: one process that serves, one that connects."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import pathlib
import subprocess
from urllib.parse import urlencode

from . import TIMEOUT, Result

__all__ = ["INSTALLED", "NodePeer", "NodeProcess"]

FOLDER = pathlib.Path(__file__).parent.parent

# What ``npm ci`` makes.
INSTALLED = FOLDER / "node_modules" / "ws"


class NodeProcess:
    """A script of this folder, running; it ends when its input does."""

    def __init__(self, node, script):
        self.process = subprocess.Popen(
            [node, FOLDER / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def read(self):
        """Return the next value that the script prints."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, question):
        """Give the script a line and return its answer."""
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=10)


class NodePeer:
    """Servers and clients of ``ws``."""

    def __init__(self, server_port, client):
        self.server_port = server_port
        self.client = client

    @contextlib.asynccontextmanager
    async def serve(self, program, *, deflate=None, subprotocols=(), **options):
        """Give the URL of a program: the process serves them all."""
        query = dict(options)
        if subprotocols:
            query["subprotocols"] = ",".join(subprotocols)
        if deflate is not None:
            asked_for = deflate.asked_for().items()
            query |= {name: json.dumps(value) for name, value in asked_for}
            query["deflate"] = "true"
        async with asyncio.timeout(TIMEOUT):
            yield f"ws://127.0.0.1:{self.server_port}{program}?{urlencode(query)}"

    async def run(self, url, steps, *, deflate=None, subprotocols=()):
        """Run a script as a client, in the other process."""
        script = {
            "url": url,
            "steps": [[encode(value) for value in step] for step in steps],
            "subprotocols": list(subprotocols),
            "deflate": None if deflate is None else deflate.asked_for(),
        }
        answer = await asyncio.to_thread(self.client.ask, script)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return Result([decode(r) for r in answer["results"]], answer["subprotocol"])


def encode(value):
    """Make a value of a step fit for JSON."""
    if isinstance(value, bytes):
        return {"binary": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [encode(item) for item in value]
    return value


def decode(value):
    """Make a result what it was before it became JSON."""
    if isinstance(value, dict) and "binary" in value:
        return base64.b64decode(value["binary"])
    return value
