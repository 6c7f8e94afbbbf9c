"""
A server on the callbacks of picows, without coroutines.
"""

from __future__ import annotations

import argparse

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from .common import options, run, tls_context

CONNECTIONS: set[WSTransport] = set()


class Echo(WSListener):
    """
    Sends each message back.
    """

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """
        Answer a frame.
        """
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


class Broadcast(WSListener):
    """
    Sends each message to everybody.
    """

    def on_ws_connected(self, transport: WSTransport) -> None:
        """
        Remember a connection.
        """
        CONNECTIONS.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """
        Forget a connection.
        """
        CONNECTIONS.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """
        Send a message to all; the library has no function for it.
        """
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        kind, payload = frame.msg_type, frame.get_payload_as_bytes()
        for other in CONNECTIONS:
            other.send(kind, payload)


async def main(chosen: argparse.Namespace) -> None:
    """
    Serve until the process is ended.
    """
    listener = Broadcast if chosen.broadcast else Echo

    def accept(_request: WSUpgradeRequest) -> WSListener:
        return listener()

    server = await ws_create_server(
        accept, "127.0.0.1", chosen.port, ssl=tls_context(chosen.tls)
    )
    await server.serve_forever()


if __name__ == "__main__":
    arguments = options()
    run(main(arguments), arguments.loop)
