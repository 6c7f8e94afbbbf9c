"""
The one thread that looks after all connections which nobody looks after.

A thread that receives reads from the socket by itself. When no thread does, pings
must be answered and closing handshakes go on all the same; and somebody has to send
keepalive pings and to give up when a deadline has passed. That is the task of the
watch, for all connections of the process.

It sleeps until a socket is readable or a deadline comes. Whoever has received tells
it, but it does not go and read at once: a thread that receives again and again comes
back before. So as long as there are such threads, it looks a few times per second
who stayed away. Connections on which a thread is waiting cost it nothing.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .. import _sockets
from .._timetable import NEVER, Timetable

if TYPE_CHECKING:
    from .link import Link

__all__ = ["WATCH", "Watch"]

# Seconds after which a connection is watched that nobody receives from: at least
# so long, at most twice. Much less than what peers allow for a pong.
_INTERVAL = 0.05


class Watch:
    """
    Looks after connections, in a thread that runs while there are any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Connections to look at: now, or when it is time to.
        self._requests: deque[tuple[Link, bool]] = deque()
        # Whether the thread is asleep, and whether it wakes up by itself.
        self._asleep = False
        self._ticking = False
        self._selector: Any = None
        self._waker: tuple[socket.socket, socket.socket] | None = None
        self._links: set[Link] = set()
        # Whom somebody has received from lately.
        self._active: set[Link] = set()
        self._deadlines: Timetable[Link] = Timetable()
        self._buffer = bytearray(65_536)

    # For all threads.

    def ask(self, link: Link, now: bool) -> None:
        """
        Have a connection looked at.

        Args:
            link: The connection.
            now: Whether at once; otherwise if nobody comes back to it.
        """
        self._requests.append((link, now))
        if self._thread is None:
            self._start()
        elif self._asleep and (now or not self._ticking):
            self._wake()

    def is_running(self) -> bool:
        """
        Tell whether there is a thread.
        """
        return self._thread is not None

    def _start(self) -> None:
        """
        Start the thread.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="socketeer.sync watch", daemon=True
                )
                # If there is no thread to be had, the next one who asks tries again.
                thread.start()
                self._thread = thread

    def _wake(self) -> None:
        """
        Wake the thread.
        """
        waker = self._waker
        if waker is not None:
            # Full, or just closed: it is awake.
            with contextlib.suppress(OSError):
                waker[1].send(b"\0")

    # The thread.

    def _run(self) -> None:
        """
        Look after connections until there are none.
        """
        while not self._make_waker():
            # The process is out of file descriptors. All connections depend on this.
            time.sleep(_sockets.PAUSE)
        next_look = 0.0
        while True:
            self._take_requests()
            now = time.monotonic()
            if self._active:
                if not self._ticking:
                    self._ticking = True
                    next_look = now + _INTERVAL
                elif now >= next_look:
                    self._look_for_leavers()
                    next_look = now + _INTERVAL
            self._ticking = bool(self._active)
            self._keep_deadlines(now)
            if not self._links and self._stop():
                return
            self._sleep(next_look if self._ticking else NEVER)

    def _make_waker(self) -> bool:
        """
        Make what the thread sleeps on; return whether that was possible.
        """
        with contextlib.ExitStack() as made:
            try:
                selector = made.enter_context(selectors.DefaultSelector())
                waker = socket.socketpair()
            except OSError:
                return False
            made.pop_all()
        for sock in waker:
            sock.setblocking(False)
        selector.register(waker[0], selectors.EVENT_READ)
        self._selector, self._waker = selector, waker
        return True

    def _stop(self) -> bool:
        """
        End, unless there is a new connection.
        """
        with self._lock:
            # In this order: who asks looks at the thread afterwards.
            self._thread = None
            if self._requests:
                self._thread = threading.current_thread()
                return False
            waker, self._waker = self._waker, None
            self._selector.close()
            for sock in waker or ():
                sock.close()
            return True

    def _sleep(self, until: float) -> None:
        """
        Wait for the next thing to do, and for sockets; serve these.
        """
        until = min(until, self._deadlines.next_at())
        timeout = None if until == NEVER else max(0.0, until - time.monotonic())
        self._asleep = True
        if self._requests and not self._ticking:
            timeout = 0.0
        events = self._selector.select(timeout)
        self._asleep = False
        for key, mask in events:
            if key.data is None:
                assert self._waker is not None
                with contextlib.suppress(OSError):
                    self._waker[0].recv(4096)
            else:
                self._serve(key.data, mask)

    def _serve(self, link: Link, mask: int) -> None:
        """
        Read and write what can be read and written.
        """
        with link.lock:
            try:
                if mask & selectors.EVENT_WRITE:
                    link.settle()
                if mask & selectors.EVENT_READ and link.is_unattended():
                    link.read_now(self._buffer)
            except Exception as exc:
                link.break_off(exc)
            self._register(link, True)

    def _take_requests(self) -> None:
        """
        Look at connections about which somebody said something.
        """
        while self._requests:
            link, now = self._requests.popleft()
            with link.lock:
                if not link.lost:
                    self._links.add(link)
                if now or link.lost:
                    self._register(link, now)
                else:
                    self._active.add(link)
                self._arm(link)

    def _look_for_leavers(self) -> None:
        """
        Find the connections to which nobody came back.
        """
        for link in list(self._active):
            with link.lock:
                if link.turns != link.turns_seen and not link.receiving:
                    link.turns_seen = link.turns
                    continue
                self._active.remove(link)
                link.listed = False
                if not link.receiving:
                    link.release_close()
                    self._register(link, True)

    def _register(self, link: Link, reading: bool) -> None:
        """
        Watch the socket of a connection for what matters now.
        """
        if link.lost:
            self._forget(link)
            return
        events = 0
        if reading and link.is_unattended():
            events |= selectors.EVENT_READ
        if link.is_congested():
            events |= selectors.EVENT_WRITE
        if events == link.watched:
            return
        if not events:
            self._selector.unregister(link.sock)
        elif link.watched:
            self._selector.modify(link.sock, events, link)
        else:
            self._selector.register(link.sock, events, link)
        link.watched = events

    def _forget(self, link: Link) -> None:
        """
        Let go of a connection that is lost.
        """
        self._links.discard(link)
        self._active.discard(link)
        self._deadlines.drop(link)
        if link.watched:
            self._selector.unregister(link.sock)
            link.watched = 0
        link.close_socket()

    # Deadlines.

    def _arm(self, link: Link) -> None:
        """
        Note when something is due.
        """
        if not link.lost:
            self._deadlines.add(link, link.next_deadline())

    def _keep_deadlines(self, now: float) -> None:
        """
        Do what is due.
        """
        while (link := self._deadlines.take_due(now)) is not None:
            with link.lock:
                try:
                    if not link.lost:
                        link.do_what_is_due(now)
                except Exception as exc:
                    link.break_off(exc)
                self._register(link, bool(link.watched & selectors.EVENT_READ))
                self._arm(link)


WATCH = Watch()


def _forget_all() -> None:
    """
    Begin anew: of all threads, only the one that forked exists in the child.
    """
    WATCH.__init__()  # type: ignore[misc] # with all that it sets


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
