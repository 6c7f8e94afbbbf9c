"""Serves in a thread, for tests that leave no room for an event loop."""

from __future__ import annotations

import asyncio
import threading

from socketeer.asyncio.server import serve

__all__ = ["Serving"]


class Serving:
    """
    A server on loopback in a thread of its own.

    Arguments are those of ``serve()``, without address.
    """

    def __init__(self, handler, *, loop_factory, **options):
        self.handler = handler
        self.options = options
        self.loop_factory = loop_factory
        self.listening = threading.Event()
        self.thread = threading.Thread(target=self.run)

    @property
    def url(self):
        """The address for clients."""
        return f"ws://127.0.0.1:{self.port}/"

    def run(self):
        """Serve until told to stop: the body of the thread."""
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            runner.run(self.serve())

    async def serve(self):
        """Listen, tell the port, and wait for the end."""
        self.loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        async with serve(self.handler, "127.0.0.1", 0, **self.options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.listening.set()
            await self.stopping.wait()

    def __enter__(self):
        self.thread.start()
        if not self.listening.wait(10):
            raise AssertionError("the server did not start")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Leave the server's block, and so close it; more than once is once."""
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.stopping.set)
            self.thread.join(10)
        if self.thread.is_alive():
            raise AssertionError("the server did not stop")
