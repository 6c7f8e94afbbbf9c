"""Hypothesis, without clock and without luck."""

from __future__ import annotations

from hypothesis import settings

# The same examples in every run: a test that fails, fails for everybody.
# No deadline: how fast an example runs says nothing about its truth.
settings.register_profile("ground", deadline=None, derandomize=True)
settings.load_profile("ground")
