"""
A server that runs: its connections, its threads, and its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import selectors
import socket
import stat
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from .._connection import report_handler
from ..frames import Close
from ..protocol import OPEN
from ..utils import get_socket_name
from .opening import Hook, ServerOpening
from .stream import wait_for

if TYPE_CHECKING:
    import ssl as ssl_module
    from types import TracebackType

    from .._serving import ConnectionFactory
    from ..typing import LoggerLike, PathLike
    from .server import ServerConnection

__all__ = ["Reception", "Server", "bind_tcp", "bind_unix"]

# Seconds for which nothing is accepted when the process is out of something.
_PAUSE = 1.0

# What accept() may raise although the listening socket is well: the process is out
# of file descriptors or memory.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

# Seconds by which handlers may be late in noticing that their connection is closed.
_GRACE = 0.5


@dataclasses.dataclass
class Reception:
    """
    What becomes of accepted sockets.

    Attributes:
        handler: Called with the connection when it is OPEN.
        ssl: TLS context, or :obj:`None`.
        factory: Makes connections.
        hooks: ``process_request`` and ``process_response``.
        server_header: ``Server`` header of responses.
        open_timeout: Seconds for the opening handshake.
        close_timeout: Seconds for closing.
    """

    handler: Callable[[ServerConnection], object]
    ssl: ssl_module.SSLContext | None
    factory: ConnectionFactory
    hooks: tuple[Hook | None, Hook | None]
    server_header: str | None
    open_timeout: float | None
    close_timeout: float | None

    def open(self, sock: socket.socket, server: Server) -> ServerOpening:
        """
        Return the opening handshake of a socket.
        """
        return ServerOpening(
            sock,
            server,
            self.factory,
            self.hooks,
            self.server_header,
            (self.open_timeout, self.close_timeout),
        )


class Server:
    """
    A WebSocket server, returned by :func:`serve`.

    As a context manager, it shuts itself down.

    Args:
        sock: A listening socket; it belongs to the server from now on.
        reception: What becomes of accepted sockets.
        logger: Logger of the server; ``socketeer.server`` by default.

    Attributes:
        socket: The listening socket.
        all_connections: Connections in any state whose handler has not returned.
        logger: Logger of the server.
    """

    def __init__(
        self,
        sock: socket.socket,
        reception: Reception,
        logger: LoggerLike | None = None,
    ) -> None:
        self.socket = sock
        self.logger: LoggerLike = logger or logging.getLogger("socketeer.server")
        self.all_connections: set[ServerConnection] = set()
        self._reception = reception
        # A signal handler may interrupt serve_forever() and shut down.
        self._lock = threading.RLock()
        self._openings: set[ServerOpening] = set()
        self._threads: set[threading.Thread] = set()
        self._closing = False
        # How connections are closed then: the code and the reason, if they are.
        self._close: tuple[int, str] | None = None
        # What is written to one end wakes who accepts.
        self._stop, self._stopped = socket.socketpair()
        self._serving = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def fileno(self) -> int:
        """
        Return the file descriptor of the listening socket.
        """
        return self.socket.fileno()

    @property
    def connections(self) -> set[ServerConnection]:
        """
        The connections that are OPEN.

        A new set each time: iterate over it while connections come and go.
        """
        with self._lock:
            return {each for each in self.all_connections if each.state is OPEN}

    def is_closing(self) -> bool:
        """
        Tell whether :meth:`shutdown` was called.
        """
        return self._closing

    # Serving.

    def serve_forever(self) -> None:
        """
        Accept connections until :meth:`shutdown` is called, from another thread or
        from a signal handler.
        """
        with self._lock:
            if self._closing:
                return
            self._serving = True
            self.logger.info("server listening on %s", get_socket_name(self.socket))
            self.socket.setblocking(False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ)
                selector.register(self._stopped, selectors.EVENT_READ)
                while True:
                    selector.select()
                    if self.is_closing():
                        break
                    self._accept()
        finally:
            with self._lock:
                self._serving = False
                if self.is_closing():
                    self._close_sockets()

    def _close_sockets(self) -> None:
        """
        Close what is needed to accept connections, when nobody does.
        """
        for sock in (self.socket, self._stop, self._stopped):
            sock.close()

    def _accept(self) -> None:
        """
        Accept a connection, and serve it in a thread.
        """
        try:
            sock, _ = self.socket.accept()
        except OSError as exc:
            if exc.errno in _EXHAUSTED:
                self.logger.warning(
                    "cannot accept connections for %.0f s: %s", _PAUSE, exc.strerror
                )
                wait_for(self._stopped, selectors.EVENT_READ, time.monotonic() + _PAUSE)
            # Otherwise, the client has gone already.
            return
        prepare_socket(sock)
        with self._lock:
            opening = self._reception.open(sock, self)
            # A daemon: a handler that does not end must not keep the process.
            thread = threading.Thread(
                target=self._serve, args=(opening, sock), daemon=True
            )
            try:
                # Under the lock: whoever waits for threads finds them running.
                thread.start()
            except RuntimeError as exc:
                # Out of threads.
                self.logger.warning("cannot serve a connection: %s", exc)
                sock.close()
                return
            self._openings.add(opening)
            self._threads.add(thread)

    def _serve(self, opening: ServerOpening, sock: socket.socket) -> None:
        """
        Serve a connection from the first byte to the last.
        """
        connection: ServerConnection | None = None
        try:
            try:
                connection = opening.run(self._reception.ssl)
            except Exception as exc:
                self.logger.exception("opening handshake failed", exc_info=exc)
                sock.close()
            self._take_over(opening, connection)
            if connection is not None:
                self._handle(connection)
        finally:
            with self._lock:
                self._openings.discard(opening)
                self._threads.discard(threading.current_thread())
                if connection is not None:
                    self.all_connections.discard(connection)

    def _take_over(
        self, opening: ServerOpening, connection: ServerConnection | None
    ) -> None:
        """
        Take in that an opening handshake is over.
        """
        with self._lock:
            self._openings.discard(opening)
            if connection is None:
                return
            self.all_connections.add(connection)
        connection._opened()
        if self._close is not None:
            # The server was shut down meanwhile.
            connection._link.begin_close(*self._close)

    def _handle(self, connection: ServerConnection) -> None:
        """
        Run the handler of a connection that is OPEN; close it afterwards.
        """
        code = 1011
        try:
            self._reception.handler(connection)
            code = 1000
        except Exception as exc:
            report_handler(connection._link, connection.logger, exc)
        finally:
            connection.close(code)
            connection.logger.info("connection closed")

    # Closing.

    def shutdown(
        self, close_connections: bool = True, code: int = 1001, reason: str = ""
    ) -> None:
        """
        Shut the server down, and wait until that is done.

        It stops accepting connections, answers those whose opening handshake is
        in progress with status 503, closes the others, and waits for their
        handlers: for ``close_timeout`` seconds in all. Handlers that go on
        nevertheless, since they do something else than using their connection, are
        left alone; they do not keep the process from ending.

        Calling it again does nothing.

        Args:
            close_connections: :obj:`False` lets handlers go on with their
                connections until they return, however long that takes.
            code: Close code; 1012 tells clients of a restart.
            reason: Close reason.

        Raises:
            ProtocolError: The code cannot be sent. Nothing was closed.
        """
        Close(code, reason).check()
        with self._lock:
            if self._closing:
                return
            self._closing = True
            if close_connections:
                self._close = code, reason
            openings = list(self._openings)
            if self._serving:
                self._stop.send(b"\0")
            else:
                self._close_sockets()
        self.logger.info("server closing")
        for opening in openings:
            opening.shut_down()
        timeout = self._reception.close_timeout if close_connections else None
        deadline = None if timeout is None else time.monotonic() + timeout + _GRACE
        if close_connections:
            for connection in self.connections:
                connection._link.begin_close(code, reason)
        self._join(deadline)
        self.logger.info("server closed")

    def _join(self, deadline: float | None) -> None:
        """
        Wait for the threads of the connections.
        """
        with self._lock:
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            if deadline is None:
                thread.join()
            else:
                thread.join(max(0.0, deadline - time.monotonic()))
        count = sum(thread.is_alive() for thread in threads)
        if count:
            self.logger.warning("%d handlers go on after the end of the server", count)


def prepare_socket(sock: socket.socket) -> None:
    """
    Make a connected socket what the room expects.
    """
    # Without a flag for single calls, sockets never block; see stream.DONT_WAIT.
    sock.setblocking(hasattr(socket, "MSG_DONTWAIT"))
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # Frames are written when they are to be sent: no waiting for more.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)


def bind_tcp(
    sock: socket.socket | None, host: str | None, port: int | None, **kwargs: Any
) -> socket.socket:
    """
    Return a listening socket.

    Raises:
        OSError: The address cannot be bound.
        ValueError: Arguments contradict each other.
    """
    if sock is None:
        return socket.create_server((host or "", port or 0), **kwargs)
    if host is not None:
        raise ValueError("host is incompatible with sock")
    if port is not None:
        raise ValueError("port is incompatible with sock")
    return sock


def bind_unix(
    sock: socket.socket | None, path: PathLike | None = None, **kwargs: Any
) -> socket.socket:
    """
    Return a listening Unix socket.

    A socket that stands there already, left over from another process, is removed.

    Raises:
        OSError: The path cannot be bound.
        ValueError: Arguments contradict each other.
    """
    if sock is not None:
        if path is not None:
            raise ValueError("path is incompatible with sock")
        return sock
    if path is None:
        raise ValueError("missing path argument")
    path = os.fspath(path)
    if path[:1] not in ("\0", b"\0"):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.remove(path)
    return socket.create_server(path, family=socket.AF_UNIX, **kwargs)
