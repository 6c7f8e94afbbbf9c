"""
A live chat: the main job of Socketeer as a program one can read.

``python -m socketeer.demo`` prints the address of a page. Open it in several
tabs, or on a phone, and talk.

======================  =====================================================
:mod:`.messages`        the words: what pages may say, and what a word may be
:mod:`.chat`            the room: who is here, what was said, who hears it
:mod:`.pages`           the page itself, served from the port of the chat
``__main__``            the program: arguments, signals, start and stop
======================  =====================================================
"""

from __future__ import annotations

__all__: list[str] = []
