"""
`ServerProtocol` and `ClientProtocol` over sockets in a plain `select` loop.
"""

from __future__ import annotations

import selectors
import socket
import time

import pytest
import websockets.client
import websockets.server
import websockets.uri

from socketeer.client import ClientProtocol
from socketeer.frames import Opcode
from socketeer.http11 import Request, Response
from socketeer.protocol import State
from socketeer.server import ServerProtocol
from socketeer.uri import parse_uri

pytestmark = pytest.mark.ours


class End:
    """
    A protocol and its socket.
    """

    def __init__(self, protocol, sock):
        self.protocol = protocol
        self.sock = sock
        self.outgoing = bytearray()
        self.half_closed = False
        self.over = False
        self.messages = []
        self.fragments = []
        self.response = None

    def take_events(self, answer):
        for event in self.protocol.events_received():
            kind = type(event).__name__
            if kind == Request.__name__:
                self.protocol.send_response(self.protocol.accept(event))
            elif kind == Response.__name__:
                self.response = event
            elif event.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self.fragments.append(event.data)
                if event.fin:
                    self.messages.append(b"".join(self.fragments))
                    self.fragments.clear()
                    answer(self, self.messages[-1])

    def take_output(self):
        for data in self.protocol.data_to_send():
            if data:
                self.outgoing += data
            else:
                self.half_closed = True

    def readable(self):
        # A small number: frames arrive in pieces.
        data = self.sock.recv(1000)
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
            self.over = True

    def writable(self):
        del self.outgoing[: self.sock.send(self.outgoing[:1000])]

    def after_writing(self):
        if self.half_closed and not self.outgoing:
            self.sock.shutdown(socket.SHUT_WR)
            self.half_closed = False


def run_loop(ends, answer, done):
    """
    Move bytes until a condition holds; for ten seconds at most.
    """
    deadline = time.monotonic() + 10
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end.sock, selectors.EVENT_READ, end)
        while not done():
            assert time.monotonic() < deadline
            for end in ends:
                end.take_events(answer)
                end.take_output()
                end.after_writing()
                events = 0 if end.over else selectors.EVENT_READ
                if end.outgoing:
                    events |= selectors.EVENT_WRITE
                if end.sock in selector.get_map():
                    selector.unregister(end.sock)
                if events:
                    selector.register(end.sock, events, end)
            for key, events in selector.select(0.01):
                if events & selectors.EVENT_READ:
                    key.data.readable()
                if events & selectors.EVENT_WRITE:
                    key.data.writable()


URI = "ws://localhost/"
OURS = (ServerProtocol, lambda: ClientProtocol(parse_uri(URI)))
THEIRS = (
    websockets.server.ServerProtocol,
    lambda: websockets.client.ClientProtocol(websockets.uri.parse_uri(URI)),
)
PAIRS = [(OURS[0], OURS[1]), (OURS[0], THEIRS[1]), (THEIRS[0], OURS[1])]


@pytest.fixture(params=PAIRS, ids=["ours", "their client", "their server"])
def ends(request):
    """
    A server and a client, at least one of them ours, over a real connection.
    """
    make_server, make_client = request.param
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client_socket = socket.create_connection(listener.getsockname())
        server_socket, _ = listener.accept()
    with client_socket, server_socket:
        client_socket.setblocking(False)
        server_socket.setblocking(False)
        server = End(make_server(), server_socket)
        client = End(make_client(), client_socket)
        client.protocol.send_request(client.protocol.connect())
        yield server, client


def test_a_conversation(ends):
    """
    Handshake, messages whole and in fragments, a ping, and the end from one side
    to the other.
    """
    server, client = ends

    def answer(end, message):
        if end is server:
            end.protocol.send_binary(message)

    run_loop(ends, answer, lambda: client.response is not None)
    assert 101 == client.response.status_code
    client.protocol.send_text(b"hello")
    client.protocol.send_ping(b"there?")
    client.protocol.send_text(b"a", fin=False)
    client.protocol.send_continuation(b"b", fin=True)
    client.protocol.send_binary(b"x" * 200_000)
    sent = [b"hello", b"ab", b"x" * 200_000]
    run_loop(ends, answer, lambda: len(client.messages) == 3)
    assert sent == server.messages == client.messages
    client.protocol.send_close(1001, "that was it")
    run_loop(ends, answer, lambda: client.over and server.over)

    for end in ends:
        assert (1001, "that was it") == (
            end.protocol.close_code,
            end.protocol.close_reason,
        )
        assert State.CLOSED == end.protocol.state


def test_a_server_ends_it(ends):
    """
    From the other side.
    """
    server, client = ends
    run_loop(ends, lambda *_: None, lambda: client.response is not None)
    server.protocol.send_close()
    run_loop(ends, lambda *_: None, lambda: client.over and server.over)

    assert [1005, 1005] == [end.protocol.close_code for end in ends]


def test_a_lost_connection(ends):
    """
    The end of the bytes without a close frame is 1006.
    """
    server, client = ends
    run_loop(ends, lambda *_: None, lambda: client.response is not None)
    server.sock.shutdown(socket.SHUT_RDWR)
    run_loop([client], lambda *_: None, lambda: client.over)

    assert 1006 == client.protocol.close_code
