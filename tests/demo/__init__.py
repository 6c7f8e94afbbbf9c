"""Tests of the live chat: its words, its room, its page, its program."""
