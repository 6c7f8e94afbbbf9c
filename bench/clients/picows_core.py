"""
A client on the callbacks of picows, under the same load as ``coroutines``.
"""

from __future__ import annotations

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.servers.common import run

from .common import Counter, Options, options


class Conversation(WSListener):
    """
    Sends a message again whenever it came back.
    """

    def __init__(self, message: bytes, counter: Counter) -> None:
        self._message = message
        self._counter = counter

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """
        Count a message and send it again.
        """
        if frame.get_payload_as_bytes() != self._message:
            raise RuntimeError("a message came back with another payload")
        self._counter.messages += 1
        if not self._counter.is_over:
            transport.send(WSMsgType.BINARY, self._message)


async def main(chosen: Options) -> None:
    """
    Connect, count and print.
    """
    counter = Counter(chosen)
    uri = f"ws://127.0.0.1:{chosen.port}/"
    transports = []
    for _ in range(chosen.connections):
        transport, _listener = await ws_connect(
            lambda *_: Conversation(chosen.message, counter), uri
        )
        transports.append(transport)
    for transport in transports:
        transport.send(WSMsgType.BINARY, chosen.message)
    await counter.run()


if __name__ == "__main__":
    arguments = options()
    run(main(arguments), arguments.loop)
