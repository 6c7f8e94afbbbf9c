"""
A server as anybody might write it: ``python -m tests.loss.server PORT URL``. With a
third argument, it goes wrong.

Clients connect to ``/TOPIC`` or ``/TOPIC/POSITION``, and are told once whether they
have recovered.
"""

from __future__ import annotations

import asyncio
import json
import sys

from socketeer.asyncio.server import serve
from socketeer.pubsub import BrokerUnavailable, Hub, Topics, json_envelope
from tests.loss.sabotage import sabotage

__all__ = ["topics"]


def topics():
    """
    Return the settings that servers and publishers share.
    """
    shared = Topics()
    shared.topic("*", history=2000, max_age=120, envelope=json_envelope)
    return shared


async def main(port, url):
    """
    Serve until killed.
    """
    hub = Hub(url, topics=topics())

    async def handler(connection):
        _, topic, *since = connection.request.path.split("/")
        try:
            async with hub.attach(connection) as session:
                found = await session.subscribe(
                    topic, since=since[0] if since else None
                )
                reply = {"recovered": found.recovered, "position": found.position}
                await connection.send(json.dumps(reply))
                async for _ in connection:
                    pass
        except BrokerUnavailable:
            await connection.close(1013, "broker unavailable")

    async with (
        hub,
        serve(handler, "127.0.0.1", port, ping_interval=2, ping_timeout=2) as server,
    ):
        await server.serve_forever()


if __name__ == "__main__":
    for kind in sys.argv[3:]:
        sabotage(kind)
    while True:
        try:
            asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
        except BrokerUnavailable:
            # No Redis to start with: what a supervisor is for.
            continue
