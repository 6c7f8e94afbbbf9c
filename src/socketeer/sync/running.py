"""
A server that runs: its connections, its threads, and its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from .. import _sockets
from .._servers import BaseServer, closing_code
from .._sockets import Shortage, check_alone, write_at_once
from ..http11 import SERVER
from ..utils import get_socket_name
from .census import Census
from .opening import Hook, ServerOpening
from .stream import DONT_WAIT, wait_for

if TYPE_CHECKING:
    import ssl as ssl_module
    from types import TracebackType

    from .._serving import ConnectionFactory
    from ..limits import Limits
    from ..typing import LoggerLike, PathLike
    from .server import ServerConnection

__all__ = ["Reception", "Server", "bind_tcp", "bind_unix"]

# Bytes that are read before a connection is turned away, if they are here.
_REQUEST_SIZE = 65_536

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
        open_timeout: Seconds for the opening handshake.
        close_timeout: Seconds for closing.
    """

    handler: Callable[[ServerConnection], object]
    ssl: ssl_module.SSLContext | None
    factory: ConnectionFactory
    hooks: tuple[Hook | None, Hook | None]
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
            (self.open_timeout, self.close_timeout),
        )


class _Flag:
    """
    Is raised once, and waited for; also by a signal handler in the waiting thread.
    """

    def __init__(self) -> None:
        # What is written to one end can be waited for at the other one.
        self._ours, self.sock = socket.socketpair()

    def set(self) -> None:
        """
        Raise the flag; again has no effect.
        """
        with contextlib.suppress(OSError):
            self._ours.send(b"\0", DONT_WAIT)

    def wait(self, until: float) -> bool:
        """
        Wait for the flag or for a time; return whether it is raised.
        """
        return wait_for(self.sock, selectors.EVENT_READ, until)

    def close(self) -> None:
        """
        Close the sockets.
        """
        self._ours.close()
        self.sock.close()


