"""
Payloads of close frames: websockets and wsproto agree on which are valid.
"""

from __future__ import annotations

from typing import Any

import websockets.frames
from wsproto.frame_protocol import FrameProtocol

from fuzz import differences
from fuzz.builds import BUILDS, close_of, observe, outcome
from fuzz.reading import Reader
from socketeer.frames import Close
from tests.core.ends import CLOSE, feed, frame

__all__ = ["run"]


def with_wsproto(payload: bytes) -> tuple[int, str]:
    """
    Let wsproto read a close frame; return code and reason.
    """
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(frame(CLOSE, payload, mask=False))
    [event] = protocol.received_frames()
    code, reason = event.payload
    return int(code), reason


def run(data: bytes) -> None:
    """
    Read the payload of a close frame, alone and in a frame.
    """
    reader = Reader(data)
    is_client = reader.flag()
    payload = reader.take(125)
    ours = outcome(lambda: close_of(Close.parse(payload)))
    for theirs in (
        outcome(lambda: close_of(websockets.frames.Close.parse(payload))),
        outcome(with_wsproto, payload),
    ):
        verdict = differences.of_closes(payload, ours, theirs)
        assert verdict is not None, (payload, ours, theirs)

    seen: list[dict[str, Any]] = []
    for build in BUILDS:
        end = build.end(is_client)
        session = end.session()
        feed(session, end.peer(CLOSE, payload))
        seen.append(observe(session))
    for other in seen[1:]:
        assert seen[0] == other, (seen[0], other)
    if ours[0] == "returns":
        # The answer has the same code, so the same payload.
        assert ours[1] == seen[0]["received"] == seen[0]["sent"]
        answer = payload if ours[1][0] != 1005 else b""
        assert end.own(CLOSE, answer) == seen[0]["output"]
        written = Close(*ours[1])
        if ours[1][0] != 1005:
            assert payload == written.serialize()
    else:
        assert seen[0]["received"] is None
        assert seen[0]["failure"][0] in {1002, 1007}
