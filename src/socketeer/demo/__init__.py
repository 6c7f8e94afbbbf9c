"""
A live chat: the main job of Socketeer as a program one can read.

``python -m socketeer.demo`` prints the address of a page. Open it in several
tabs, or on a phone, and talk. With ``--redis``, what was said outlives the
program, and ``python -m socketeer.demo.say`` speaks while it is down.

======================  =====================================================
:mod:`.messages`        the words: what pages may say, and what a word may be
:mod:`.rooms`           the rooms: topics of a hub, and what is set for them
:mod:`.chat`            the chat: who comes, where they are, what they say
:mod:`.allowance`       how fast they may do it
:mod:`.pages`           the page itself, served from the port of the chat
``__main__``            the program: arguments, signals, start and stop
:mod:`.say`             another program, which publishes and nothing else
======================  =====================================================
"""

from __future__ import annotations

__all__: list[str] = []