class Server(BaseServer["ServerConnection"]):
    """
    A WebSocket server, returned by :func:`serve`.

    As a context manager, it shuts itself down.

    Args:
        sock: A listening socket; it belongs to the server from now on.
        reception: What becomes of accepted sockets.
        logger: Logger of the server; ``socketeer.server`` by default.
        server_header: Value of the ``Server`` header.
        limits: What the server allows, see :func:`serve`.

    Attributes:
        socket: The listening socket.
        all_connections: Connections in any state whose handler has not returned.
        logger: Logger of the server.
        limits: What the server allows.
        census: Counts connections.
    """

    def __init__(
        self,
        sock: socket.socket,
        reception: Reception,
        logger: LoggerLike | None = None,
        *,
        server_header: str | None = SERVER,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(limits, server_header, logger)
        self.socket = sock
        self.census: Census = Census(self.limits)
        self._reception = reception
        self._shortage = Shortage(
            self.logger, functools.partial(self.census.count, "accept_pauses")
        )
        # A signal handler may interrupt serve_forever() and shut down.
        self._lock = threading.RLock()
        self._openings: set[ServerOpening] = set()
        self._threads: set[threading.Thread] = set()
        self._handlers = 0
        self._closing = False
        # How connections are closed then: the code and the reason, if they are.
        self._close: tuple[int, str] | None = None
        # Who accepts is to stop.
        self._stop = _Flag()
        # Draining is to be over.
        self._drained: _Flag | None = None
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
    def connections(self) -> set[ServerConnection]:  # noqa: D102 - inherited
        with self._lock:
            return super().connections

    def count_handlers(self) -> int:  # noqa: D102 - inherited
        return self._handlers

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
                selector.register(self._stop.sock, selectors.EVENT_READ)
                while True:
                    events = selector.select()
                    if any(key.fileobj is self._stop.sock for key, _ in events):
                        break
                    self._accept()
        finally:
            with self._lock:
                self._serving = False
                if self._stop.wait(0.0):
                    self._close_sockets()

    def _close_sockets(self) -> None:
        """
        Close what is needed to accept connections, when nobody does.
        """
        self.socket.close()
        self._stop.close()

    def _accept(self) -> None:
        """
        Accept a connection, and serve it in a thread.
        """
        try:
            sock, _ = self.socket.accept()
        except OSError as exc:
            if self._shortage.is_cause_of(exc):
                self._pause()
            # Otherwise, the client has gone already.
            return
        if self.census.is_crowded():
            self._turn_away(sock)
        elif not self._begin(sock):
            self._pause()
            return
        self._shortage.is_over()

    def _pause(self) -> None:
        """
        Accept nothing for a while, unless the server is to stop.
        """
        self._stop.wait(time.monotonic() + _sockets.PAUSE)

    def _begin(self, sock: socket.socket) -> bool:
        """
        Serve a connection in a thread; return whether there was one to be had.
        """
        prepare_socket(sock)
        self.census.arrive()
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
                self._shortage.note(str(exc))
                self.census.count("handshakes_broken")
                self.census.leave(None, None)
                sock.close()
                return False
            self._openings.add(opening)
            self._threads.add(thread)
            return True

    def _turn_away(self, sock: socket.socket) -> None:
        """
        Refuse a connection without waiting for its request.

        Nothing may be waited for: nobody else is accepted meanwhile. With TLS, there
        is no way to say why.
        """
        answer = self.turn_away()
        with sock:
            sock.setblocking(False)
            if self._reception.ssl is None:
                # A request that was not read would make the answer a reset.
                with contextlib.suppress(OSError):
                    sock.recv(_REQUEST_SIZE)
                with contextlib.suppress(OSError):
                    sock.send(answer)
                    sock.shutdown(socket.SHUT_WR)

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
                self.census.leave(opening.place(), None)
                return
            self.all_connections.add(connection)
            self._handlers += 1
        self.welcome(connection)
        connection._link.when_lost = functools.partial(self.count_end, connection)
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
            self.report(connection, exc)
        finally:
            with self._lock:
                self._handlers -= 1
            connection.close(code)
            connection.logger.info("connection closed")

    # Closing.

    def shutdown(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
        *,
        drain: float | None = None,
    ) -> None:
        """
        Shut the server down, and wait until that is done.

        It stops accepting connections, answers those whose opening handshake is
        in progress with status 503, closes the others, and waits for their
        handlers: for ``close_timeout`` seconds in all. Handlers that go on
        nevertheless, since they do something else than using their connection, are
        left alone; they do not keep the process from ending.

        Calling it again does nothing, except that ``drain=0`` ends the draining.

        Args:
            close_connections: :obj:`False` lets handlers go on with their
                connections until they return, however long that takes.
            code: Close code; 1012 tells clients of a restart.
            reason: Close reason.
            drain: Seconds over which the connections are closed, evenly, so that
                not all clients come back at once. The code is 1012 then, unless
                another one than 1001 is given; new clients are refused with status
                503 meanwhile, unless this is called by the thread that accepts them.

        Raises:
            ProtocolError: The code or the reason cannot be sent. Nothing was closed.
            ValueError: ``drain`` is negative, or no connections are to be closed.
        """
        code = closing_code(drain, close_connections, code, reason)
        with self._lock:
            if self._closing:
                if drain == 0 and self._drained is not None:
                    self._drained.set()
                return
            self._closing = True
            if drain:
                self._drained = _Flag()
        self.logger.info("server closing")
        if drain:
            self._drain(code, reason, drain)
        with self._lock:
            if close_connections:
                self._close = code, reason
            openings = list(self._openings)
            if self._serving:
                self._stop.set()
            else:
                self._close_sockets()
        for opening in openings:
            opening.shut_down()
        timeout = self._reception.close_timeout if close_connections else None
        deadline = None if timeout is None else time.monotonic() + timeout + _GRACE
        if close_connections:
            for connection in self.connections:
                connection._link.begin_close(code, reason)
        self._join(deadline)
        self.logger.info("server closed")

    def _drain(self, code: int, reason: str, seconds: float) -> None:
        """
        Close the connections one after another.
        """
        flag = self._drained
        assert flag is not None
        for at, connection in self.draining(seconds, time.monotonic()):
            flag.wait(at)
            connection._link.begin_close(code, reason)
        with self._lock:
            self._drained = None
            flag.close()

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
    write_at_once(sock)


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
    check_alone("sock", host=host, port=port)
    return sock


def bind_unix(
    sock: socket.socket | None, path: PathLike | None = None, backlog: int = 128
) -> socket.socket:
    """
    Return a listening Unix socket.

    Raises:
        OSError: The path cannot be bound.
        ValueError: Arguments contradict each other.
    """
    if sock is not None:
        check_alone("sock", path=path)
        return sock
    if path is None:
        raise ValueError("missing path argument")
    sock = _sockets.bind_unix(path)
    sock.listen(backlog)
    return sock
