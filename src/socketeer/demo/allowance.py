"""A limit on how often something happens."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """
    A token bucket that can be overdrawn: who asks for too much has to wait.

    Args:
        rate: How often it may happen in the long run, per second.
        burst: How often it may happen at once after a quiet time.
    """

    def __init__(self, *, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = float(burst)
        self.updated_at: float | None = None

    def take(self, now: float) -> float:
        """Count one more at this time; return the seconds to wait for it."""
        if self.updated_at is not None:
            earned = (now - self.updated_at) * self.rate
            self.tokens = min(self.burst, self.tokens + earned)
        self.updated_at = now
        self.tokens -= 1
        return max(0.0, -self.tokens / self.rate)
